// SPDX-License-Identifier: Apache-2.0
//
// Families: policies that select one sandbox, sorted into groups whose rules are joined inside the
// group, and the names that every group allows.
//
// A packet must be allowed by every family. For addresses that is judged where they are known, prefix
// by prefix (cidr_judge.h). A name has no address yet, so its rule is what is left of it after every
// family: the intersection of patterns and ports. Families without names say nothing about names;
// what they do not allow is closed by address.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <vector>

#include "policies/inventory.h"
#include "policies/model.h"
#include "policies/peer_resolver.h"

namespace postern {

/// What a rule does, in the order in which rules of equal rank are asked.
enum class RuleAction { kDeny, kAllow, kPass };

/// When a rule is asked; lower ones first. Inside a tier of the native and Cilium families denials are
/// asked first; the others go by priority.
struct Rank {
  Tier tier = Tier::kApplication;
  RuleOrder order;
  RuleAction action = RuleAction::kDeny;

  friend constexpr auto operator<=>(const Rank&, const Rank&) = default;
};

Rank rank_of(const Policy& policy, const RuleOrder& order, RuleAction action);

/// A rule for addresses and the policy it is of.
struct OwnedCidr {
  const Policy* owner = nullptr;
  ResolvedCidr resolved;
};

struct FamilyRules {
  Family family = Family::kNative;
  std::vector<const Policy*> policies;
  bool denies_rest = false;           ///< What no rule speaks of is denied.
  bool ends_at_application = false;   ///< Baseline rules are not asked: a namespaced policy has said all.
  bool denials_cut_names = false;     ///< Whatever their rank (native, Cilium).
  std::vector<OwnedCidr> cidrs = {};  ///< What resolve() found.

  std::string title() const;  ///< "NetworkPolicy shop/default": whose rules these are.
};

/// Order: native first, then as in Family. NetworkPolicies join the families that have them as their
/// namespaced tier, or are a family of their own.
std::vector<FamilyRules> sort_families(const std::vector<const Policy*>& policies);
/// Finds the addresses that the family's policies speak of. Once, before join_names.
void resolve(FamilyRules& family, const Inventory& inventory);

/// A name rule as every family leaves it.
struct JoinedName {
  NamePattern pattern;
  PortSet ports;  ///< Empty: only to resolve.
  Origin origin;
  const Policy* owner = nullptr;
  bool implied = false;  ///< Stands for addresses that are open without a lookup; opens no name by itself.
  const NameRule* source = nullptr;  ///< Whose pattern it has, unchanged; null: it is made of several.
};

struct JoinedNames {
  std::vector<JoinedName> rules;
  std::vector<std::string> narrowed;  ///< What became less than it was written; sentences.
  /// By family, as given: the last rank at which a name opens addresses. None: no name of it does.
  std::vector<std::optional<Rank>> last_opening;
};

/// @param families  with their addresses resolved.
JoinedNames join_names(const std::vector<FamilyRules>& families);

}  // namespace postern
