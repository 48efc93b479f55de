// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/resolver.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "dnsproxy/arpa.h"
#include "policies/never_list.h"

namespace postern {
namespace {

constexpr std::uint8_t kProtocolOfUdp = 17;
constexpr std::uint8_t kProtocolOfTcp = 6;

/// Record types whose answer is the name's verdict. Others have no data, whatever the upstream has.
bool is_passed(std::uint16_t type) { return type == kTypeA || type == kTypeAaaa || type == kTypeCname; }

/// HINFO "RFC8482" and nothing: the minimal answer to ANY (RFC 8482 4.2).
constexpr std::array<std::uint8_t, 9> kAnyAnswer{7, 'R', 'F', 'C', '8', '4', '8', '2', 0};

std::size_t reply_limit(const Client& client, const Query& query) {
  return client.connection != 0 ? kMessageMax : query.udp_payload;
}

Question question_of(const Query& query) {
  Question question{std::string(query.name.size, '\0'), query.type, query.dnssec_ok, query.checking_disabled};
  std::ranges::transform(query.name.wire(), question.name.begin(),
                         [](std::uint8_t b) { return static_cast<char>(lower(b)); });
  return question;
}

/// The address in an A or AAAA record, if a sandbox under this policy may be told of it.
std::optional<Address> usable_address(const AnswerRecord& record, const WorkerPolicy& policy) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(record.data.data());
  const Address address = record.type == kTypeA ? Address::from_v4(bytes) : Address::from_v6(bytes);
  if (record.type == kTypeAaaa && address.is_v4()) {
    return std::nullopt;  // an IPv4 address in disguise
  }
  const auto expected = [&](const Prefix& prefix) { return prefix.contains(address); };
  if (is_never_allowed(address)) {
    const bool opened = std::ranges::any_of(
        policy.private_allowed, [&](const Prefix& prefix) { return expected(prefix) && opens_never_listed(prefix); });
    return opened ? std::optional(address) : std::nullopt;
  }
  if (is_private(address) && std::ranges::none_of(policy.private_allowed, expected)) {
    return std::nullopt;
  }
  return address;
}

std::uint8_t reason_of(UpstreamFailure failure) {
  return failure == UpstreamFailure::kTimeout ? EGRESS_REASON_DNS_UPSTREAM_TIMEOUT : EGRESS_REASON_DNS_UPSTREAM_FAILED;
}

/// Does the next image open more for this name than the kernel's: a port, or an address?
bool opens_more(const WorkerPolicy& now, const WorkerPolicy& next, Wire name) {
  const auto ports_of = [&](const WorkerPolicy& policy) {
    PortSet ports;
    const NameMatch match = policy.names.match(name);
    for (std::uint8_t i = 0; i < match.count; ++i) {
      ports.add(policy.rules[match.rules[i]].ports);
    }
    return ports;
  };
  const auto was_allowed = [&](const Prefix& prefix) {
    return std::ranges::any_of(now.private_allowed, [&](const Prefix& before) { return before.contains(prefix); });
  };
  return !now.names.match(name).matched() || !ports_of(now).covers(ports_of(next)) ||
         !std::ranges::all_of(next.private_allowed, was_allowed);
}

}  // namespace

Resolver::Sandbox* Resolver::find(std::uint32_t id) {
  const auto found = sandboxes_.find(id);
  return found == sandboxes_.end() ? nullptr : &found->second;
}

void Resolver::set_sandbox(SandboxView view, BootNs now) {
  const std::uint32_t id = view.id;
  seams_.grants.add_sandbox(id);
  sandboxes_[id].view = std::move(view);
  if (sandboxes_[id].view.staged) {
    return;
  }
  std::vector<Held> due;
  const auto keep = std::stable_partition(held_.begin(), held_.end(),
                                          [&](const Held& held) { return held.waiter.client.sandbox != id; });
  std::move(keep, held_.end(), std::back_inserter(due));
  held_.erase(keep, held_.end());
  sandboxes_[id].held = 0;
  for (Held& held : due) {
    deliver(std::move(held.waiter), held.answer, held.cached, now);
  }
}

void Resolver::expire_held(BootNs now) {
  std::vector<Held> late;
  const auto keep = std::stable_partition(held_.begin(), held_.end(),
                                          [&](const Held& held) { return now - held.since < kHeldMs * kNsPerMs; });
  std::move(keep, held_.end(), std::back_inserter(late));
  held_.erase(keep, held_.end());
  for (const Held& held : late) {
    if (Sandbox* sandbox = find(held.waiter.client.sandbox)) {
      --sandbox->held;
      fail(*sandbox, held.waiter, EGRESS_REASON_DNS_NO_POLICY, now);
    }
  }
}

