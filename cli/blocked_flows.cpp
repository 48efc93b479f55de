// SPDX-License-Identifier: Apache-2.0
#include "cli/blocked_flows.h"

#include <algorithm>

#include "cli/flow_text.h"
#include "policies/dns_name.h"

namespace postern {
namespace {

// Labels of bpf/reasons.h that mean something else to whoever writes the policy; a test compares them.
constexpr std::string_view kGrantExpired = "lookup expired";
constexpr std::string_view kPolicyChanged = "no longer allowed by policy";
constexpr std::string_view kInboundDenied = "inbound not allowed";
constexpr std::string_view kTypeDenied = "record type not allowed";
constexpr std::string_view kAddressDenied = "every address in the answer is forbidden";
constexpr std::string_view kNodeAddress = "address of the node";

bool before(const google::protobuf::Timestamp& a, const google::protobuf::Timestamp& b) {
  return a.seconds() != b.seconds() ? a.seconds() < b.seconds() : a.nanos() < b.nanos();
}

/// ", ports: [8443, 53/udp]"; nothing for what a rule opens by itself.
std::string ports_item(const flow::Flow& flow) {
  const std::string protocol = protocol_text(flow);
  const std::uint32_t port = destination_port(flow);
  if (protocol == "icmp") {
    return ", ports: [echo]";
  }
  return protocol == "tcp" && port == 443 ? "" : ", ports: [" + std::to_string(port) + "/" + protocol + "]";
}

bool can_be_a_rule(const std::string& name) { return DnsName::from_text(name) && name.find('.') != std::string::npos; }

std::string name_hint(const flow::Flow& flow, const std::string& reason) {
  const std::string name = flow.destination_names().empty() ? "" : flow.destination_names(0);
  if (reason == kTypeDenied) {
    return "-";  // the name is allowed already, for addresses
  }
  if (reason == kAddressDenied) {
    return "if the private address is meant: dns: {private: [ITS-PREFIX]}";
  }
  return can_be_a_rule(name) ? "- {names: [" + terminal_safe(name) + "]}" : "-";
}

std::string packet_hint(const flow::Flow& flow, const std::string& reason) {
  const std::string name = flow.destination_names().empty() ? "" : flow.destination_names(0);
  const std::string protocol = protocol_text(flow);
  if (reason == kGrantExpired) {
    return "look the name up again: its rule still holds";
  }
  if (reason == kInboundDenied || protocol.empty() || protocol == "sctp") {
    return "-";
  }
  if (can_be_a_rule(name) && reason != kPolicyChanged) {
    return "- {names: [" + terminal_safe(name) + "]" + ports_item(flow) + "}";
  }
  const std::string bits = flow.ip().ipversion() == flow::IPv6 ? "/128" : "/32";
  return "- {cidrs: [\"" + terminal_safe(flow.ip().destination()) + bits + "\"]" + ports_item(flow) + "}";
}

}  // namespace

std::string allow_hint(const flow::Flow& flow) {
  const std::string reason = log_value(flow, "reason");
  const std::string rule = log_value(flow, "rule");
  if (flow.l7().has_dns()) {
    return flow.drop_reason_desc() == flow::POLICY_DENIED ? name_hint(flow, reason) : "-";
  }
  if (flow.drop_reason_desc() == flow::POLICY_DENY && !rule.empty()) {
    return "a rule denies it: " + rule + " (" + log_value(flow, "origin") + ")";
  }
  const bool by_policy = flow.drop_reason_desc() == flow::POLICY_DENIED || flow.drop_reason_desc() == flow::POLICY_DENY;
  return by_policy && reason != kNodeAddress ? packet_hint(flow, reason) : "-";
}

void BlockedFlows::add(const flow::Flow& flow) {
  if (flow.verdict() != flow::DROPPED || flow.traffic_direction() == flow::INGRESS) {
    return;
  }
  const FlowWords words = words_of(flow);
  std::string reason = log_value(flow, "reason");
  if (reason.empty()) {
    reason = flow::DropReason_Name(flow.drop_reason_desc());
  }
  // A name that was asked for as A and as AAAA is one thing.
  const bool by_name = flow.l7().has_dns() && !flow.destination_names().empty() && reason != kTypeDenied;
  const std::string tried = by_name ? terminal_safe(flow.destination_names(0)) : words.peer;
  const Key key{words.sandbox, tried, reason};
  auto found = rows_.find(key);
  if (found == rows_.end()) {
    if (rows_.size() >= kRowsMax) {
      ++left_out_;
      return;
    }
    BlockedRow row{words.sandbox, tried, reason, allow_hint(flow), 0, flow.time(), flow.time()};
    found = rows_.emplace(key, std::move(row)).first;
  }
  BlockedRow& row = found->second;
  ++row.count;
  row.first = before(flow.time(), row.first) ? flow.time() : row.first;
  row.last = before(row.last, flow.time()) ? flow.time() : row.last;
}

std::vector<BlockedRow> BlockedFlows::rows() const {
  std::vector<BlockedRow> rows;
  for (const auto& [key, row] : rows_) {
    rows.push_back(row);
  }
  std::ranges::stable_sort(rows, [](const BlockedRow& a, const BlockedRow& b) {
    const bool a_helps = a.allow != "-";
    const bool b_helps = b.allow != "-";
    return a_helps != b_helps ? a_helps : a.count > b.count;
  });
  return rows;
}

}  // namespace postern
