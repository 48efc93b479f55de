// SPDX-License-Identifier: Apache-2.0
#include "policies/family_rules.h"

#include <algorithm>
#include <map>

namespace postern {
namespace {

bool is_flat(Family family) { return family == Family::kNative || family == Family::kCilium; }

bool has_namespaced_tier(Family family) { return family != Family::kNative && family != Family::kNetworkPolicy; }

}  // namespace

Rank rank_of(const Policy& policy, const RuleOrder& order, RuleAction action) {
  return {policy.tier, is_flat(policy.family) ? RuleOrder() : order, action};
}

std::string FamilyRules::title() const {
  std::string text;
  for (const Policy* policy : policies) {
    const std::string path = policy->space.empty() ? policy->name : policy->space + "/" + policy->name;
    text += (text.empty() ? "" : ", ") + policy->kind + " " + path;
  }
  return text;
}

std::vector<FamilyRules> sort_families(const std::vector<const Policy*>& policies) {
  std::map<Family, FamilyRules> sorted;
  std::vector<const Policy*> network;
  std::vector<FamilyRules> alone;
  for (const Policy* policy : policies) {
    if (policy->stands_alone) {
      alone.push_back({policy->family, {policy}, true, true, false});
    } else if (policy->family == Family::kNetworkPolicy) {
      network.push_back(policy);
    } else {
      sorted[policy->family].policies.push_back(policy);
    }
  }
  bool joined = network.empty();
  for (auto& [family, rules] : sorted) {
    if (has_namespaced_tier(family)) {
      rules.policies.insert(rules.policies.end(), network.begin(), network.end());
      joined = true;
    }
  }
  if (!joined) {
    sorted[Family::kNetworkPolicy].policies = network;
  }
  std::vector<FamilyRules> families;
  for (auto& [family, rules] : sorted) {
    rules.family = family;
    rules.denies_rest = std::ranges::any_of(rules.policies, &Policy::denies_by_default);
    rules.ends_at_application = !is_flat(family) && rules.denies_rest;
    rules.denials_cut_names = is_flat(family);
    families.push_back(std::move(rules));
  }
  std::ranges::move(alone, std::back_inserter(families));
  return families;
}

void resolve(FamilyRules& family, const Inventory& inventory) {
  for (const Policy* policy : family.policies) {
    for (ResolvedCidr& resolved : resolve_cidrs(*policy, inventory)) {
      family.cidrs.push_back({policy, std::move(resolved)});
    }
  }
}

namespace {

/// A rule that speaks of every IPv4 address, and so of whatever a name may resolve to.
struct WorldRule {
  Rank rank;
  PortSet ports;
};

/// One family's name rules, with the ports that rules asked before them leave.
class FamilyNames {
 public:
  FamilyNames(const FamilyRules& family, std::vector<std::string>& narrowed) : family_(family), narrowed_(narrowed) {
    for (const OwnedCidr& cidr : family.cidrs) {
      read_cidr(*cidr.owner, cidr.resolved);
    }
    for (const Policy* policy : family.policies) {
      for (const PeerRule& peer : policy->peers) {
        opens_dns_ = opens_dns_ || opens_dns(peer);
      }
    }
    std::ranges::sort(before_, {}, &WorldRule::rank);
    for (const Policy* policy : family.policies) {
      for (const NameRule& name : policy->allow_names) {
        add(*policy, name);
      }
    }
    narrow_lone_star();
  }

  std::vector<JoinedName>& rules() { return rules_; }
  const std::optional<Rank>& last_opening() const { return last_; }
  /// A rule says something about port 53, or nothing is denied that no rule speaks of.
  bool opens_dns() const { return opens_dns_ || !family_.denies_rest; }
  /// Ports that are open to the whole world, without a lookup.
  PortSet world() const { return family_.denies_rest ? world_v4_.and_in(world_v6_) : PortSet(); }

 private:
  static bool has_dns_port(const PortSet& ports) {
    return ports.contains(kProtocolUdp, 53) || ports.contains(kProtocolTcp, 53);
  }

  /// The way to a name server, by port 53 as such. Who the peer is, the inventory need not know for that.
  static bool opens_dns(const PeerRule& peer) {
    return peer.action == PeerRule::Action::kAllow && !peer.ports.is_all() && has_dns_port(peer.ports);
  }

  void read_cidr(const Policy& policy, const ResolvedCidr& resolved) {
    const CidrRule& rule = resolved.rule;
    const bool all_v4 = rule.prefix.family_bits() == 0 && rule.prefix.is_v4();
    const bool all_v6 = rule.prefix.family_bits() == 0 && !rule.prefix.is_v4();
    if (resolved.action == PeerRule::Action::kAllow) {
      // A native "*" means addresses, not lookups: every name at once must be written as port 53.
      const bool said = policy.family != Family::kNative || !rule.ports.is_all();
      opens_dns_ = opens_dns_ || (said && has_dns_port(rule.ports));
      if (rule.except.empty() && (all_v4 || all_v6)) {
        (all_v4 ? world_v4_ : world_v6_).add(rule.ports);
      }
      return;
    }
    if (all_v4 && rule.except.empty() && !family_.denials_cut_names) {
      const auto action = resolved.action == PeerRule::Action::kDeny ? RuleAction::kDeny : RuleAction::kPass;
      before_.push_back({rank_of(policy, rule.order, action), rule.ports});
    }
  }