void Resolver::remove_sandbox(std::uint32_t sandbox) {
  seams_.grants.remove_sandbox(sandbox);
  sandboxes_.erase(sandbox);
  std::erase_if(held_, [&](const Held& held) { return held.waiter.client.sandbox == sandbox; });
}

void Resolver::on_query(const Client& client, Bytes message, BootNs now) {
  Sandbox* sandbox = find(client.sandbox);
  Query query;
  const QueryVerdict verdict = parse_query(message, query);
  if (sandbox == nullptr) {
    // The kernel steered it, but posternd has not told us yet, or the sandbox is gone: the stub asks again.
    tell(stranger_, Waiter{client, query, now}, {.reason = EGRESS_REASON_DNS_NO_SANDBOX, .addresses = {}}, now);
    return;
  }
  if (verdict == QueryVerdict::kAnswer) {
    decide(*sandbox, client, query, now);
  } else {
    refuse(client, query, verdict, *sandbox, now);
  }
}

void Resolver::refuse(const Client& client, const Query& query, QueryVerdict verdict, Sandbox& sandbox, BootNs now) {
  Outcome outcome;
  std::size_t size = 0;
  switch (verdict) {
    case QueryVerdict::kAnswer:
    case QueryVerdict::kDrop:
      outcome.reason = EGRESS_REASON_DNS_MALFORMED;
      break;
    case QueryVerdict::kFormErr:
      outcome = {.reason = EGRESS_REASON_DNS_MALFORMED, .rcode = kRcodeFormErr, .addresses = {}};
      size = write_header_only(query, kRcodeFormErr, buffer_);
      break;
    case QueryVerdict::kNotImp:
      outcome = {.reason = EGRESS_REASON_DNS_NOT_IMPLEMENTED, .rcode = kRcodeNotImp, .addresses = {}};
      size = write_header_only(query, kRcodeNotImp, buffer_);
      break;
    case QueryVerdict::kBadVers:
      outcome = {.reason = EGRESS_REASON_DNS_BAD_VERSION, .rcode = kRcodeBadVers, .addresses = {}};
      size = write_failure(query, kRcodeBadVers, kEdeOther, "", buffer_);
      break;
  }
  if (size != 0) {
    seams_.replies.reply(client, {buffer_.data(), size});
  }
  tell(sandbox, Waiter{client, query, now}, outcome, now);
}

void Resolver::decide(Sandbox& sandbox, const Client& client, const Query& query, BootNs now) {
  const Waiter waiter{client, query, now};
  const auto& policy = sandbox.view.staged ? sandbox.view.staged : sandbox.view.policy;
  if (policy == nullptr) {
    fail(sandbox, waiter, EGRESS_REASON_DNS_NO_POLICY, now);
    return;
  }
  const NameMatch match = policy->names.match(query.name.wire());
  if (query.qclass != kClassIn) {
    deny(sandbox, waiter, match, EGRESS_REASON_DNS_CLASS_DENIED, now);
    return;
  }
  if (query.type == kTypePtr) {
    if (const auto address = address_from_arpa(query.name.wire())) {
      answer_pointer(sandbox, waiter, *address, now);
      return;
    }
  }
  if (!match.matched()) {
    deny(sandbox, waiter, match, EGRESS_REASON_DNS_NAME_DENIED, now);
    return;
  }
  if (query.type == kTypeAny) {
    const std::size_t size = write_single(query, kTypeHinfo, kClientTtlMax, kAnyAnswer, buffer_);
    seams_.replies.reply(client, {buffer_.data(), size});
    tell(sandbox, waiter, {.reason = EGRESS_REASON_DNS_ALLOWED, .addresses = {}}, now);
    return;
  }
  if (!is_passed(query.type)) {
    deny(sandbox, waiter, match, EGRESS_REASON_DNS_TYPE_DENIED, now);
    return;
  }
  forward(sandbox, waiter, now);
}

