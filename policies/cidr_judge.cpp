// SPDX-License-Identifier: Apache-2.0
#include "policies/cidr_judge.h"

#include <algorithm>

namespace postern {
namespace {

using Covering = std::vector<const JudgedRule*>;

/// What one family says of a prefix.
class FamilyVerdict {
 public:
  FamilyVerdict(const CidrJudge::Member& member, const Covering& covering, bool alone)
      : member_(member), alone_(alone) {
    // The widest comes first: the last to speak is the most specific.
    for (const JudgedRule* rule : covering) {
      if (rule->rank.action == RuleAction::kDeny) {
        denied_by_ = rule->rule;
      } else if (rule->rank.action == RuleAction::kAllow) {
        allowed_by_ = rule->rule;
      }
    }
    ask(covering);
    close();
  }

  PortSet allow;
  PortSet narrow;  // of allow: by rules that may open a never-listed address
  PortSet deny;    // before grants
  std::uint32_t allowed_by() const { return allowed_by_; }
  std::uint32_t denied_by() const { return denied_by_; }

 private:
  void ask(const Covering& covering) {
    Covering order = covering;
    std::ranges::stable_sort(order, {}, [](const JudgedRule* rule) { return rule->rank; });
    PortSet undecided = PortSet::all();
    PortSet passed;
    Tier tier = Tier::kAdmin;
    for (auto rule = order.begin(); rule != order.end();) {
      const Rank rank = (*rule)->rank;
      if (rank.tier != tier) {
        tier = rank.tier;
        undecided.add(passed);
        passed = PortSet();
      }
      if (tier == Tier::kBaseline && member_.ends_at_application) {
        break;
      }
      // Rules of one rank do the same and are asked together: each adds what it says.
      PortSet decided;
      for (; rule != order.end() && (*rule)->rank == rank; ++rule) {
        if (const PortSet hit = undecided.and_in((*rule)->ports); !hit.empty()) {
          apply(**rule, hit, passed);
          decided.add(hit);
        }
      }
      undecided = undecided.without(decided);
    }
    undecided.add(passed);
    if (!member_.denies_rest) {
      allow.add(undecided);
      narrow.add(undecided);
    }
  }

  void apply(const JudgedRule& rule, const PortSet& hit, PortSet& passed) {
    switch (rule.rank.action) {
      case RuleAction::kAllow:
        allow.add(hit);
        if (rule.opens_never) {
          narrow.add(hit);
        }
        return;
      case RuleAction::kDeny:
        // Before grants, unless that would cut a name that is asked before it.
        if (member_.denials_cut_names || !member_.last_opening || comes_before_names(rule)) {
          deny.add(hit);
        }
        return;
      case RuleAction::kPass:
        passed.add(hit);
        if (comes_before_names(rule)) {
          skipped_names_.add(hit);
        }
        return;
    }
  }

  bool comes_before_names(const JudgedRule& rule) const {
    return member_.last_opening && rule.rank < *member_.last_opening;
  }

  void close() {
    // Passed over the names that would have let it through: only what another rule then allows stays open.
    deny.add(skipped_names_.without(allow));
    const bool names = member_.last_opening.has_value();
    if (!alone_ && !names) {
      const PortSet closed = PortSet::all().without(allow);
      if (!closed.empty() && !deny.covers(closed)) {
        deny.add(allow.empty() ? PortSet::all() : closed);
        denied_by_ = denied_by_ == 0 ? member_.closed_rule : denied_by_;
      }
    }
  }

  const CidrJudge::Member& member_;
  bool alone_;  // no other family: what is not allowed is denied anyway
  PortSet skipped_names_;
  std::uint32_t allowed_by_ = 0;
  std::uint32_t denied_by_ = 0;
};

}  // namespace

bool CidrJudge::speaks_of_all() const {
  return members_.size() > 1 || std::ranges::any_of(members_, [](const Member& member) { return !member.denies_rest; });
}

namespace {

bool is_alike(const JudgedRule* a, const JudgedRule* b) {
  return a->rank == b->rank && a->opens_never == b->opens_never && a->ports == b->ports;
}

/// The rule that stands in `now` where `id` stood in `before`.
std::uint32_t rule_in_place_of(std::uint32_t id, const Covering& before, const Covering& now) {
  for (std::size_t i = before.size(); i-- > 0;) {
    if (before[i]->rule == id) {
      return now[i]->rule;
    }
  }
  return id;  // 0, or for what a family does not allow
}

}  // namespace

CidrVerdict CidrJudge::judge(const std::vector<const JudgedRule*>& covering) {
  if (!last_verdict_ || members_.size() != 1 || !std::ranges::equal(covering, last_, is_alike)) {
    last_verdict_ = judge_afresh(covering);
    last_ = covering;
    return *last_verdict_;
  }
  CidrVerdict verdict = *last_verdict_;
  verdict.allow_rule = rule_in_place_of(last_verdict_->allow_rule, last_, covering);
  verdict.deny_rule = rule_in_place_of(last_verdict_->deny_rule, last_, covering);
  return verdict;
}

CidrVerdict CidrJudge::judge_afresh(const std::vector<const JudgedRule*>& covering) const {
  CidrVerdict verdict;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    Covering own;
    std::ranges::copy_if(covering, std::back_inserter(own), [i](const JudgedRule* rule) { return rule->family == i; });
    const FamilyVerdict family(members_[i], own, members_.size() == 1);
    verdict.allow = i == 0 ? family.allow : verdict.allow.and_in(family.allow);
    verdict.narrow = i == 0 ? family.narrow : verdict.narrow.and_in(family.narrow);
    verdict.deny.add(family.deny);
    verdict.allow_rule = family.allowed_by() != 0 ? family.allowed_by() : verdict.allow_rule;
    verdict.deny_rule = verdict.deny_rule == 0 ? family.denied_by() : verdict.deny_rule;
  }
  verdict.allow = verdict.allow.without(verdict.deny);
  verdict.narrow = verdict.narrow.and_in(verdict.allow);
  if (verdict.deny.empty()) {
    verdict.deny_rule = 0;
  }
  if (verdict.allow.empty()) {
    verdict.allow_rule = 0;
  }
  return verdict;
}

}  // namespace postern
