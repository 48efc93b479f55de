// SPDX-License-Identifier: Apache-2.0
#include "agent/observer/flow_parts.h"

#include <endian.h>

#include <algorithm>
#include <cstring>

#include "base/clock.h"
#include "bpf/reasons.h"

namespace postern {
namespace {

const RuleInfo* rule_of(const PolicyInfo* policy, std::uint32_t rule) {
  if (policy == nullptr || rule == 0) {
    return nullptr;
  }
  const auto found = policy->rules.find(rule);
  return found == policy->rules.end() ? nullptr : &found->second;
}

void fill_end(flow::Endpoint& end, const SandboxInfo& sandbox) {
  end.set_id(sandbox.id);
  end.set_identity(kIdentityFirst + sandbox.id % (kIdentityEnd - kIdentityFirst));
  end.set_namespace_(sandbox.space);
  end.set_pod_name(sandbox.pod);
  end.add_labels("k8s:io.kubernetes.pod.namespace=" + sandbox.space);
  for (const std::string& label : sandbox.labels) {
    end.add_labels(label.find(':') == std::string::npos ? "k8s:" + label : label);
  }
  const auto is_app = [](const std::string& label) { return label.starts_with("k8s:app="); };
  if (std::none_of(end.labels().begin(), end.labels().end(), is_app)) {
    end.add_labels("k8s:app=" + sandbox.pod);  // the caption of its card in Hubble's UI
  }
}

}  // namespace

Address address_of(const egress_addr& raw) {
  Address address;
  static_assert(sizeof(raw) == sizeof(address.bytes));
  std::memcpy(address.bytes.data(), &raw, sizeof(raw));
  return address;
}

std::uint16_t host_order(__be16 port) { return be16toh(port); }

std::int64_t unix_time_ns(std::uint64_t boot_ns, std::int64_t boot_to_unix_ns) {
  constexpr std::uint64_t kBootNsMax = std::uint64_t{1} << 62;  // 146 years
  return std::max<std::int64_t>(static_cast<std::int64_t>(std::min(boot_ns, kBootNsMax)) + boot_to_unix_ns, 0);
}

void set_time(flow::Flow& flow, std::uint64_t boot_ns, const FlowContext& context) {
  const std::int64_t unix_ns = unix_time_ns(boot_ns, context.boot_to_unix_ns);
  flow.mutable_time()->set_seconds(unix_ns / static_cast<std::int64_t>(kNsPerS));
  flow.mutable_time()->set_nanos(static_cast<std::int32_t>(unix_ns % static_cast<std::int64_t>(kNsPerS)));
}

void set_sandbox_end(flow::Endpoint& end, std::uint32_t sandbox, const FlowContext& context) {
  if (const SandboxInfo* info = context.directory.sandbox(sandbox)) {
    fill_end(end, *info);
    return;
  }
  SandboxInfo unknown;
  unknown.id = sandbox;
  unknown.space = kDefaultSpace;
  unknown.pod = "sandbox-" + std::to_string(sandbox);
  fill_end(end, unknown);
}

void set_peer_end(flow::Endpoint& end, const Address& address, const FlowContext& context) {
  if (const SandboxInfo* info = context.directory.sandbox_at(address)) {
    fill_end(end, *info);
    return;
  }
  end.set_identity(kIdentityWorld);
  end.add_labels(std::string(kLabelWorld));
}

void set_ip(flow::Flow& flow, const Address& source, const Address& destination) {
  flow.mutable_ip()->set_source(source.to_string());
  flow.mutable_ip()->set_destination(destination.to_string());
  flow.mutable_ip()->set_ipversion(destination.is_v4() ? flow::IPv4 : flow::IPv6);
}

void set_drop(flow::Flow& flow, flow::DropReason drop) {
  flow.set_drop_reason(static_cast<std::uint32_t>(drop));
  flow.set_drop_reason_desc(drop);
}

void set_outcome(flow::Flow& flow, unsigned reason) {
  const Outcome outcome = outcome_of(reason);
  flow.set_verdict(outcome.verdict);
  auto& type = *flow.mutable_event_type();
  switch (outcome.verdict) {
    case flow::DROPPED:
      set_drop(flow, outcome.drop);
      type.set_type(kEventDrop);
      type.set_sub_type(outcome.drop);
      return;
    case flow::REDIRECTED:
      type.set_type(kEventTrace);
      type.set_sub_type(kTraceToProxy);
      flow.set_trace_observation_point(flow::TO_PROXY);
      flow.mutable_is_reply()->set_value(reason == EGRESS_REASON_DNS_ANSWER);
      return;
    default:
      type.set_type(kEventPolicyVerdict);
      flow.set_policy_match_type(kMatchL3L4);
      flow.mutable_is_reply()->set_value(false);
      return;
  }
}

void set_cause(
    flow::Flow& flow, unsigned reason, std::uint32_t policy, std::uint32_t rule, const FlowContext& context) {
  flow.add_policy_log(std::string("reason=") + egress_reason_label(reason));
  const PolicyInfo* by = context.directory.policy(policy);
  const RuleInfo* of = rule_of(by, rule);
  if (of == nullptr) {
    return;
  }
  flow.add_policy_log("rule=" + of->text);
  flow.add_policy_log("origin=" + of->origin);
  const bool in = flow.traffic_direction() == flow::INGRESS;
  const bool denied = flow.verdict() == flow::DROPPED;
  if (denied && !of->deny) {
    return;  // an allow rule that no longer holds, or not on this port: nothing denied but its absence
  }
  auto& shown = denied ? *(in ? flow.add_ingress_denied_by() : flow.add_egress_denied_by())
                       : *(in ? flow.add_ingress_allowed_by() : flow.add_egress_allowed_by());
  shown.set_kind("EgressPolicy");
  shown.set_name(by->name);
  shown.set_namespace_(by->space);
  shown.add_labels("postern:rule=" + of->text);
  shown.add_labels("postern:origin=" + of->origin);
}

std::string rule_words(std::uint32_t policy, std::uint32_t rule, const FlowContext& context) {
  const RuleInfo* of = rule_of(context.directory.policy(policy), rule);
  return of == nullptr ? "" : " by " + of->text + " (" + of->origin + ")";
}

}  // namespace postern