/// The name of an address that this sandbox learnt here; of no other, or the reverse tree would be a channel.
void Resolver::answer_pointer(Sandbox& sandbox, const Waiter& waiter, const Address& address, BootNs now) {
  const auto names = seams_.grants.names_of(sandbox.view.id, address, now);
  if (names.empty()) {
    const auto& policy = sandbox.view.staged ? sandbox.view.staged : sandbox.view.policy;
    const std::size_t size = write_denial(waiter.query, kRcodeNxDomain, policy->denial, buffer_);
    seams_.replies.reply(waiter.client, {buffer_.data(), size});
    tell(sandbox, waiter, {.reason = EGRESS_REASON_DNS_NAME_DENIED, .rcode = kRcodeNxDomain, .addresses = {}}, now);
    return;
  }
  const Bytes data{reinterpret_cast<const std::uint8_t*>(names.front().data()), names.front().size()};
  const std::size_t size = write_single(waiter.query, kTypePtr, 0, data, buffer_);
  seams_.replies.reply(waiter.client, {buffer_.data(), size});
  tell(sandbox, waiter, {.reason = EGRESS_REASON_DNS_ALLOWED, .addresses = {}}, now);
}

void Resolver::forward(Sandbox& sandbox, Waiter waiter, BootNs now) {
  Question question = question_of(waiter.query);
  if (const auto cached = cache_.find(question, now)) {
    deliver(std::move(waiter), cached, true, now);
    return;
  }
  if (failed_lately(sandbox, waiter, question, now)) {
    return;
  }
  const auto flight = flights_.find(question);
  if (sandbox.waiting >= kWaitingPerSandbox || (flight == flights_.end() && flights_.size() >= kFlightsMax)) {
    fail(sandbox, waiter, EGRESS_REASON_DNS_LIMIT, now);
    return;
  }
  ++sandbox.waiting;
  if (flight != flights_.end()) {
    flight->second.waiters.push_back(std::move(waiter));
    return;
  }
  const std::uint64_t ticket = next_ticket_++;
  auto& fresh = flights_[question];
  fresh.ticket = ticket;
  fresh.waiters.push_back(std::move(waiter));
  tickets_.emplace(ticket, question);
  seams_.upstream.ask(ticket, question);
}

/// Answers from the memory of failures, so that a stub's retries do not hammer an upstream that is down (RFC 9520).
bool Resolver::failed_lately(Sandbox& sandbox, const Waiter& waiter, const Question& question, BootNs now) {
  const auto known = failures_.find(question);
  if (known == failures_.end()) {
    return false;
  }
  if (known->second.until <= now) {
    failures_.erase(known);
    return false;
  }
  fail(sandbox, waiter, reason_of(known->second.why), now);
  return true;
}

void Resolver::forget_answers() {
  cache_.clear();
  failures_.clear();
  for (auto& [question, flight] : flights_) {
    flight.forgotten = true;
  }
}

/// The flight, taken off the books; without waiters if there is none with this ticket.
Resolver::Flight Resolver::finish_flight(std::uint64_t ticket, Question& question) {
  const auto known = tickets_.find(ticket);
  if (known == tickets_.end()) {
    return {};
  }
  question = std::move(known->second);
  tickets_.erase(known);
  const auto found = flights_.find(question);
  Flight flight = std::move(found->second);
  flights_.erase(found);
  for (const Waiter& waiter : flight.waiters) {
    if (Sandbox* sandbox = find(waiter.client.sandbox); sandbox != nullptr && sandbox->waiting > 0) {
      --sandbox->waiting;
    }
  }
  return flight;
}

void Resolver::on_answer(std::uint64_t ticket, Answer answer, BootNs now) {
  Question question;
  Flight flight = finish_flight(ticket, question);
  const auto shared = std::make_shared<const Answer>(std::move(answer));
  if (!flight.waiters.empty() && !flight.forgotten) {
    cache_.store(question, shared);
  }
  for (Waiter& waiter : flight.waiters) {
    deliver(std::move(waiter), shared, false, now);
  }
}

void Resolver::on_failure(std::uint64_t ticket, UpstreamFailure failure, BootNs now) {
  Question question;
  const Flight flight = finish_flight(ticket, question);
  if (flight.waiters.empty()) {
    return;
  }
  if (failures_.size() >= kFailuresMax) {
    failures_.clear();  // each costs one question upstream to learn again
  }
  if (!flight.forgotten) {
    failures_[question] = {failure, now + kFailureMs * kNsPerMs};
  }
  for (const Waiter& waiter : flight.waiters) {
    if (Sandbox* sandbox = find(waiter.client.sandbox)) {
      fail(*sandbox, waiter, reason_of(failure), now);
    }
  }
}

