// SPDX-License-Identifier: Apache-2.0
//
// CidrJudge: what all rules that cover one prefix say together, family by family.
//
// In a family the rules are asked by rank; the first that speaks of a port decides it. What every family
// allows is open. A denial is put before grants, so that it also holds for addresses of allowed names,
// when a name of its family comes behind it, always in the native and Cilium families, and when its
// family opens no names at all: then whatever it does not allow is closed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "policies/family_rules.h"
#include "policies/image.h"

namespace postern {

/// A CIDR rule as the judge sees it.
struct JudgedRule {
  std::size_t family = 0;  ///< Index of the families the judge was given.
  Rank rank;
  PortSet ports;
  std::uint32_t rule = 0;    ///< Its id in the image.
  bool opens_never = false;  ///< May open a never-listed address.
};

class CidrJudge {
 public:
  struct Member {
    bool denies_rest = false;
    bool ends_at_application = false;
    bool denials_cut_names = false;
    std::optional<Rank> last_opening;  ///< Of its names.
    std::uint32_t closed_rule = 0;     ///< Rule id to show for what it does not allow.
  };

  explicit CidrJudge(std::vector<Member> members) : members_(std::move(members)) {}

  /// Must the table have entries for the whole of IPv4 and IPv6, because something is open or closed there?
  bool speaks_of_all() const;
  /// @param covering  every rule that covers the prefix, the widest first. Inbound is not judged here.
  CidrVerdict judge(const std::vector<const JudgedRule*>& covering);

 private:
  CidrVerdict judge_afresh(const std::vector<const JudgedRule*>& covering) const;

  std::vector<Member> members_;
  // Neighbours in a long list mostly differ in nothing but the rule: what was found for one holds for the next.
  std::vector<const JudgedRule*> last_;
  std::optional<CidrVerdict> last_verdict_;
};

}  // namespace postern
