// SPDX-License-Identifier: Apache-2.0
#include "policies/name_matcher.h"

#include <algorithm>
#include <cstring>

namespace postern {
namespace {

/// FNV-1a over a lower-case label. Policies fill the table, not queries, so its chains are not in an
/// attacker's hands.
constexpr std::uint32_t kHashBegin = 2166136261u;

constexpr std::uint32_t hash_step(std::uint32_t hash, std::uint8_t byte) { return (hash ^ byte) * 16777619u; }

std::uint32_t edge_hash(std::uint32_t parent, std::uint32_t label_hash) {
  std::uint32_t hash = (label_hash ^ (parent * 0x9e3779b9u)) * 0x85ebca6bu;
  return hash ^ (hash >> 15);
}

/// The byte in lower case where a host name may have it; 0 for all others.
constexpr std::array<std::uint8_t, 256> kPlain = [] {
  std::array<std::uint8_t, 256> table{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto at = static_cast<std::uint8_t>(byte);
    table[byte] = is_plain(at) ? lower(at) : 0;
  }
  return table;
}();

constexpr std::string_view kStar = "*";

Wire wire_of(std::string_view label) { return {reinterpret_cast<const std::uint8_t*>(label.data()), label.size()}; }

}  // namespace

/// A name in lower case, cut into labels.
struct NameMatcher::Walk {
  static constexpr std::size_t kLabelsMax = 128;

  // Not zeroed: only what cut() wrote is read.
  std::array<char, 256> text;
  std::array<std::uint8_t, kLabelsMax> starts;  // offset of each label in text
  std::array<std::uint8_t, kLabelsMax> sizes;
  std::array<std::uint32_t, kLabelsMax> hashes;
  std::size_t count = 0;
  NameMatch found;

  Walk() {}  // NOLINT(modernize-use-equals-default,cppcoreguidelines-pro-type-member-init)

  /// @return false if the name has a byte that no host name has: also a "*" that a client asks for
  /// (RFC 4592 2.2.1), which would find the edge of a pattern.
  bool cut(Wire wire, bool with_star) {
    std::size_t at = 0;
    while (wire[at] != 0) {
      const std::size_t size = wire[at];
      std::uint32_t hash = kHashBegin;
      for (std::size_t i = at + 1; i <= at + size; ++i) {
        const std::uint8_t byte = with_star && wire[i] == '*' ? std::uint8_t{'*'} : kPlain[wire[i]];
        if (byte == 0) {
          return false;
        }
        text[i] = static_cast<char>(byte);
        hash = hash_step(hash, byte);
      }
      starts[count] = static_cast<std::uint8_t>(at + 1);
      sizes[count] = static_cast<std::uint8_t>(size);
      hashes[count++] = hash;
      at += size + 1;
    }
    return true;
  }

  std::string_view label(std::size_t index) const { return {text.data() + starts[index], sizes[index]}; }
};

NameMatcher::NameMatcher() : nodes_(1) {}

std::string_view NameMatcher::label_of(const Node& node) const {
  return {node.size <= kInlineMax ? node.near.data() : labels_.data() + node.far, node.size};
}

std::uint32_t NameMatcher::child_of(std::uint32_t parent, std::string_view label, std::uint32_t hash) const {
  if (slots_.empty()) {
    return 0;
  }
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask; slots_[at].child != 0; at = (at + 1) & mask) {
    if (slots_[at].hash == hash) {
      const Node& node = nodes_[slots_[at].child];
      if (node.parent == parent && label_of(node) == label) {
        return slots_[at].child;
      }
    }
  }
  return 0;
}

void NameMatcher::put(Slot slot) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = slot.hash & mask;
  while (slots_[at].child != 0) {
    at = (at + 1) & mask;
  }
  slots_[at] = slot;
}

void NameMatcher::grow() {
  const std::vector<Slot> old = std::move(slots_);
  slots_.assign(std::max<std::size_t>(16, old.size() * 2), Slot());
  for (const Slot& slot : old) {
    if (slot.child != 0) {
      put(slot);
    }
  }
}