/// The policy may have changed since the question: it is matched again.
void Resolver::deliver(Waiter waiter, const std::shared_ptr<const Answer>& answer, bool cached, BootNs now) {
  Sandbox* sandbox = find(waiter.client.sandbox);
  if (sandbox == nullptr) {
    return;
  }
  const SandboxView& view = sandbox->view;
  const auto& policy = view.staged ? view.staged : view.policy;
  const Wire name = waiter.query.name.wire();
  const NameMatch match = policy ? policy->names.match(name) : NameMatch{};
  if (!match.matched()) {
    deny(*sandbox, waiter, match, EGRESS_REASON_DNS_NAME_DENIED, now);
    return;
  }
  if (view.staged && (view.policy == nullptr || opens_more(*view.policy, *view.staged, name))) {
    hold(*sandbox, std::move(waiter), answer, cached, now);
    return;
  }
  respond(*sandbox, waiter, *answer, match, cached, now);
}

void Resolver::hold(
    Sandbox& sandbox, Waiter waiter, const std::shared_ptr<const Answer>& answer, bool cached, BootNs now) {
  if (sandbox.held >= kWaitingPerSandbox || held_.size() >= kHeldMax) {
    fail(sandbox, waiter, EGRESS_REASON_DNS_LIMIT, now);
    return;
  }
  ++sandbox.held;
  held_.push_back({std::move(waiter), answer, cached, now});
}

void Resolver::respond(
    Sandbox& sandbox, const Waiter& waiter, const Answer& answer, const NameMatch& match, bool cached, BootNs now) {
  const WorkerPolicy& policy = sandbox.view.staged ? *sandbox.view.staged : *sandbox.view.policy;
  AnswerView view{
      .answer = &answer, .dropped = {}, .age_s = static_cast<std::uint32_t>((now - answer.received) / kNsPerS)};
  Outcome outcome;
  bool had_addresses = false;
  for (std::size_t i = 0; i < answer.records.size(); ++i) {
    const AnswerRecord& record = answer.records[i];
    if (record.type != kTypeA && record.type != kTypeAaaa) {
      continue;
    }
    had_addresses = true;
    const auto address = usable_address(record, policy);
    if (!address || outcome.addresses.size() == kAddressesMax) {
      view.dropped.set(i);
    } else {
      outcome.addresses.push_back(*address);
    }
  }
  if (had_addresses && outcome.addresses.empty()) {
    deny(sandbox, waiter, match, EGRESS_REASON_DNS_ADDRESS_DENIED, now);
    return;
  }
  if (!grant(sandbox, waiter, view, match, outcome, now)) {
    fail(sandbox, waiter, EGRESS_REASON_DNS_GRANT_FAILED, now);
    return;
  }
  const std::size_t size = write_answer(waiter.query, view, reply_limit(waiter.client, waiter.query), buffer_);
  seams_.replies.reply(waiter.client, {buffer_.data(), size});
  outcome.rcode = answer.rcode;
  outcome.ttl_s = view.client_ttl_s(answer.ttl_s);
  const bool has_data = !outcome.addresses.empty() || (waiter.query.type == kTypeCname && !answer.records.empty());
  outcome.reason = !has_data ? EGRESS_REASON_DNS_NO_DATA
                   : cached  ? EGRESS_REASON_DNS_CACHED
                             : EGRESS_REASON_DNS_ALLOWED;
  tell(sandbox, waiter, outcome, now);
}

/// Every address that stays in the answer is open when this returns true.
bool Resolver::grant(const Sandbox& sandbox,
                     const Waiter& waiter,
                     const AnswerView& view,
                     const NameMatch& match,
                     Outcome& outcome,
                     BootNs now) {
  const SandboxView& known = sandbox.view;
  const WorkerPolicy& policy = known.staged ? *known.staged : *known.policy;
  const Question question = question_of(waiter.query);
  outcome.rule = policy.rules[match.rules[0]].id;
  std::size_t next_address = 0;
  for (std::size_t i = 0; i < view.answer->records.size(); ++i) {
    const AnswerRecord& record = view.answer->records[i];
    if ((record.type != kTypeA && record.type != kTypeAaaa) || view.dropped[i]) {
      continue;
    }
    const Address& address = outcome.addresses[next_address++];
    const std::uint64_t life_s = std::max(view.client_ttl_s(record.ttl_s), grant_s_min_) + policy.grace_s;
    for (std::uint8_t r = 0; r < match.count; ++r) {
      const WorkerRule& rule = policy.rules[match.rules[r]];
      const auto same_ports = [&](std::uint32_t earlier) { return policy.rules[earlier].port_set == rule.port_set; };
      if (rule.port_set == 0 || std::any_of(match.rules.begin(), match.rules.begin() + r, same_ports)) {
        continue;  // opens nothing, or nothing more than a more specific rule
      }
      const GrantClaim claim{question.wire(),
                             rule.id,
                             rule.group,
                             rule.port_set,
                             known.staged ? known.staged_generation : known.generation,
                             now + life_s * kNsPerS};
      if (!seams_.grants.allow(known.id, address, claim, now)) {
        return false;
      }
    }
  }
  return true;
}

