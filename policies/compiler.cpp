// SPDX-License-Identifier: Apache-2.0
//
// From the policies of a sandbox to its image. CIDR rules nest or are disjoint, so sorting them puts
// every prefix behind those that contain it, and one pass with a stack resolves all overlaps.
#include <algorithm>
#include <deque>
#include <map>
#include <span>
#include <unordered_map>
#include <unordered_set>

#include "policies/cidr_judge.h"
#include "policies/family_rules.h"
#include "policies/image.h"
#include "policies/never_list.h"
#include "policies/policy_union.h"
#include "policies/rule_hash.h"

namespace postern {
namespace {

constexpr std::uint8_t kZeroV4[4] = {};

RuleKind kind_of(PeerRule::Action action) {
  switch (action) {
    case PeerRule::Action::kAllow:
      return RuleKind::kAllowCidr;
    case PeerRule::Action::kDeny:
      return RuleKind::kDenyCidr;
    case PeerRule::Action::kPass:
      return RuleKind::kPassCidr;
  }
  return RuleKind::kDenyCidr;
}

RuleAction action_of(RuleKind kind) {
  return kind == RuleKind::kAllowCidr  ? RuleAction::kAllow
         : kind == RuleKind::kPassCidr ? RuleAction::kPass
                                       : RuleAction::kDeny;
}

std::string owner_of(const Policy& policy) {
  return policy.kind + " " + (policy.space.empty() ? "" : policy.space + "/") + policy.name;
}

/// A name that the pattern means; none where it would be too long for one.
std::optional<DnsName> sample_of(const NamePattern& pattern) {
  constexpr std::string_view kAny = "any-label";
  std::string wire = pattern.below() ? static_cast<char>(kAny.size()) + std::string(kAny) : "";
  const std::string& labels = pattern.labels().bytes();
  for (std::size_t at = 0; labels[at] != '\0'; at += static_cast<std::size_t>(labels[at]) + 1) {
    std::string label;
    for (const char c : std::string_view(labels).substr(at + 1, static_cast<std::size_t>(labels[at]))) {
      label += c == '*' ? kAny : std::string_view(&c, 1);
    }
    if (label.size() > kLabelMax) {
      return std::nullopt;
    }
    wire += static_cast<char>(label.size()) + label;
  }
  wire += '\0';
  auto name = DnsName::from_wire({reinterpret_cast<const std::uint8_t*>(wire.data()), wire.size()});
  return name ? std::optional(*name) : std::nullopt;
}

class Compiler {
 public:
  Compiler(const std::vector<const Policy*>& policies, const Inventory& inventory, Diagnostics& diagnostics)
      : policies_(policies),
        inventory_(inventory),
        diagnostics_(diagnostics),
        families_(sort_families(policies)),
        image_(std::make_shared<PolicyImage>()) {
    std::size_t rules = 0;
    for (FamilyRules& family : families_) {
      resolve(family, inventory);
      rules += family.cidrs.size();
    }
    for (const Policy* policy : policies) {
      rules += policy->allow_names.size();
      owners_.try_emplace(policy,
                          std::make_shared<RuleOwner>(RuleOwner{owner_of(*policy), policy->family, policy->tier}));
    }
    image_->rules.reserve(rules);
    contents_.reserve(rules);
    by_content_.reserve(rules);
    ids_.reserve(rules);
    covers_.reserve(rules);
  }

  std::shared_ptr<const PolicyImage> run() {
    for (const Policy* policy : policies_) {
      if (!inventory_.whole && policy->needs_inventory()) {
        diagnostics_.error(policy->place, "spec",
                           "speaks of the cluster's pods, nodes or Services, and the API server has not told them yet");
        return nullptr;
      }
    }
    image_->name = joined_name(policies_);
    image_->space = policies_.empty() ? "" : policies_.front()->space;
    image_->dns = joined_dns(policies_);
    add_names();
    add_families();
    add_inbound();
    resolve_cidrs_of_both();
    make_groups();
    image_->names.freeze();
    check_matches();
    image_->fingerprint = fingerprint_of(*image_, std::move(contents_));
    return diagnostics_.failed() ? nullptr : image_;
  }

