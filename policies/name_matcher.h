// SPDX-License-Identifier: Apache-2.0
//
// NameMatcher: which patterns of a policy match a name, in time proportional to its labels.
//
// A trie over labels from the right, with one hash table for all edges. Immutable once built; a
// lookup allocates nothing. Labels with "*" beside other letters are tried one after the other, where
// a policy has such. A name with a byte that no host name has matches no pattern.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "policies/name_pattern.h"

namespace postern {

struct NameMatch {
  static constexpr std::size_t kRulesMax = 4;

  std::array<std::uint32_t, kRulesMax> rules{};  ///< Indices given to add(), most specific first.
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
  /// Builds the lookup table. Call once, after the last add().
  void freeze();

  /// @param wire a whole name, any case.
  NameMatch match(Wire wire) const;

 private:
  struct Node {
    std::uint32_t star = 0;            // child by a "*" label; 0: none
    std::vector<std::uint32_t> globs;  // edges whose labels hold "*" and more
    std::vector<std::uint32_t> exact;
    std::vector<std::uint32_t> below;  // patterns with any labels in front
  };
  struct Edge {
    std::uint32_t parent = 0;
    std::uint32_t child = 0;  // 0: free
    std::uint32_t hash = 0;
    std::uint32_t label = 0;  // offset into labels_
    std::uint32_t size = 0;
  };
  struct Walk;

  std::uint32_t child_of(std::uint32_t parent, Wire label, std::uint32_t hash) const;
  std::uint32_t make_child(std::uint32_t parent, Wire label);
  void visit(Walk& walk, std::uint32_t node, std::size_t labels_left) const;

  std::vector<Node> nodes_;
  std::vector<Edge> edges_;           // as added
  std::vector<std::uint32_t> slots_;  // open addressing: index into edges_ + 1
  std::string labels_;
};

}  // namespace postern
