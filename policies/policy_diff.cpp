// SPDX-License-Identifier: Apache-2.0
#include "policies/policy_diff.h"

#include <algorithm>
#include <set>

namespace postern {
namespace {

using Kind = PolicyChange::Kind;

/// What of a rule's ports no rule of the other image gives to all its names.
PortSet ports_left(const Rule& rule, const PolicyImage& other) {
  PortSet left = rule.ports;
  for (const Rule& each : other.rules) {
    if (each.kind == RuleKind::kAllowName && each.pattern->covers(*rule.pattern)) {
      left = left.without(each.ports);
    }
  }
  return left;
}

bool resolves(const NamePattern& pattern, const PolicyImage& image) {
  return std::ranges::any_of(image.rules,
                             [&](const Rule& rule) { return rule.is_name() && rule.pattern->covers(pattern); });
}

void add_names(const PolicyImage& from, const PolicyImage& other, bool opens, std::vector<PolicyChange>& changes) {
  for (const Rule& rule : from.rules) {
    if (rule.kind == RuleKind::kAllowName) {
      if (PortSet left = ports_left(rule, other); !left.empty()) {
        changes.push_back({opens, Kind::kName, rule.target(), std::move(left), rule.origin.to_string()});
      }
    } else if (rule.kind == RuleKind::kLookupOnly && !resolves(*rule.pattern, other)) {
      changes.push_back({opens, Kind::kLookup, rule.target(), {}, rule.origin.to_string()});
    }
  }
}

/// The entry that decides about a whole prefix: the longest that contains it.
const CidrVerdict* verdict_at(const PolicyImage& image, const Prefix& prefix) {
  const CidrEntry* best = nullptr;
  for (const CidrEntry& entry : image.cidrs) {
    if (entry.prefix.contains(prefix) && (best == nullptr || best->prefix.bits < entry.prefix.bits)) {
      best = &entry;
    }
  }
  return best == nullptr ? nullptr : &best->verdict;
}

/// What holds at a prefix, and which rule says so.
struct Held {
  PortSet ports;
  std::uint32_t rule = 0;
};

Held held_at(const PolicyImage& image, const Prefix& prefix, Kind kind) {
  const CidrVerdict* verdict = verdict_at(image, prefix);
  if (verdict == nullptr) {
    return {};
  }
  switch (kind) {
    case Kind::kAddress: {
      PortSet open = verdict->allow;
      open.add(verdict->narrow);
      return {open.without(verdict->deny), verdict->allow_rule};
    }
    case Kind::kDenial:
      return {verdict->deny, verdict->deny_rule};
    default:
      return {verdict->inbound, verdict->inbound_rule};
  }
}

std::string origin_of(const PolicyImage& image, std::uint32_t rule) {
  const Rule* found = rule == 0 ? nullptr : image.find_rule(rule);
  return found == nullptr ? "" : found->origin.to_string();
}

/// One direction of change at a prefix, and which of the changes says it.
struct Half {
  PortSet ports;
  std::size_t said_at = 0;
};

/// Says a half of a change unless what is around says the same; what is around then has a hole where it does not hold.
void say(Half& half, const Half& around, PolicyChange change, std::vector<PolicyChange>& changes) {
  half.said_at = around.said_at;
  if (half.ports == around.ports) {
    return;
  }
  if (!around.ports.empty()) {
    changes[around.said_at].target += " without " + change.target;
  }
  if (!half.ports.empty()) {
    change.ports = half.ports;
    half.said_at = changes.size();
    changes.push_back(std::move(change));
  }
}

/// Prefixes that either image tells apart, outermost first. A change that holds for a whole prefix is said once.
void add_addresses(const PolicyImage& before, const PolicyImage& after, Kind kind, std::vector<PolicyChange>& changes) {
  std::set<Prefix> prefixes;
  for (const PolicyImage* image : {&before, &after}) {
    for (const CidrEntry& entry : image->cidrs) {
      prefixes.insert(entry.prefix);
    }
  }
  struct At {
    Prefix prefix;
    Half more;
    Half less;
  };
  std::vector<At> around;
  const bool denial = kind == Kind::kDenial;  // one more of them closes
  for (const Prefix& prefix : prefixes) {
    const Held was = held_at(before, prefix, kind);
    const Held is = held_at(after, prefix, kind);
    while (!around.empty() && !around.back().prefix.contains(prefix)) {
      around.pop_back();
    }
    const At outer = around.empty() ? At{} : around.back();
    At here{prefix, {is.ports.without(was.ports)}, {was.ports.without(is.ports)}};
    say(here.more, outer.more, {!denial, kind, prefix.to_string(), {}, origin_of(after, is.rule)}, changes);
    say(here.less, outer.less, {denial, kind, prefix.to_string(), {}, origin_of(before, was.rule)}, changes);
    around.push_back(std::move(here));
  }
}

}  // namespace

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::kName:
      return "name";
    case Kind::kLookup:
      return "lookup";
    case Kind::kAddress:
      return "address";
    case Kind::kDenial:
      return "denial";
    case Kind::kInbound:
      return "inbound";
  }
  return "name";
}

std::vector<PolicyChange> diff_images(const PolicyImage* before, const PolicyImage* after) {
  const PolicyImage nothing;
  const PolicyImage& old_image = before == nullptr ? nothing : *before;
  const PolicyImage& new_image = after == nullptr ? nothing : *after;
  std::vector<PolicyChange> changes;
  add_names(new_image, old_image, true, changes);
  add_names(old_image, new_image, false, changes);
  for (const Kind kind : {Kind::kAddress, Kind::kDenial, Kind::kInbound}) {
    add_addresses(old_image, new_image, kind, changes);
  }
  if (before != nullptr && after != nullptr && before->inbound_link != after->inbound_link) {
    changes.push_back({after->inbound_link, Kind::kInbound, "the sandbox's own link", PortSet::all(), ""});
  }
  std::ranges::stable_sort(changes, {}, [](const PolicyChange& change) { return !change.opens; });
  return changes;
}

}  // namespace postern
