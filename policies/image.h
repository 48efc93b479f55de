// SPDX-License-Identifier: Apache-2.0
//
// PolicyImage: one compiled policy, immutable, with the origin of every rule.
//
// The compiler has resolved what it can: CIDR rules that overlap are one table whose longest match
// says everything; names are a matcher. Numbers that only a node knows (policy ids, port set ids)
// are not in here. Shared between threads as a pointer to const.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/diagnostics.h"
#include "policies/inventory.h"
#include "policies/model.h"
#include "policies/name_sets.h"

namespace postern {

enum class RuleKind {
  kAllowName,
  kLookupOnly,
  kAllowCidr,
  kDenyCidr,
  kPassCidr,  ///< Skips the rest of its tier (AWS and upstream ClusterNetworkPolicy).
  kInbound,
  kClosed,  ///< Not written: what a family of policies without names does not allow.
};

/// @return "allow", "lookup", "deny", "pass", "inbound", "closed"
std::string_view verb_of(RuleKind kind);

/// Whose rules they are; all rules of one policy share it.
struct RuleOwner {
  std::string title;  ///< "EgressPolicy shop/web"
  Family family = Family::kNative;
  Tier tier = Tier::kApplication;
};

struct Rule {
  /// The same for the same rule in every image and process: a hash of kind, target and ports.
  /// Never 0; the top bit is clear (it marks groups, see RuleGroup).
  std::uint32_t id = 0;
  RuleKind kind = RuleKind::kAllowName;
  std::optional<NamePattern> pattern = {};  ///< Of rules for names.
  Prefix prefix = {};                       ///< Of rules for addresses.
  PortSet ports = {};
  std::vector<Prefix> except = {};
  Origin origin = {};
  std::shared_ptr<const RuleOwner> owner = {};  ///< Never null in an image.

  bool is_name() const { return pattern.has_value(); }
  std::string target() const;     ///< Pattern or prefix as text.
  std::string to_string() const;  ///< "allow *.example.com 443/tcp"
};

/// All name rules with one port set. When more names than a grant has slots share an address, the
/// grant goes to the group instead of the name.
struct RuleGroup {
  std::uint32_t id = 0;  ///< Top bit set; a hash of its members.
  PortSet ports;
  std::vector<std::uint32_t> members;  ///< Rule ids, sorted.
};

/// What all rules that cover a prefix say together.
struct CidrVerdict {
  PortSet deny;
  PortSet allow;
  PortSet narrow;               ///< Of allow rules that may open a never-listed address.
  PortSet inbound;              ///< Ports of the sandbox that this peer may connect to.
  std::uint32_t deny_rule = 0;  ///< Rule id of the most specific; 0: none.
  std::uint32_t allow_rule = 0;
  std::uint32_t inbound_rule = 0;
};

struct CidrEntry {
  Prefix prefix;
  CidrVerdict verdict;
};

struct PolicyImage {
  std::string name;
  std::string space;
  std::uint64_t fingerprint = 0;  ///< Equal for images that enforce the same, wherever it is written.
  std::vector<Rule> rules;
  std::vector<RuleGroup> groups;
  NameSets names;                ///< Indices into rules.
  std::vector<CidrEntry> cidrs;  ///< Sorted by prefix; the longest match of an address decides.
  bool inbound_link = false;
  DnsOptions dns;
  std::vector<std::string> narrowed;  ///< What opens less than it was written, and why; sentences.

  const Rule* find_rule(std::uint32_t id) const;
  /// The entry with the longest prefix that contains the address; null: no rule speaks of it.
  const CidrVerdict* find_cidr(const Address& address) const;
  /// Ports that a name may use now: those of every rule that matches it. Empty: not allowed, or only to resolve.
  PortSet ports_of(Wire wire) const;
};

/// Compiles the policies that select one sandbox. Problems that only the whole shows go to
/// *diagnostics; null then.
std::shared_ptr<const PolicyImage> compile(const std::vector<const Policy*>& policies,
                                           const Inventory& inventory,
                                           Diagnostics& diagnostics);
/// One policy alone.
std::shared_ptr<const PolicyImage> compile(const Policy& policy, const Inventory& inventory, Diagnostics& diagnostics);

}  // namespace postern