  void add(const Policy& policy, const NameRule& name) {
    const Rank rank = rank_of(policy, name.order, RuleAction::kAllow);
    if (family_.ends_at_application && rank.tier == Tier::kBaseline) {
      narrowed_.push_back(name.pattern.text() + " of " + policy.kind + " " + policy.name +
                          " opens nothing: a namespaced policy has said all before the Baseline tier is asked");
      return;
    }
    PortSet ports = name.ports;
    for (const WorldRule& before : before_) {
      const bool passed_over = before.rank.action == RuleAction::kPass && before.rank.tier != rank.tier;
      if (before.rank < rank && !passed_over) {
        ports = ports.without(before.ports);
      }
    }
    if (ports.empty() && !name.ports.empty()) {
      narrowed_.push_back(name.pattern.text() + " of " + policy.kind + " " + policy.name +
                          " opens nothing: a rule that is asked before it denies every address");
      return;
    }
    if (!ports.empty()) {
      last_ = last_ ? std::max(*last_, rank) : rank;
    }
    rules_.push_back({name.pattern, std::move(ports), name.origin, &policy, false, &name});
  }

  /// Cilium's lone "*" opens the way to every name, for names that other rules then let through. Here
  /// looking a name up is itself a way out, so beside names it opens none.
  void narrow_lone_star() {
    const bool as_written = std::ranges::any_of(family_.policies, [](const Policy* p) { return p->dns.as_written; });
    const bool names = std::ranges::any_of(rules_, [](const JoinedName& rule) { return !rule.ports.empty(); });
    if (family_.family != Family::kCilium || as_written || !names) {
      return;
    }
    const auto removed = std::erase_if(rules_, [&](const JoinedName& rule) {
      const bool lone = rule.pattern.is_any() && rule.ports.empty();
      if (lone) {
        narrowed_.push_back("the DNS rule \"*\" of " + rule.owner->kind + " " + rule.owner->name + " (" +
                            rule.origin.place.to_string() +
                            ") opens no lookup, because toFQDNs names some: write dns.mode: as-written "
                            "in an EgressPolicy to have every name resolve");
      }
      return lone;
    });
    static_cast<void>(removed);
  }

  const FamilyRules& family_;
  std::vector<std::string>& narrowed_;
  std::vector<WorldRule> before_;
  std::vector<JoinedName> rules_;
  std::optional<Rank> last_;
  PortSet world_v4_;
  PortSet world_v6_;
  bool opens_dns_ = false;
};

/// The rules of two families that leave something of each other. Exact names are found by their text,
/// so that long lists of names do not meet each one of the other.
class NameCrossing {
 public:
  NameCrossing(const std::vector<JoinedName>& right, std::vector<std::string>& narrowed)
      : right_(right), narrowed_(narrowed) {
    for (std::size_t i = 0; i < right.size(); ++i) {
      if (right[i].pattern.is_exact()) {
        exact_[right[i].pattern.labels()].push_back(i);
      } else {
        wide_.push_back(i);
      }
    }
  }

  std::vector<JoinedName> with(const std::vector<JoinedName>& left) {
    std::vector<JoinedName> both;
    for (const JoinedName& rule : left) {
      if (!rule.pattern.is_exact()) {
        for (const JoinedName& other : right_) {
          cross(rule, other, both);
        }
        continue;
      }
      if (const auto same = exact_.find(rule.pattern.labels()); same != exact_.end()) {
        for (const std::size_t i : same->second) {
          cross(rule, right_[i], both);
        }
      }
      for (const std::size_t i : wide_) {
        cross(rule, right_[i], both);
      }
    }
    return both;
  }

 private:
  void cross(const JoinedName& a, const JoinedName& b, std::vector<JoinedName>& both) {
    PatternJoin join = PatternJoin::of(a.pattern, b.pattern);
    if (join.narrowed) {
      narrowed_.push_back("names that both " + a.pattern.text() + " and " + b.pattern.text() +
                          " mean stay denied: no pattern says them");
    }
    if (join.pattern) {
      const JoinedName& named = a.implied ? b : a;
      both.push_back(
          {std::move(*join.pattern), a.ports.and_in(b.ports), named.origin, named.owner, a.implied && b.implied});
    }
  }

  const std::vector<JoinedName>& right_;
  std::vector<std::string>& narrowed_;
  std::map<DnsName, std::vector<std::size_t>> exact_;
  std::vector<std::size_t> wide_;
};

}  // namespace

JoinedNames join_names(const std::vector<FamilyRules>& families) {
  JoinedNames joined;
  bool some_names = false;
  bool all_open_dns = !families.empty();
  const Policy* first = nullptr;
  std::vector<FamilyNames> each;
  each.reserve(families.size());
  for (const FamilyRules& family : families) {
    FamilyNames& names = each.emplace_back(family, joined.narrowed);
    joined.last_opening.push_back(names.last_opening());
    all_open_dns = all_open_dns && names.opens_dns();
    first = first == nullptr && !family.policies.empty() ? family.policies.front() : first;
    // Who opens an address to everybody opens it for names of other families as well.
    if (names.last_opening() && families.size() > 1 && !names.world().empty()) {
      names.rules().push_back({NamePattern::any(),
                               names.world(),
                               {family.policies.front()->place, "open to the world"},
                               family.policies.front()});
    }
    if (names.rules().empty()) {
      continue;
    }
    joined.rules =
        some_names ? NameCrossing(names.rules(), joined.narrowed).with(joined.rules) : std::move(names.rules());
    some_names = true;
  }
  std::erase_if(joined.rules, [](const JoinedName& rule) { return rule.implied; });
  if (!some_names && all_open_dns && first != nullptr) {
    joined.rules.push_back(
        {NamePattern::any(), PortSet(), {first->place, "port 53 is open, and no rule speaks of names"}, first, false});
  }
  return joined;
}

}  // namespace postern
