// SPDX-License-Identifier: Apache-2.0
#include "policies/name_matcher.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace postern {
namespace {

/// FNV-1a over the lower-case label and its parent. Policies fill the table, not queries, so its
/// chains are not in an attacker's hands.
std::uint32_t edge_hash(std::uint32_t parent, Wire label) {
  std::uint32_t hash = 2166136261u ^ (parent * 0x9e3779b9u);
  for (const std::uint8_t byte : label) {
    hash = (hash ^ lower(byte)) * 16777619u;
  }
  return hash ^ (hash >> 15);
}

bool equal_label(const char* stored, Wire label) {
  for (std::size_t i = 0; i < label.size(); ++i) {
    if (static_cast<std::uint8_t>(stored[i]) != lower(label[i])) {
      return false;
    }
  }
  return true;
}

constexpr std::array<std::uint8_t, 1> kStar{'*'};

}  // namespace

struct NameMatcher::Walk {
  explicit Walk(Wire name) : wire(name) {}
  Wire wire;
  std::array<std::uint8_t, 128> starts{};  // offset of each label's length byte
  NameMatch found;

  Wire label(std::size_t index) const { return wire.subspan(starts[index] + 1u, wire[starts[index]]); }
  void add(const std::vector<std::uint32_t>& rules) {
    for (const std::uint32_t rule : rules) {
      if (found.count == NameMatch::kRulesMax) {
        found.more = true;
        return;
      }
      found.rules[found.count++] = rule;
    }
  }
};

NameMatcher::NameMatcher() : nodes_(1) {}

std::uint32_t NameMatcher::make_child(std::uint32_t parent, Wire label) {
  const std::uint32_t hash = edge_hash(parent, label);
  if (slots_.size() < 2 * (edges_.size() + 1)) {
    slots_.assign(std::bit_ceil(4 * (edges_.size() + 8)), 0);
    for (std::uint32_t i = 0; i < edges_.size(); ++i) {
      std::size_t at = edges_[i].hash & (slots_.size() - 1);
      while (slots_[at] != 0) {
        at = (at + 1) & (slots_.size() - 1);
      }
      slots_[at] = i + 1;
    }
  }
  if (const std::uint32_t known = child_of(parent, label, hash); known != 0) {
    return known;
  }
  std::size_t at = hash & (slots_.size() - 1);
  while (slots_[at] != 0) {
    at = (at + 1) & (slots_.size() - 1);
  }
  const auto child = static_cast<std::uint32_t>(nodes_.size());
  edges_.push_back(
      {parent, child, hash, static_cast<std::uint32_t>(labels_.size()), static_cast<std::uint32_t>(label.size())});
  slots_[at] = static_cast<std::uint32_t>(edges_.size());
  labels_.append(reinterpret_cast<const char*>(label.data()), label.size());
  nodes_.emplace_back();
  return child;
}

void NameMatcher::add(const NamePattern& pattern, std::uint32_t rule) {
  Walk walk(pattern.labels().wire());
  std::size_t count = 0;
  for (std::size_t at = 0; walk.wire[at] != 0; at += walk.wire[at] + 1u) {
    walk.starts[count++] = static_cast<std::uint8_t>(at);
  }
  std::uint32_t node = 0;
  for (std::size_t i = count; i-- > 0;) {
    const std::uint32_t parent = node;
    const Wire label = walk.label(i);
    const std::size_t edges = edges_.size();
    node = make_child(parent, label);
    if (std::ranges::equal(label, kStar)) {
      nodes_[parent].star = node;
    } else if (edges_.size() != edges && std::ranges::find(label, '*') != label.end()) {
      nodes_[parent].globs.push_back(static_cast<std::uint32_t>(edges));
    }
  }
  (pattern.below() ? nodes_[node].below : nodes_[node].exact).push_back(rule);
}

void NameMatcher::freeze() {
  nodes_.shrink_to_fit();
  edges_.shrink_to_fit();
  labels_.shrink_to_fit();
}

std::uint32_t NameMatcher::child_of(std::uint32_t parent, Wire label, std::uint32_t hash) const {
  for (std::size_t at = hash & (slots_.size() - 1); slots_[at] != 0; at = (at + 1) & (slots_.size() - 1)) {
    const Edge& edge = edges_[slots_[at] - 1];
    if (edge.hash == hash && edge.parent == parent && edge.size == label.size() &&
        equal_label(labels_.data() + edge.label, label)) {
      return edge.child;
    }
  }
  return 0;
}

/// Deeper nodes report first, so that the most specific pattern leads. Branches twice only where a
/// policy has both a label and a "*" there.
void NameMatcher::visit(Walk& walk, std::uint32_t node, std::size_t labels_left) const {
  if (labels_left == 0) {
    walk.found.ancestor = true;
    walk.add(nodes_[node].exact);
    return;
  }
  const Wire label = walk.label(labels_left - 1);
  if (const std::uint32_t child = child_of(node, label, edge_hash(node, label)); child != 0) {
    visit(walk, child, labels_left - 1);
  }
  for (const std::uint32_t glob : nodes_[node].globs) {
    const Edge& edge = edges_[glob];
    if (label_matches({reinterpret_cast<const std::uint8_t*>(labels_.data()) + edge.label, edge.size}, label)) {
      visit(walk, edge.child, labels_left - 1);
    }
  }
  if (nodes_[node].star != 0) {
    visit(walk, nodes_[node].star, labels_left - 1);
  }
  walk.add(nodes_[node].below);
}

NameMatch NameMatcher::match(Wire wire) const {
  Walk walk(wire);
  std::size_t count = 0;
  for (std::size_t at = 0; wire[at] != 0; at += wire[at] + 1u) {
    walk.starts[count++] = static_cast<std::uint8_t>(at);
    for (std::size_t i = at + 1; i <= at + wire[at]; ++i) {
      if (!is_plain(wire[i])) {
        return {};  // also a "*" that a client asks for (RFC 4592 2.2.1), which would find the edge of a pattern
      }
    }
  }
  if (slots_.empty()) {
    walk.found.ancestor = count == 0;
    if (count != 0) {
      walk.add(nodes_[0].below);
    }
    return walk.found;
  }
  visit(walk, 0, count);
  return walk.found;
}

}  // namespace postern
