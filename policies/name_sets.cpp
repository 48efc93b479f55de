// SPDX-License-Identifier: Apache-2.0
#include "policies/name_sets.h"

#include <algorithm>

namespace postern {
namespace {

/// Puts a rule where it belongs among those found, the most specific first. A rule that is there stays where it is.
void insert(std::uint32_t rule, std::uint8_t depth, NameMatch& all) {
  if (std::find(all.rules.begin(), all.rules.begin() + all.count, rule) != all.rules.begin() + all.count) {
    return;
  }
  std::size_t at = all.count;
  while (at > 0 && all.depth[at - 1] < depth) {
    --at;
  }
  if (all.count == NameMatch::kRulesMax) {
    all.more = true;
    if (at == NameMatch::kRulesMax) {
      return;
    }
  } else {
    ++all.count;
  }
  for (std::size_t i = all.count - 1u; i > at; --i) {
    all.rules[i] = all.rules[i - 1];
    all.depth[i] = all.depth[i - 1];
  }
  all.rules[at] = rule;
  all.depth[at] = depth;
}

}  // namespace

NameMatch NameSets::match(Wire wire) const {
  NameMatch all = own_.match(wire);
  for (const Set& set : sets_) {
    const NameMatch one = set.matcher->match(wire);
    all.more = all.more || one.more;
    all.ancestor = all.ancestor || one.ancestor;
    for (std::uint8_t i = 0; i < one.count; ++i) {
      if (const std::uint32_t rule = set.rules[one.rules[i]]; rule != kLeftOut) {
        insert(rule, one.depth[i], all);
      }
    }
  }
  return all;
}

}  // namespace postern