void Resolver::deny(Sandbox& sandbox, const Waiter& waiter, const NameMatch& match, std::uint8_t reason, BootNs now) {
  const auto& policy = sandbox.view.staged ? sandbox.view.staged : sandbox.view.policy;
  if (policy == nullptr) {
    fail(sandbox, waiter, EGRESS_REASON_DNS_NO_POLICY, now);
    return;
  }
  const bool missing = answer_for(waiter.query.name.wire(), match, sandbox.view.search) == NameAnswer::kNxDomain;
  const std::uint8_t rcode = missing ? kRcodeNxDomain : kRcodeNoError;
  const std::size_t size = write_denial(waiter.query, rcode, policy->denial, buffer_);
  seams_.replies.reply(waiter.client, {buffer_.data(), size});
  tell(sandbox, waiter, {.reason = reason, .rcode = rcode, .addresses = {}}, now);
}

void Resolver::fail(Sandbox& sandbox, const Waiter& waiter, std::uint8_t reason, BootNs now) {
  const std::uint16_t ede = reason == EGRESS_REASON_DNS_UPSTREAM_TIMEOUT  ? kEdeNoReachableAuthority
                            : reason == EGRESS_REASON_DNS_UPSTREAM_FAILED ? kEdeNetworkError
                            : reason == EGRESS_REASON_DNS_NO_POLICY       ? kEdeNotReady
                                                                          : kEdeOther;
  const std::size_t size = write_failure(waiter.query, kRcodeServFail, ede, egress_reason_label(reason), buffer_);
  seams_.replies.reply(waiter.client, {buffer_.data(), size});
  tell(sandbox, waiter, {.reason = reason, .rcode = kRcodeServFail, .addresses = {}}, now);
}

void Resolver::tell(Sandbox& sandbox, const Waiter& waiter, const Outcome& outcome, BootNs now) {
  const std::uint64_t second = now.ns / kNsPerS;
  if (sandbox.events_window_s != second) {
    sandbox.events_window_s = second;
    sandbox.events_in_window = 0;
  }
  if (++sandbox.events_in_window > kEventsPerS) {
    ++sandbox.events_lost;
    return;
  }
  const auto raw = [](const Address& address) {
    egress_addr out;
    std::memcpy(&out, address.bytes.data(), sizeof(out));
    return out;
  };
  egress_dns_event event{};
  event.time_boot_ns = now.ns;
  event.sandbox = waiter.client.sandbox;
  event.policy = sandbox.view.policy ? sandbox.view.policy->id : 0;
  event.rule = outcome.rule;
  event.latency_us = static_cast<std::uint32_t>((now - waiter.asked) / kNsPerUs);
  event.ttl_s = outcome.ttl_s;
  event.lost = std::exchange(sandbox.events_lost, 0);
  event.client = raw(waiter.client.from.address);
  event.server = raw(waiter.client.asked.address);
  event.client_port = __builtin_bswap16(waiter.client.from.port);
  event.qtype = waiter.query.type;
  event.reason = outcome.reason;
  event.rcode = outcome.rcode;
  event.protocol = waiter.client.connection != 0 ? kProtocolOfTcp : kProtocolOfUdp;
  event.addr_count = static_cast<std::uint8_t>(std::min<std::size_t>(outcome.addresses.size(), EGRESS_DNS_EVENT_ADDRS));
  event.more_addrs = static_cast<std::uint8_t>(outcome.addresses.size() - event.addr_count);
  for (std::size_t i = 0; i < event.addr_count; ++i) {
    event.addrs[i] = raw(outcome.addresses[i]);
  }
  event.name_length = waiter.query.name.size;
  std::ranges::copy(waiter.query.name.wire(), event.wire);
  seams_.events.event(event);
}

}  // namespace postern