std::uint32_t NameMatcher::make_child(std::uint32_t parent, std::string_view label, std::uint32_t hash) {
  if (const std::uint32_t known = child_of(parent, label, hash); known != 0) {
    return known;
  }
  const auto child = static_cast<std::uint32_t>(nodes_.size());
  Node& node = nodes_.emplace_back();
  node.parent = parent;
  node.size = static_cast<std::uint32_t>(label.size());
  if (label.size() <= kInlineMax) {
    std::ranges::copy(label, node.near.begin());
  } else {
    node.far = static_cast<std::uint32_t>(labels_.size());
    labels_ += label;
  }
  if (slots_.size() < 2 * nodes_.size()) {
    grow();
  }
  put({hash, child});
  if (label == kStar) {
    nodes_[parent].star = child;
  } else if (label.find('*') != std::string_view::npos) {
    std::uint32_t& globs = nodes_[parent].globs;
    if (globs == 0) {
      globs_.emplace_back();
      globs = static_cast<std::uint32_t>(globs_.size());
    }
    globs_[globs - 1].push_back(child);
  }
  return child;
}

void NameMatcher::add(const NamePattern& pattern, std::uint32_t rule) {
  Walk walk;
  static_cast<void>(walk.cut(pattern.labels().wire(), true));  // a pattern's labels are plain and "*"
  std::uint32_t node = 0;
  for (std::size_t i = walk.count; i-- > 0;) {
    node = make_child(node, walk.label(i), edge_hash(node, walk.hashes[i]));
  }
  RuleList& list = pattern.below() ? nodes_[node].below : nodes_[node].exact;
  if (list.first == kNone) {
    list.first = rule;
    return;
  }
  if (list.more == 0) {
    more_.emplace_back();
    list.more = static_cast<std::uint32_t>(more_.size());
  }
  more_[list.more - 1].push_back(rule);
}

void NameMatcher::freeze() {
  nodes_.shrink_to_fit();
  labels_.shrink_to_fit();
}

void NameMatcher::report(const RuleList& list, std::size_t depth, NameMatch& found) const {
  const auto add = [&found, depth](std::uint32_t rule) {
    if (found.count == NameMatch::kRulesMax) {
      found.more = true;
      return;
    }
    found.depth[found.count] = static_cast<std::uint8_t>(depth);
    found.rules[found.count++] = rule;
  };
  if (list.first == kNone) {
    return;
  }
  add(list.first);
  if (list.more != 0) {
    std::ranges::for_each(more_[list.more - 1], add);
  }
}

/// Deeper nodes report first, so that the most specific pattern leads. Branches twice only where a
/// policy has both a label and a "*" there.
void NameMatcher::visit(Walk& walk, std::uint32_t at, std::size_t labels_left) const {
  const Node& node = nodes_[at];
  if (labels_left == 0) {
    walk.found.ancestor = true;
    return report(node.exact, 2 * walk.count + 1, walk.found);
  }
  const std::string_view label = walk.label(labels_left - 1);
  if (const std::uint32_t child = child_of(at, label, edge_hash(at, walk.hashes[labels_left - 1])); child != 0) {
    visit(walk, child, labels_left - 1);
  }
  if (node.globs != 0) {
    for (const std::uint32_t child : globs_[node.globs - 1]) {
      const std::string_view glob = label_of(nodes_[child]);
      if (label_matches(wire_of(glob), wire_of(label))) {
        visit(walk, child, labels_left - 1);
      }
    }
  }
  if (node.star != 0) {
    visit(walk, node.star, labels_left - 1);
  }
  report(node.below, 2 * (walk.count - labels_left), walk.found);
}

NameMatch NameMatcher::match(Wire wire) const {
  Walk walk;
  if (!walk.cut(wire, false)) {
    return {};
  }
  visit(walk, 0, walk.count);
  return walk.found;
}

}  // namespace postern
