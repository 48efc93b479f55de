// SPDX-License-Identifier: Apache-2.0
//
// A Resolver with everything around it played by the test: the clock, the upstream, the kernel's maps,
// the clients. What happens is written into one list, so that a test can say in which order.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "dnsproxy/resolver.h"
#include "tests/support/dns_messages.h"

namespace postern::testing {

inline Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// The kernel's grants and names, as maps of the test.
class FakeStore final : public GrantStore {
 public:
  using Key = std::pair<std::uint32_t, Address>;

  explicit FakeStore(std::vector<std::string>* log = nullptr) : log_(log) {}

  Result<> write_grant(std::uint32_t sandbox, const Address& address, const egress_grant& grant) override {
    if (writes_until_full == 0) {
      return Error(Errc::kFull, "the test's map is full");
    }
    writes_until_full -= writes_until_full > 0 ? 1 : 0;
    ++writes;
    grants[{sandbox, address}] = grant;
    if (log_ != nullptr) {
      log_->push_back("grant " + std::to_string(sandbox) + " " + address.to_string());
    }
    return {};
  }
  Result<> erase_grant(std::uint32_t sandbox, const Address& address) override {
    if (refuse_erase) {
      return Error(Errc::kIo, "the test refuses");
    }
    grants.erase({sandbox, address});
    return {};
  }
  Result<std::optional<egress_grant>> read_grant(std::uint32_t sandbox, const Address& address) override {
    const auto found = grants.find({sandbox, address});
    return found == grants.end() ? std::optional<egress_grant>() : std::optional(found->second);
  }
  Result<std::optional<Address>> next_grant(std::uint32_t sandbox, const std::optional<Address>& after) override {
    auto at = after ? grants.upper_bound({sandbox, *after}) : grants.lower_bound({sandbox, Address{}});
    return at == grants.end() || at->first.first != sandbox ? std::optional<Address>()
                                                            : std::optional(at->first.second);
  }
  Result<> add_name(std::uint32_t id, const egress_name& name) override {
    if (refuse_names) {
      return Error(Errc::kFull, "the test's map is full");
    }
    if (!names.emplace(id, name).second) {
      return Error(Errc::kExists, "taken");
    }
    return {};
  }

  std::map<Key, egress_grant> grants;
  std::map<std::uint32_t, egress_name> names;
  int writes = 0;
  int writes_until_full = -1;  ///< -1: never.
  bool refuse_erase = false;
  bool refuse_names = false;

 private:
  std::vector<std::string>* log_;
};

struct LabRule {
  std::string pattern;
  std::string ports = "443";  ///< Entries separated by spaces; "" resolves only.
};

struct LabPolicy {
  std::uint32_t id = 1;
  std::vector<LabRule> rules = {};
  std::vector<std::string> private_allowed = {};
  std::uint32_t grace_s = 120;
  std::string denial_text = "ask #platform";
};

/// The port set of a rule under a number of the test's: the same text has the same number everywhere.
inline std::uint32_t port_set_of(const std::string& ports) {
  static std::map<std::string, std::uint32_t> numbers;
  return ports.empty() ? 0 : numbers.try_emplace(ports, static_cast<std::uint32_t>(numbers.size() + 2)).first->second;
}

inline std::shared_ptr<const WorkerPolicy> make_policy(const LabPolicy& lab) {
  auto policy = std::make_shared<WorkerPolicy>();
  policy->id = lab.id;
  policy->name = "lab";
  policy->grace_s = lab.grace_s;
  policy->denial = make_denial_tail(lab.denial_text);
  for (const std::string& prefix : lab.private_allowed) {
    policy->private_allowed.push_back(Prefix::parse(prefix).value());
  }
  for (const LabRule& rule : lab.rules) {
    const auto index = static_cast<std::uint32_t>(policy->rules.size());
    PortSet ports;
    for (std::size_t at = 0; at < rule.ports.size();) {
      const std::size_t end = std::min(rule.ports.find(' ', at), rule.ports.size());
      static_cast<void>(ports.add(std::string_view(rule.ports).substr(at, end - at)));
      at = end + 1;
    }
    const std::uint32_t port_set = port_set_of(rule.ports);
    policy->names.add(NamePattern::parse(rule.pattern, Dialect::kNative).value(), index);
    policy->rules.push_back({100 + index, port_set, 0x80000000u | port_set, ports});
  }
  policy->names.freeze();
  return policy;
}

class ResolverLab final : public ReplySink, public UpstreamPort, public EventSink {
 public:
  struct Asked {
    std::uint64_t ticket = 0;
    Question question;
  };
  struct Replied {
    Client client;
    std::string message;
  };