 private:
  /// Index of the rule; rules with equal content are one, with the first origin.
  std::size_t add_rule(Rule rule) {
    const std::uint64_t content = content_hash(rule);
    std::uint64_t hash = content;
    for (auto known = by_content_.find(hash); known != by_content_.end(); known = by_content_.find(++hash)) {
      if (same_content(image_->rules[known->second], rule)) {
        return known->second;
      }
    }
    by_content_[hash] = image_->rules.size();
    rule.id = fold(hash);
    // Two rules of one policy with one id would be told apart by nothing: step on, always in the same order.
    while (rule.id == 0 || !ids_.insert(rule.id).second) {
      rule.id = (rule.id + 1) & kRuleIdMask;
    }
    contents_.push_back(content);
    image_->rules.push_back(std::move(rule));
    return image_->rules.size() - 1;
  }

  Rule rule_of(RuleKind kind, const Policy* owner, Origin origin) const {
    Rule rule;
    rule.kind = kind;
    rule.origin = std::move(origin);
    rule.owner = owners_.at(owner);
    return rule;
  }

  void add_names() {
    JoinedNames joined = join_names(families_);
    std::unordered_map<const NameRule*, std::uint32_t> shared = shared_rules();
    for (JoinedName& name : joined.rules) {
      // Beside a family that closes by ports "every protocol" could not be taken back again.
      const PortSet ports = families_.size() > 1 && name.ports.is_all() ? PortSet::all_ranges() : std::move(name.ports);
      Rule rule =
          rule_of(ports.empty() ? RuleKind::kLookupOnly : RuleKind::kAllowName, name.owner, std::move(name.origin));
      rule.pattern = std::move(name.pattern);
      rule.ports = ports;
      const std::size_t before = image_->rules.size();
      const std::size_t index = add_rule(std::move(rule));
      if (const auto known = shared.find(name.source); known != shared.end()) {
        known->second = static_cast<std::uint32_t>(index);
      } else if (index == before) {
        image_->names.add(*image_->rules[index].pattern, static_cast<std::uint32_t>(index));
      }
    }
    add_shared(shared);
    image_->narrowed = std::move(joined.narrowed);
    last_opening_ = std::move(joined.last_opening);
  }

  /// Rules whose patterns are in a set that other images have, too; which rules of this image they are is not known
  /// yet.
  std::unordered_map<const NameRule*, std::uint32_t> shared_rules() const {
    std::unordered_map<const NameRule*, std::uint32_t> rules;
    for (const Policy* policy : policies_) {
      for (const SharedNames& set : policy->shared_names) {
        for (std::size_t i = 0; set.matcher != nullptr && i < set.count; ++i) {
          rules[&policy->allow_names[set.first + i]] = NameSets::kLeftOut;
        }
      }
    }
    return rules;
  }

  void add_shared(const std::unordered_map<const NameRule*, std::uint32_t>& rules) {
    for (const Policy* policy : policies_) {
      for (const SharedNames& set : policy->shared_names) {
        NameSets::Set used{set.matcher, {}};
        for (std::size_t i = 0; set.matcher != nullptr && i < set.count; ++i) {
          used.rules.push_back(rules.at(&policy->allow_names[set.first + i]));
        }
        if (std::ranges::any_of(used.rules, [](std::uint32_t rule) { return rule != NameSets::kLeftOut; })) {
          image_->names.add(std::move(used));
        }
      }
    }
  }

  void add_families() {
    std::vector<CidrJudge::Member> members;
    for (std::size_t i = 0; i < families_.size(); ++i) {
      FamilyRules& family = families_[i];
      members.push_back({family.denies_rest, family.ends_at_application, family.denials_cut_names, last_opening_[i],
                         families_.size() > 1 ? add_closed(family) : 0});
      for (OwnedCidr& cidr : family.cidrs) {
        add_judged(i, *cidr.owner, kind_of(cidr.resolved.action), std::move(cidr.resolved.rule));
      }
    }
    judge_.emplace(std::move(members));
  }

  std::uint32_t add_closed(const FamilyRules& family) {
    Rule closed = rule_of(RuleKind::kClosed, family.policies.front(), {family.policies.front()->place, ""});
    closed.owner = std::make_shared<RuleOwner>(RuleOwner{family.title(), closed.owner->family, closed.owner->tier});
    return image_->rules[add_rule(std::move(closed))].id;
  }

