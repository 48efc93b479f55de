// SPDX-License-Identifier: Apache-2.0
#include "policies/denial.h"

#include <algorithm>

namespace postern {
namespace {

bool equal_no_case(Wire a, Wire b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](std::uint8_t x, std::uint8_t y) { return lower(x) == lower(y); });
}

/// Is `wire` strictly below `suffix`?
bool is_below(Wire wire, Wire suffix) {
  if (wire.size() <= suffix.size()) {
    return false;
  }
  const std::size_t cut = wire.size() - suffix.size();
  std::size_t at = 0;
  while (at < cut) {
    at += wire[at] + 1u;
  }
  return at == cut && equal_no_case(wire.subspan(cut), suffix);
}

}  // namespace

NameAnswer answer_for(Wire wire, const NameMatch& match, const SearchList& search) {
  if (match.matched()) {
    return NameAnswer::kAllow;
  }
  if (match.ancestor ||
      std::ranges::any_of(search, [&](const DnsName& suffix) { return equal_no_case(wire, suffix.wire()); })) {
    return NameAnswer::kNoData;
  }
  const bool root = wire.size() == 1;
  const bool single_label = !root && wire.size() == wire[0] + 2u;
  if (single_label ||
      std::ranges::any_of(search, [&](const DnsName& suffix) { return is_below(wire, suffix.wire()); })) {
    return NameAnswer::kNxDomain;
  }
  return NameAnswer::kNoData;
}

}  // namespace postern
