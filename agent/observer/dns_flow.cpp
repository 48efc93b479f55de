// SPDX-License-Identifier: Apache-2.0
//
// The half of event_flow.h about DNS messages.
#include <stdbool.h>  // without it ldns.h defines bool, true and false as macros

#include <ldns/ldns.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "agent/observer/flow_parts.h"
#include "base/clock.h"
#include "bpf/reasons.h"
#include "policies/dns_name.h"

namespace postern {
namespace {

constexpr std::uint32_t kDnsPort = 53;

std::string type_text(std::uint16_t type) {
  const std::unique_ptr<char, decltype(&free)> text(ldns_rr_type2str(static_cast<ldns_rr_type>(type)), &free);
  return text == nullptr ? "TYPE" + std::to_string(type) : text.get();
}

/// Hubble's words for the codes that occur, RFC 1035 4.1.1.
std::string rcode_text(unsigned rcode) {
  switch (rcode) {
    case 1:
      return "Format Error";
    case 2:
      return "Server Failure";
    case 3:
      return "Non-Existent Domain";
    case 4:
      return "Not Implemented";
    case 5:
      return "Query Refused";
    default:
      return std::to_string(rcode);
  }
}

struct Question {
  std::string name;  ///< Lower case, without the final dot; "." for the root, "?" for no name.
  std::string type;

  bool named() const { return name != "." && name != "?"; }
  std::string dotted() const { return named() ? name + "." : name; }
  std::string words() const { return dotted() + " " + type; }
};

Question question_of(const egress_dns_event& event) {
  std::string wire(reinterpret_cast<const char*>(event.wire), event.name_length);
  // A length byte is at most 63, so lowering letters leaves it alone.
  std::ranges::transform(wire, wire.begin(),
                         [](char c) { return static_cast<char>(lower(static_cast<std::uint8_t>(c))); });
  return {text_of({reinterpret_cast<const std::uint8_t*>(wire.data()), wire.size()}), type_text(event.qtype)};
}

/// What both messages of an exchange have: from `source` to `destination`, the sandbox at one end.
flow::Flow message_flow(const egress_dns_event& event,
                        const Question& question,
                        bool answer,
                        const FlowContext& context) {
  flow::Flow flow;
  const Address client = address_of(event.client);
  const Address server = address_of(event.server);
  flow.set_type(flow::L7);
  flow.set_traffic_direction(flow::EGRESS);
  flow.mutable_event_type()->set_type(kEventL7);
  flow.mutable_is_reply()->set_value(answer);
  set_ip(flow, answer ? server : client, answer ? client : server);
  const std::uint32_t port = host_order(event.client_port);
  const auto set_ports = [&](auto& l4) {
    l4.set_source_port(answer ? kDnsPort : port);
    l4.set_destination_port(answer ? port : kDnsPort);
  };
  if (event.protocol == IPPROTO_TCP) {
    set_ports(*flow.mutable_l4()->mutable_tcp());
  } else {
    set_ports(*flow.mutable_l4()->mutable_udp());
  }
  set_sandbox_end(answer ? *flow.mutable_destination() : *flow.mutable_source(), event.sandbox, context);
  set_peer_end(answer ? *flow.mutable_source() : *flow.mutable_destination(), server, context);
  auto& dns = *flow.mutable_l7()->mutable_dns();
  flow.mutable_l7()->set_type(answer ? flow::RESPONSE : flow::REQUEST);
  dns.set_query(question.dotted());
  dns.set_observation_source("proxy");
  dns.add_qtypes(question.type);
  return flow;
}

/// A denied question: its destination is what was asked for, not the server that was asked.
void name_destination(flow::Flow& flow, const Question& question) {
  flow.clear_destination();
  flow.mutable_destination()->set_identity(kIdentityWorld);
  flow.mutable_destination()->add_labels(std::string(kLabelWorld));
  if (question.named()) {
    flow.add_destination_names(question.name);
  }
}

flow::Flow question_flow(const egress_dns_event& event, const Question& question, const FlowContext& context) {
  flow::Flow flow = message_flow(event, question, false, context);
  set_time(flow, BootNs{event.time_boot_ns} - BootNs{event.latency_us * kNsPerUs}, context);
  const Outcome outcome = outcome_of(event.reason);
  flow.set_verdict(outcome.verdict);
  std::string summary = "DNS Query " + question.words();
  if (outcome.verdict == flow::DROPPED) {
    set_drop(flow, outcome.drop);
    name_destination(flow, question);
  }
  if (outcome.verdict != flow::FORWARDED) {
    summary += std::string("; ") + egress_reason_label(event.reason);
    flow.mutable_l7()->mutable_dns()->set_rcode(event.rcode);
  }
  set_cause(flow, event.reason, event.policy, event.rule, context);
  flow.set_summary(summary + rule_words(event.policy, event.rule, context));
  return flow;
}

flow::Flow answer_flow(const egress_dns_event& event, const Question& question, const FlowContext& context) {
  flow::Flow flow = message_flow(event, question, true, context);
  set_time(flow, event.time_boot_ns, context);
  flow.set_verdict(outcome_of(event.reason).verdict);
  flow.mutable_l7()->set_latency_ns(event.latency_us * kNsPerUs);
  auto& dns = *flow.mutable_l7()->mutable_dns();
  dns.set_rcode(event.rcode);
  std::string ips;
  const auto count = std::min<unsigned>(event.addr_count, EGRESS_DNS_EVENT_ADDRS);
  for (unsigned i = 0; i < count; ++i) {
    dns.add_ips(address_of(event.addrs[i]).to_string());
    ips += (ips.empty() ? "" : ",") + dns.ips(static_cast<int>(i));
  }
  std::string summary = "DNS Answer ";
  if (count > 0) {
    dns.add_rrtypes(question.type);
    dns.set_ttl(event.ttl_s);
    const std::string more = event.more_addrs > 0 ? " and " + std::to_string(event.more_addrs) + " more" : "";
    summary += "\"" + ips + "\"" + more + " TTL: " + std::to_string(event.ttl_s);
  } else {
    summary += event.rcode == 0 ? "without data" : "RCode: " + rcode_text(event.rcode);
  }
  set_cause(flow, event.reason, event.policy, event.rule, context);
  flow.set_summary(summary + " (Proxy " + question.words() + ")");
  return flow;
}

}  // namespace

std::vector<flow::Flow> dns_flows(const egress_dns_event& event, const FlowContext& context) {
  std::vector<flow::Flow> flows;
  const flow::Verdict verdict = outcome_of(event.reason).verdict;
  if (verdict == flow::VERDICT_UNKNOWN) {
    return flows;
  }
  static_assert(sizeof(event.wire) >= 255, "any name_length is within the record");
  const Question question = question_of(event);
  if (event.answer == 0) {
    flows.push_back(question_flow(event, question, context));
  }
  if (event.answer != 0 || verdict == flow::FORWARDED) {
    flows.push_back(answer_flow(event, question, context));
  }
  return flows;
}

}  // namespace postern
