// SPDX-License-Identifier: Apache-2.0
#include "agent/feed_writer.h"

#include <map>

#include "api/dns_feed.h"
#include "api/dns_feed.pb.h"
#include "api/observer_feed.pb.h"
#include "policies/denial.h"

namespace postern {
namespace {

std::string bytes_of(const Address& address) {
  return {reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size()};
}

/// The owner of a rule's merged grants.
std::map<std::uint32_t, std::uint32_t> groups_by_rule(const PolicyImage& image) {
  std::map<std::uint32_t, std::uint32_t> groups;
  for (const RuleGroup& group : image.groups) {
    for (const std::uint32_t member : group.members) {
      groups[member] = group.id;
    }
  }
  return groups;
}

}  // namespace

std::string settings_feed(const std::vector<Endpoint>& upstreams, std::uint32_t grant_s_min) {
  api::DnsSettings settings;
  for (const Endpoint& upstream : upstreams) {
    auto& added = *settings.add_upstreams();
    added.set_address(bytes_of(upstream.address));
    added.set_port(upstream.port);
  }
  settings.set_grant_s_min(grant_s_min);
  return settings.SerializeAsString();
}

std::string policy_feed(std::uint32_t id, const PolicyImage& image, const PortSetOf& port_set_of) {
  api::DnsPolicy policy;
  policy.set_id(id);
  policy.set_name(image.name);
  const auto groups = groups_by_rule(image);
  for (const Rule& rule : image.rules) {
    if (!rule.pattern) {
      continue;
    }
    auto& added = *policy.add_rules();
    added.set_pattern(rule.pattern->labels().bytes());
    added.set_below(rule.pattern->below());
    added.set_id(rule.id);
    added.set_port_set(port_set_of(rule.ports));
    const auto group = groups.find(rule.id);
    added.set_group(group == groups.end() ? 0 : group->second);
    added.set_all_ports(rule.ports.is_all());
    for (const PortRange& range : rule.ports.ranges()) {
      auto& ports = *added.add_ports();
      ports.set_protocol(range.protocol);
      ports.set_first(range.first);
      ports.set_last(range.last);
    }
  }
  for (const Prefix& prefix : image.dns.private_allowed) {
    auto& added = *policy.add_private_allowed();
    added.set_address(bytes_of(prefix.address));
    added.set_bits(prefix.bits);
  }
  policy.set_grace_s(static_cast<std::uint32_t>(image.dns.grace_s));
  const DenialTail tail = make_denial_tail(image.dns.denial_text);
  policy.set_denial_soa(tail.soa);
  policy.set_denial_opt(tail.opt);
  return policy.SerializeAsString();
}

std::string sandbox_feed(const Sandbox& sandbox, const SandboxPolicies& policies) {
  api::DnsSandbox message;
  message.set_id(sandbox.id);
  message.set_policy(policies.policy);
  message.set_generation(policies.generation);
  message.set_staged_policy(policies.staged_policy);
  message.set_staged_generation(policies.staged_generation);
  for (const DnsName& suffix : sandbox.search) {
    message.add_search(suffix.bytes());
  }
  return message.SerializeAsString();
}

std::string observer_node(const std::string& name) {
  api::ObserverUpdate update;
  update.mutable_node()->set_name(name);
  return update.SerializeAsString();
}

std::string observer_sandbox(const Sandbox& sandbox, const std::map<std::string, std::string>* labels) {
  api::ObserverUpdate update;
  auto& put = *update.mutable_put_sandbox();
  put.set_id(sandbox.id);
  put.set_interface(sandbox.interface);
  put.set_ifindex(sandbox.ifindex);
  put.set_policy(sandbox.policy_id);
  put.set_namespace_(sandbox.pod.space);
  put.set_pod(sandbox.pod.name);
  if (labels != nullptr) {
    for (const auto& [key, value] : *labels) {
      std::string& label = *put.add_labels();
      label.append(key).append("=").append(value);
    }
  }
  for (const Address& address : sandbox.addresses) {
    put.add_addresses(bytes_of(address));
  }
  return update.SerializeAsString();
}

std::string observer_sandbox_gone(std::uint32_t id) {
  api::ObserverUpdate update;
  update.set_erase_sandbox(id);
  return update.SerializeAsString();
}

std::string observer_policy(std::uint32_t id, const PolicyImage& image) {
  api::ObserverUpdate update;
  auto& put = *update.mutable_put_policy();
  put.set_id(id);
  put.set_name(image.name);
  put.set_namespace_(image.space);
  for (const Rule& rule : image.rules) {
    auto& added = *put.add_rules();
    added.set_id(rule.id);
    added.set_text(rule.to_string());
    added.set_origin(rule.origin.to_string());
    added.set_deny(rule.kind == RuleKind::kDenyCidr || rule.kind == RuleKind::kClosed);
  }
  return update.SerializeAsString();
}

std::string observer_policy_gone(std::uint32_t id) {
  api::ObserverUpdate update;
  update.set_erase_policy(id);
  return update.SerializeAsString();
}

}  // namespace postern
