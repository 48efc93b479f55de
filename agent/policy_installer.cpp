// SPDX-License-Identifier: Apache-2.0
#include "agent/policy_installer.h"

#include <utility>

#include "agent/feed_writer.h"
#include "base/log.h"

namespace postern {

PolicyInstaller::PolicyInstaller(Gate& gate, DnsLink& dns) : gate_(gate), dns_(dns), port_sets_(gate.port_sets()) {}

Result<std::uint32_t> PolicyInstaller::hold(InstalledPolicy& policy, const PortSet& ports) {
  auto id = port_sets_.acquire(ports);
  if (id) {
    policy.port_sets.push_back(*id);
  }
  return id;
}

Result<std::vector<CidrTableEntry>> PolicyInstaller::cidr_entries(InstalledPolicy& policy) {
  std::vector<CidrTableEntry> entries;
  entries.reserve(policy.image->cidrs.size());
  for (const CidrEntry& cidr : policy.image->cidrs) {
    const CidrVerdict& verdict = cidr.verdict;
    CidrTableEntry entry{};
    entry.key.prefix_bits = cidr.prefix.bits;
    entry.key.addr = to_kernel(cidr.prefix.address);
    entry.rule.deny_rule = verdict.deny_rule;
    entry.rule.allow_rule = verdict.allow_rule;
    entry.rule.inbound_rule = verdict.inbound_rule;
    const struct {
      const PortSet& ports;
      std::uint32_t& id;
    } sets[] = {{verdict.deny, entry.rule.deny_ports},
                {verdict.allow, entry.rule.allow_ports},
                {verdict.narrow, entry.rule.narrow_ports},
                {verdict.inbound, entry.rule.inbound_ports}};
    for (const auto& set : sets) {
      auto id = hold(policy, set.ports);
      if (!id) {
        return std::move(id).error();
      }
      set.id = *id;
    }
    entries.push_back(entry);
  }
  return entries;
}

Result<std::shared_ptr<InstalledPolicy>> PolicyInstaller::install(std::shared_ptr<const PolicyImage> image) {
  auto policy = std::make_shared<InstalledPolicy>();
  policy->image = std::move(image);
  auto id = gate_.next_policy_id();
  if (!id) {
    return std::move(id).error();
  }
  policy->id = *id;
  auto entries = cidr_entries(*policy);
  Result<> made = entries ? Result<>() : Result<>(entries.error());
  // Placing a table waits for every program that runs (tens of ms), so there is none for no prefixes.
  if (made && !entries->empty()) {
    policy->has_cidrs = true;
    made = gate_.make_cidrs(policy->id, *entries);
  }
  for (const Rule& rule : policy->image->rules) {
    if (made && (rule.kind == RuleKind::kAllowName || rule.kind == RuleKind::kLookupOnly)) {
      auto held = hold(*policy, rule.ports);
      made = held ? Result<>() : Result<>(std::move(held).error());
    }
  }
  if (!made) {
    remove(*policy);
    return std::move(made).error().within("policy " + policy->image->name);
  }
  const auto port_set_of = [&](const PortSet& ports) {
    auto known = port_sets_.acquire(ports);  // held already: this only looks it up
    if (known) {
      port_sets_.release(*known);
    }
    return known ? *known : std::uint32_t{EGRESS_PORTS_NONE};
  };
  dns_.put(FeedKind::kPolicy, policy->id, policy_feed(policy->id, *policy->image, port_set_of));
  return policy;
}

Result<> PolicyInstaller::allow_name(
    InstalledPolicy& policy, std::uint32_t name, std::uint32_t rule, const PortSet& ports, std::uint32_t allowed_by) {
  auto set = hold(policy, ports);
  if (!set) {
    return std::move(set).error();
  }
  const egress_name_ok_key key{policy.id, name, rule};
  POSTERN_RETURN_IF_ERROR(gate_.name_ok().update(key, egress_name_ok{*set, allowed_by}));
  policy.names_ok.push_back(key);
  return {};
}

Result<> PolicyInstaller::judge_names(InstalledPolicy& policy) {
  const PolicyImage& image = *policy.image;
  Result<> judged = gate_.names().for_each([&](std::uint32_t id, const egress_name& name) -> Result<> {
    const Wire wire{name.wire, name.length};
    const NameMatch match = image.names.match(wire);
    const PortSet ports = match.matched() ? image.ports_of(wire) : PortSet();
    return ports.empty() ? Result<>() : allow_name(policy, id, 0, ports, image.rules[match.rules[0]].id);
  });
  // Grants that went over to a rule or a group: the same id means the same rule.
  for (const Rule& rule : image.rules) {
    if (judged && rule.kind == RuleKind::kAllowName) {
      judged = allow_name(policy, 0, rule.id, rule.ports, rule.id);
    }
  }
  for (const RuleGroup& group : image.groups) {
    if (judged) {
      judged = allow_name(policy, 0, group.id, group.ports, group.id);
    }
  }
  return judged;
}

void PolicyInstaller::remove(InstalledPolicy& policy) {
  dns_.erase(FeedKind::kPolicy, policy.id);
  if (std::exchange(policy.has_cidrs, false)) {
    static_cast<void>(gate_.drop_cidrs(policy.id));
  }
  for (const egress_name_ok_key& key : policy.names_ok) {
    static_cast<void>(gate_.name_ok().erase(key));
  }
  for (const std::uint32_t id : policy.port_sets) {
    port_sets_.release(id);
  }
  policy.names_ok.clear();
  policy.port_sets.clear();
}

void PolicyInstaller::forget_inherited(const std::set<std::uint32_t>& ours) {
  const auto tables = gate_.policies();
  for (const std::uint32_t id : tables ? *tables : std::vector<std::uint32_t>()) {
    if (!ours.contains(id)) {
      static_cast<void>(gate_.drop_cidrs(id));
    }
  }
  std::vector<egress_name_ok_key> old;
  static_cast<void>(gate_.name_ok().for_each([&](const egress_name_ok_key& key, const egress_name_ok&) -> Result<> {
    if (!ours.contains(key.policy)) {
      old.push_back(key);
    }
    return {};
  }));
  for (const egress_name_ok_key& key : old) {
    static_cast<void>(gate_.name_ok().erase(key));
  }
  port_sets_.forget_inherited();
}

}  // namespace postern