  void add_judged(std::size_t family, const Policy& policy, RuleKind kind, CidrRule cidr) {
    if (kind == RuleKind::kAllowCidr) {
      warn_never_listed(cidr);
    }
    const Prefix prefix = cidr.prefix;
    const Rank rank = rank_of(policy, cidr.order, action_of(kind));
    const PortSet ports = cidr.ports;
    const std::size_t rule = add_cidr(kind, &policy, std::move(cidr));
    judged_.push_back(
        {family, rank, ports, image_->rules[rule].id, kind == RuleKind::kAllowCidr && opens_never_listed(prefix)});
    covers_.push_back({prefix, rule, &judged_.back()});
  }

  std::size_t add_cidr(RuleKind kind, const Policy* policy, CidrRule cidr) {
    Rule rule = rule_of(kind, policy, std::move(cidr.origin));
    rule.prefix = cidr.prefix;
    rule.ports = std::move(cidr.ports);
    rule.except = std::move(cidr.except);
    for (const Prefix& hole : rule.except) {
      add_entry(hole);  // what holds inside the hole differs
    }
    return add_rule(std::move(rule));
  }

  /// The table gets an entry for this prefix, also where no rule is about just it.
  void add_entry(const Prefix& prefix) { covers_.push_back({prefix, kNoRule, nullptr}); }

  void warn_never_listed(const CidrRule& cidr) {
    if (cidr.prefix.family_bits() == 0) {
      return;  // "the whole internet" is understood not to mean it
    }
    for (const Prefix& entry : never_list()) {
      if (cidr.prefix != entry && cidr.prefix.contains(entry)) {
        diagnostics_.warn(cidr.origin.place, "",
                          cidr.prefix.to_string() + " does not open " + entry.to_string() +
                              " inside it, which is never allowed: give a rule of its own to what you need there");
      }
    }
  }

  /// A match carries at most NameMatch::kRulesMax rules; a name that more of them speak of would lose ports silently.
  void check_matches() {
    for (const Rule& rule : image_->rules) {
      if (!rule.is_name()) {
        continue;
      }
      const auto sample = sample_of(*rule.pattern);
      const NameMatch match = sample ? image_->names.match(sample->wire()) : NameMatch();
      if (match.count > 1 && image_->ports_of(sample->wire()).ranges().size() > PortSet::kRangesMax) {
        diagnostics_.error(rule.origin.place, "",
                           "rules that match " + rule.target() + " open more than " +
                               std::to_string(PortSet::kRangesMax) +
                               " port ranges together: join neighbouring ports into ranges");
        return;
      }
      if (match.more) {
        diagnostics_.error(
            rule.origin.place, "",
            "more than " + std::to_string(NameMatch::kRulesMax) + " rules match " + rule.target() +
                ": join those with the same name into one rule with all its ports, and leave out names that a "
                "wildcard with the same ports covers");
        return;
      }
    }
  }

  void add_inbound() {
    const InboundRules inbound = joined_inbound(policies_);
    image_->inbound_link = inbound.from_link;
    if (policies_.empty()) {
      return;
    }
    const Policy* owner = policies_.front();
    if (inbound.from_pods) {
      for (const Prefix& pods : inventory_.pods) {
        add_inbound_cidr(owner, {pods, {}, PortSet::all(), {owner->place, "inbound from: pods"}});
      }
    }
    for (const CidrRule& cidr : inbound.cidrs) {
      add_inbound_cidr(owner, cidr);
    }
  }

  void add_inbound_cidr(const Policy* owner, const CidrRule& cidr) {
    const std::size_t rule = add_cidr(RuleKind::kInbound, owner, cidr);
    covers_.push_back({cidr.prefix, rule, nullptr});
  }

  static constexpr std::size_t kNoRule = SIZE_MAX;

  struct Cover {
    Prefix prefix;
    std::size_t rule = kNoRule;
    const JudgedRule* judged = nullptr;  // null: inbound, or no rule
  };
  using Covers = std::span<const Cover>;  // of one prefix

