// SPDX-License-Identifier: Apache-2.0
//
// NameSets: the names of one policy image: patterns of its own, and sets that it shares with other images.
//
// A set is what a policy takes of a template, compiled once for all policies that take the same. Each image says which
// of its own rules the set's patterns stand for. A match asks its own patterns and every set, and allocates nothing.
// Immutable once frozen.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "policies/name_matcher.h"

namespace postern {

class NameSets {
 public:
  static constexpr std::uint32_t kLeftOut = UINT32_MAX;  ///< A pattern of a set that is no rule of this image.

  struct Set {
    std::shared_ptr<const NameMatcher> matcher;
    std::vector<std::uint32_t> rules;  ///< Of this image, by the set's index; or kLeftOut.
  };

  void add(const NamePattern& pattern, std::uint32_t rule) { own_.add(pattern, rule); }
  void add(Set set) { sets_.push_back(std::move(set)); }
  void freeze() { own_.freeze(); }

  /// As NameMatcher::match. Indices are the image's rules, each once.
  NameMatch match(Wire wire) const;

  const std::vector<Set>& sets() const { return sets_; }

 private:
  NameMatcher own_;
  std::vector<Set> sets_;
};

}  // namespace postern
