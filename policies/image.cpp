// SPDX-License-Identifier: Apache-2.0
#include "policies/image.h"

#include <algorithm>

namespace postern {

std::string_view verb_of(RuleKind kind) {
  switch (kind) {
    case RuleKind::kAllowName:
    case RuleKind::kAllowCidr:
      return "allow";
    case RuleKind::kLookupOnly:
      return "lookup";
    case RuleKind::kDenyCidr:
      return "deny";
    case RuleKind::kPassCidr:
      return "pass";
    case RuleKind::kInbound:
      return "inbound";
    case RuleKind::kClosed:
      return "closed";
  }
  return "?";
}

std::string Rule::target() const {
  if (kind == RuleKind::kClosed) {
    return "to all that " + owner->title + " does not allow";
  }
  return pattern ? pattern->text() : prefix.to_string();
}

std::string Rule::to_string() const {
  std::string text = std::string(verb_of(kind)) + " " + target();
  if (!ports.empty()) {
    text += " " + ports.to_string();
  }
  for (std::size_t i = 0; i < except.size(); ++i) {
    text += (i == 0 ? " except " : ", ") + except[i].to_string();
  }
  return text;
}

const Rule* PolicyImage::find_rule(std::uint32_t id) const {
  const auto found = std::ranges::find(rules, id, &Rule::id);
  return found == rules.end() ? nullptr : &*found;
}

const CidrVerdict* PolicyImage::find_cidr(const Address& address) const {
  // Sorted by address, then length: the longest match is the last entry that contains the address,
  // at or before where the address itself would stand.
  auto at = std::ranges::upper_bound(cidrs, Prefix{address, 128}, {}, &CidrEntry::prefix);
  while (at != cidrs.begin()) {
    --at;
    if (at->prefix.contains(address)) {
      return &at->verdict;
    }
  }
  return nullptr;
}

PortSet PolicyImage::ports_of(Wire wire) const {
  PortSet ports;
  const NameMatch match = names.match(wire);
  for (std::uint8_t i = 0; i < match.count; ++i) {
    ports.add(rules[match.rules[i]].ports);
  }
  return ports;
}

}  // namespace postern