  CidrVerdict verdict_of(const Prefix& at, const std::vector<Covers>& stack) {
    std::vector<const JudgedRule*>& covering = covering_;
    covering.clear();
    PortSet inbound;
    std::uint32_t inbound_rule = 0;
    for (const Covers& covers : stack) {
      for (const Cover& cover : covers) {
        if (cover.rule == kNoRule) {
          continue;
        }
        const Rule& rule = image_->rules[cover.rule];
        if (std::ranges::any_of(rule.except, [&](const Prefix& hole) { return hole.contains(at); })) {
          continue;
        }
        if (cover.judged != nullptr) {
          covering.push_back(cover.judged);
        } else {
          inbound.add(rule.ports);
          inbound_rule = rule.id;
        }
      }
    }
    CidrVerdict verdict = judge_->judge(covering);
    verdict.inbound = std::move(inbound);
    verdict.inbound_rule = inbound_rule;
    return verdict;
  }

  void resolve_cidrs_of_both() {
    const Prefix whole_v4{masked(Address::from_v4(kZeroV4), 96), 96};
    if (judge_->speaks_of_all()) {
      add_entry(whole_v4);
      add_entry(Prefix());
    }
    // The kernel's table has both families in one: without an entry of its own the whole of IPv4
    // would find ::/0, whose bits it lies under.
    if (std::ranges::any_of(covers_, [](const Cover& cover) { return cover.prefix.bits < 96; })) {
      add_entry(whole_v4);
    }
    std::ranges::stable_sort(covers_, {}, &Cover::prefix);
    image_->cidrs.reserve(covers_.size());
    resolve_family(true);
    resolve_family(false);
    std::ranges::sort(image_->cidrs, {}, &CidrEntry::prefix);
  }

  void resolve_family(bool v4) {
    std::vector<Covers> stack;
    for (auto begin = covers_.cbegin(), end = begin; begin != covers_.cend(); begin = end) {
      const Prefix prefix = begin->prefix;
      end = std::find_if(begin, covers_.cend(), [&](const Cover& cover) { return cover.prefix != prefix; });
      if (prefix.is_v4() != v4) {
        continue;
      }
      while (!stack.empty() && !stack.back().front().prefix.contains(prefix)) {
        stack.pop_back();
      }
      stack.emplace_back(begin, end);
      image_->cidrs.push_back({prefix, verdict_of(prefix, stack)});
      check_ranges(prefix, image_->cidrs.back().verdict);
    }
  }

  void check_ranges(const Prefix& prefix, const CidrVerdict& verdict) {
    for (const PortSet* set : {&verdict.deny, &verdict.allow, &verdict.narrow, &verdict.inbound}) {
      if (set->ranges().size() > PortSet::kRangesMax) {
        diagnostics_.error(policies_.front()->place, "",
                           "rules that cover " + prefix.to_string() + " open more than " +
                               std::to_string(PortSet::kRangesMax) +
                               " port ranges together: join neighbouring ports into ranges");
        return;
      }
    }
  }

  void make_groups() {
    std::map<PortSet, std::vector<std::uint32_t>> by_ports;
    for (const Rule& rule : image_->rules) {
      if (rule.kind == RuleKind::kAllowName) {
        by_ports[rule.ports].push_back(rule.id);
      }
    }
    for (auto& [ports, members] : by_ports) {
      std::ranges::sort(members);
      image_->groups.push_back({group_id(ports, members), ports, std::move(members)});
    }
  }

  const std::vector<const Policy*>& policies_;
  const Inventory& inventory_;
  Diagnostics& diagnostics_;
  std::vector<FamilyRules> families_;
  std::shared_ptr<PolicyImage> image_;
  std::vector<std::optional<Rank>> last_opening_;
  std::unordered_map<std::uint64_t, std::size_t> by_content_;
  std::unordered_set<std::uint32_t> ids_;
  std::deque<JudgedRule> judged_;  // pointed to
  std::optional<CidrJudge> judge_;
  std::map<const Policy*, std::shared_ptr<const RuleOwner>> owners_;
  std::vector<std::uint64_t> contents_;  // of each rule
  std::vector<Cover> covers_;            // sorted before it is resolved: a prefix comes before those inside it
  std::vector<const JudgedRule*> covering_;
};

}  // namespace

std::shared_ptr<const PolicyImage> compile(const std::vector<const Policy*>& policies,
                                           const Inventory& inventory,
                                           Diagnostics& diagnostics) {
  return Compiler(policies, inventory, diagnostics).run();
}

std::shared_ptr<const PolicyImage> compile(const Policy& policy, const Inventory& inventory, Diagnostics& diagnostics) {
  return compile(std::vector<const Policy*>{&policy}, inventory, diagnostics);
}

}  // namespace postern