  ResolverLab() = default;

  void reply(const Client& client, Bytes message) override {
    replies.push_back({client, std::string(message.begin(), message.end())});
    log.push_back("reply " + std::to_string(client.sandbox));
  }
  void ask(std::uint64_t ticket, const Question& question) override {
    asked.push_back({ticket, question});
    log.push_back("ask " + text_of(question.wire()));
  }
  void event(const egress_dns_event& event) override { events.push_back(event); }

  /// Puts a sandbox under a policy that the kernel enforces already.
  void sandbox(std::uint32_t id, const LabPolicy& policy, std::vector<std::string> search = {}) {
    SandboxView view{
        .id = id, .policy = make_policy(policy), .generation = 1, .staged = {}, .staged_generation = 0, .search = {}};
    for (const std::string& suffix : search) {
      view.search.push_back(DnsName::from_text(suffix).value());
    }
    resolver.set_sandbox(std::move(view), now);
  }

  Client client_of(std::uint32_t sandbox, bool tcp = false) const {
    return {.sandbox = sandbox,
            .from = {Address::parse("10.0.0.9").value(), 40000},
            .asked = {Address::parse("8.8.8.8").value(), 53},
            .scope = 0,
            .connection = tcp ? 1u : 0u};
  }

  void query(std::uint32_t sandbox, const TestMessage& message, bool tcp = false) {
    query_bytes(sandbox, message.bytes(), tcp);
  }
  void query_bytes(std::uint32_t sandbox, std::string_view message, bool tcp = false) {
    resolver.on_query(client_of(sandbox, tcp), bytes_of(message), now);
  }

  /// The upstream answers its oldest open question with these bytes' answer. Id and question are filled in.
  AnswerVerdict upstream_answers(TestMessage message) {
    const Asked open = asked.at(answered++);
    message.questions = {{open.question.name, open.question.type}};
    const std::string bytes = message.bytes();
    Answer answer;
    const AnswerVerdict verdict =
        parse_answer(bytes_of(bytes), {message.id, open.question.wire(), true, &open.question}, now, answer);
    if (verdict == AnswerVerdict::kUsable) {
      resolver.on_answer(open.ticket, std::move(answer), now);
    } else {
      resolver.on_failure(open.ticket, UpstreamFailure::kFailed, now);
    }
    return verdict;
  }
  void upstream_fails(UpstreamFailure why) { resolver.on_failure(asked.at(answered++).ticket, why, now); }

  /// Asks and has the upstream answer at once, if it is asked.
  void exchange(std::uint32_t sandbox, const TestMessage& query_message, std::vector<TestRecord> answers) {
    query(sandbox, query_message);
    if (answered < asked.size()) {
      upstream_answers(answer_for(".", 1, std::move(answers)));
    }
  }

  const egress_grant& grant_of(std::uint32_t sandbox, std::string_view address) const {
    return store.grants.at({sandbox, Address::parse(address).value()});
  }
  bool granted(std::uint32_t sandbox, std::string_view address) const {
    return store.grants.contains({sandbox, Address::parse(address).value()});
  }
  void pass_s(std::uint64_t seconds) { now = now + seconds * kNsPerS; }

  BootNs now{1'000'000 * kNsPerS};
  std::vector<std::string> log;
  std::deque<Replied> replies;
  std::vector<Asked> asked;
  std::size_t answered = 0;
  std::vector<egress_dns_event> events;
  FakeStore store{&log};
  GrantBook grants{store, 1, 1000};
  Resolver resolver{{*this, *this, *this, grants}};
};

}  // namespace postern::testing
