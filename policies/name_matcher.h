// SPDX-License-Identifier: Apache-2.0
//
// NameMatcher: which patterns of a policy match a name, in time proportional to its labels.
//
// A trie over labels from the right, with one hash table for all edges. A label costs a slot and a node,
// each in one cache line of its own; a lookup allocates nothing. Immutable once built. Labels with "*"
// beside other letters are tried one after the other, where a policy has such. A name with a byte that
// no host name has matches no pattern.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policies/name_pattern.h"

namespace postern {

struct NameMatch {
  static constexpr std::size_t kRulesMax = 4;

  std::array<std::uint32_t, kRulesMax> rules{};  ///< Indices given to add(), most specific first.
  std::array<std::uint8_t, kRulesMax> depth{};   ///< How specific: twice the labels, and one if the whole name.
  std::uint8_t count = 0;
  bool more = false;      ///< Further rules match; they were left out.
  bool ancestor = false;  ///< If nothing matched: names below it may, and NXDOMAIN would deny them too.

  bool matched() const { return count != 0; }
};

class NameMatcher {
 public:
  NameMatcher();

  /// Adds a pattern. Only before freeze().
  void add(const NamePattern& pattern, std::uint32_t rule);
  /// Lets go of memory that only building needs. Call once, after the last add().
  void freeze();

  /// @param wire a whole name, any case.
  NameMatch match(Wire wire) const;

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::size_t kInlineMax = 28;  // longer labels lie in labels_

  /// Nearly always one rule; the others lie in more_.
  struct RuleList {
    std::uint32_t first = kNone;
    std::uint32_t more = 0;  // index into more_ + 1
  };
  /// A label under its parent, and what ends there. The root is node 0 and nobody's child.
  struct alignas(64) Node {
    std::uint32_t parent = 0;
    std::uint32_t star = 0;   // child by a "*" label; 0: none
    std::uint32_t globs = 0;  // index into globs_ + 1: children whose labels hold "*" and more
    std::uint32_t size = 0;   // of the label
    RuleList exact;
    RuleList below;         // patterns with any labels in front
    std::uint32_t far = 0;  // offset into labels_ of a long label
    std::array<char, kInlineMax> near{};
  };
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t child = 0;  // 0: free
  };
  using Overflow = std::vector<std::vector<std::uint32_t>>;
  struct Walk;

  std::string_view label_of(const Node& node) const;
  std::uint32_t child_of(std::uint32_t parent, std::string_view label, std::uint32_t hash) const;
  std::uint32_t make_child(std::uint32_t parent, std::string_view label, std::uint32_t hash);
  void put(Slot slot);
  void grow();
  void report(const RuleList& list, std::size_t depth, NameMatch& found) const;
  void visit(Walk& walk, std::uint32_t node, std::size_t labels_left) const;

  std::vector<Node> nodes_;
  std::vector<Slot> slots_;  // open addressing, at most half full
  Overflow more_;
  Overflow globs_;
  std::string labels_;
};

}  // namespace postern
