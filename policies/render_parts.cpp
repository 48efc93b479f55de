// SPDX-License-Identifier: Apache-2.0
//
// Pieces of objects and of address ranges that the writers share.
#include <algorithm>

#include "policies/never_list.h"
#include "policies/render_job.h"

namespace postern {
namespace {

void cut(const Prefix& prefix, const Prefix& hole, std::vector<Prefix>& left) {
  if (hole.contains(prefix)) {
    return;
  }
  if (!prefix.contains(hole)) {
    left.push_back(prefix);
    return;
  }
  const int bits = prefix.bits + 1;
  Address other = prefix.address;
  other.bytes[static_cast<std::size_t>(prefix.bits / 8)] |= static_cast<std::uint8_t>(0x80 >> (prefix.bits % 8));
  for (const Address& half : {prefix.address, other}) {
    cut({half, static_cast<std::uint8_t>(bits)}, hole, left);
  }
}

std::string_view word_of(LabelRequirement::Op op) {
  switch (op) {
    case LabelRequirement::Op::kIn:
      return "In";
    case LabelRequirement::Op::kNotIn:
      return "NotIn";
    case LabelRequirement::Op::kExists:
      return "Exists";
    case LabelRequirement::Op::kDoesNotExist:
      return "DoesNotExist";
  }
  return "Exists";
}

/// 64:ff9b::/96 in front of an IPv4 prefix (RFC 6052): the same addresses seen through NAT64.
Prefix nat64_of(const Prefix& v4) {
  Prefix prefix = v4;
  std::fill(prefix.address.bytes.begin(), prefix.address.bytes.begin() + 12, std::uint8_t{0});
  prefix.address.bytes[1] = 0x64;
  prefix.address.bytes[2] = 0xff;
  prefix.address.bytes[3] = 0x9b;
  return prefix;
}

std::vector<Prefix> never_and_nat64() {
  std::vector<Prefix> list(never_list().begin(), never_list().end());
  for (const Prefix& entry : never_list()) {
    if (entry.is_v4()) {
      list.push_back(nat64_of(entry));
    }
  }
  return list;
}

/// Splits a rule at a denial: what keeps all ports loses the denied range, what keeps the range the denied ports.
void cut_rule(const CidrRule& rule, const Prefix& denied, const PortSet& ports, std::vector<CidrRule>& left) {
  const PortSet common = rule.ports.and_in(ports);
  if (common.empty() || !(denied.contains(rule.prefix) || rule.prefix.contains(denied))) {
    left.push_back(rule);
    return;
  }
  CidrRule other_ports = rule;
  other_ports.ports = rule.ports.without(common);
  if (!other_ports.ports.empty()) {
    left.push_back(std::move(other_ports));
  }
  if (!denied.contains(rule.prefix)) {
    left.push_back(rule);
    left.back().ports = common;
    left.back().except.push_back(denied);
  }
}

}  // namespace

bool is_cluster_wide(const Policy& policy) {
  return policy.kind == "ClusterEgressPolicy" || policy.kind == "CiliumClusterwideNetworkPolicy" ||
         policy.kind == "ClusterNetworkPolicy";
}

PodSelector subject_of(RenderJob& job) {
  const Policy& policy = job.policy;
  if (policy.subject) {
    return *policy.subject;
  }
  PodSelector pods;
  pods.pods.labels["postern.dev/policy"] = policy.name;
  if (!is_cluster_wide(policy)) {
    pods.space = policy.space;
  }
  job.note("The source selects no pod; this one is for pods with the label postern.dev/policy: " + policy.name + ".");
  return pods;
}

std::vector<Prefix> without(const Prefix& prefix, const std::vector<Prefix>& holes) {
  std::vector<Prefix> left{prefix};
  for (const Prefix& hole : holes) {
    std::vector<Prefix> next;
    for (const Prefix& each : left) {
      cut(each, hole, next);
    }
    left = std::move(next);
  }
  return left;
}

std::vector<Prefix> prefixes_of(const CidrRule& rule) { return without(rule.prefix, rule.except); }

std::vector<CidrRule> less_denials(const Policy& policy) {
  std::vector<CidrRule> rules = policy.allow_cidrs;
  for (const CidrRule& deny : policy.deny_cidrs) {
    for (const Prefix& denied : prefixes_of(deny)) {
      std::vector<CidrRule> next;
      for (const CidrRule& rule : rules) {
        cut_rule(rule, denied, deny.ports, next);
      }
      rules = std::move(next);
    }
  }
  return rules;
}

std::vector<Prefix> never_opened(const Policy& policy) {
  std::vector<Prefix> opened;
  for (const CidrRule& rule : policy.allow_cidrs) {
    if (opens_never_listed(rule.prefix)) {
      opened.push_back(rule.prefix);
    }
  }
  std::vector<Prefix> list;
  for (const Prefix& entry : never_and_nat64()) {
    std::ranges::move(without(entry, opened), std::back_inserter(list));
  }
  return list;
}

CidrRule without_never_list(CidrRule rule) {
  for (const Prefix& entry : never_and_nat64()) {
    if (rule.prefix.bits < entry.bits && rule.prefix.contains(entry)) {
      rule.except.push_back(entry);
    }
  }
  return rule;
}

YamlOut object_head(std::string_view version,
                    std::string_view kind,
                    const std::string& name,
                    const std::string& space) {
  YamlOut metadata = YamlOut::map();
  metadata.set("name", YamlOut::text(name));
  if (!space.empty()) {
    metadata.set("namespace", YamlOut::text(space));
  }
  YamlOut object = YamlOut::map();
  object.set("apiVersion", YamlOut::text(std::string(version)))
      .set("kind", YamlOut::text(std::string(kind)))
      .set("metadata", metadata);
  return object;
}

YamlOut selector_out(const LabelSelector& selector) {
  YamlOut out = YamlOut::map();
  YamlOut requirements = YamlOut::list();
  Labels plain = selector.labels;
  for (const LabelRequirement& requirement : selector.requirements) {
    const bool one = requirement.op == LabelRequirement::Op::kIn && requirement.values.size() == 1;
    if (one && plain.try_emplace(requirement.key, requirement.values[0]).first->second == requirement.values[0]) {
      continue;  // the same in fewer words
    }
    YamlOut item = YamlOut::map();
    item.set("key", YamlOut::text(requirement.key))
        .set("operator", YamlOut::text(std::string(word_of(requirement.op))));
    if (!requirement.values.empty()) {
      item.set("values", YamlOut::list_of(requirement.values).on_one_line());
    }
    requirements.add(item);
  }
  if (!plain.empty()) {
    YamlOut labels = YamlOut::map();
    for (const auto& [key, value] : plain) {
      labels.set(key, YamlOut::text(value));
    }
    out.set("matchLabels", labels);
  }
  if (!requirements.empty()) {
    out.set("matchExpressions", requirements);
  }
  return out;
}

std::vector<PortRange> ranges_of(const PortSet& ports, const std::string& what, RenderJob& job) {
  std::vector<PortRange> ranges;
  for (PortRange range : ports.ranges()) {
    if (range.protocol == kProtocolIcmp) {
      job.lose("echo to " + what, "a rule for ping cannot be written there");
      continue;
    }
    range.first = std::max<std::uint16_t>(range.first, 1);  // nothing listens on port 0
    if (range.first <= range.last) {
      ranges.push_back(range);
    }
  }
  return ranges;
}

PortsOut network_ports_out(const PortSet& ports, const std::string& what, RenderJob& job) {
  if (ports.is_all()) {
    return {std::nullopt, true};
  }
  YamlOut list = YamlOut::list();
  for (const PortRange& range : ranges_of(ports, what, job)) {
    YamlOut item = YamlOut::map();
    item.set("protocol", YamlOut::text(range.protocol == kProtocolUdp ? "UDP" : "TCP"));
    if (range.first > 1 || range.last < 65535) {
      item.set("port", YamlOut::number(range.first));
      if (range.last != range.first) {
        item.set("endPort", YamlOut::number(range.last));
      }
    }
    list.add(item.on_one_line());
  }
  const bool ok = !list.empty();
  return {std::move(list), ok};
}

YamlOut kube_dns_peer() {
  LabelSelector spaces;
  spaces.labels[std::string(kNamespaceNameLabel)] = "kube-system";
  LabelSelector pods;
  pods.labels["k8s-app"] = "kube-dns";
  YamlOut peer = YamlOut::map();
  peer.set("namespaceSelector", selector_out(spaces)).set("podSelector", selector_out(pods));
  return peer;
}

PortSet dns_ports() {
  PortSet ports;
  ports.add(PortRange{kProtocolUdp, 53, 53});
  ports.add(PortRange{kProtocolTcp, 53, 53});
  return ports;
}

}  // namespace postern
