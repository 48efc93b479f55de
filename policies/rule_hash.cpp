// SPDX-License-Identifier: Apache-2.0
#include "policies/rule_hash.h"

#include <algorithm>
#include <cstring>

namespace postern {
namespace {

class Hash {
 public:
  Hash& bytes(const void* data, std::size_t size) {
    const auto* at = static_cast<const unsigned char*>(data);
    for (std::size_t done = 0; done < size; done += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, at + done, std::min(sizeof word, size - done));
      number(word);
    }
    return *this;
  }
  Hash& text(std::string_view text) { return number(text.size()).bytes(text.data(), text.size()); }
  Hash& number(std::uint64_t number) {
    value_ = (value_ ^ number) * 0x9e3779b97f4a7c15ull;
    value_ ^= value_ >> 29;  // high bits of a word reach the low ones of the next
    return *this;
  }
  Hash& prefix(const Prefix& prefix) { return bytes(prefix.address.bytes.data(), 16).number(prefix.bits); }
  Hash& ports(const PortSet& ports) {
    number(ports.is_all() ? 1 : 0).number(ports.ranges().size());
    for (const PortRange& range : ports.ranges()) {
      number((std::uint64_t{range.protocol} << 32) | (std::uint64_t{range.first} << 16) | range.last);
    }
    return *this;
  }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 14695981039346656037ull;
};

}  // namespace

std::uint32_t fold(std::uint64_t hash) { return static_cast<std::uint32_t>(hash ^ (hash >> 32)) & kRuleIdMask; }

std::uint64_t content_hash(const Rule& rule) {
  Hash hash;
  hash.number(static_cast<std::uint64_t>(rule.kind)).ports(rule.ports).prefix(rule.prefix);
  if (rule.pattern) {
    hash.number(rule.pattern->below() ? 1 : 0).text(rule.pattern->labels().bytes());
  }
  for (const Prefix& hole : rule.except) {
    hash.prefix(hole);
  }
  if (rule.kind == RuleKind::kClosed) {
    hash.text(rule.owner->title);
  }
  return hash.value();
}

bool same_content(const Rule& a, const Rule& b) {
  return a.kind == b.kind && a.prefix == b.prefix && a.pattern == b.pattern && a.ports == b.ports &&
         a.except == b.except && (a.kind != RuleKind::kClosed || a.owner->title == b.owner->title);
}

std::uint32_t group_id(const PortSet& ports, const std::vector<std::uint32_t>& members) {
  Hash hash;
  hash.ports(ports);
  for (const std::uint32_t id : members) {
    hash.number(id);
  }
  return fold(hash.value()) | ~kRuleIdMask;
}

std::uint64_t fingerprint_of(const PolicyImage& image, std::vector<std::uint64_t> contents) {
  std::ranges::sort(contents);
  Hash hash;
  hash.text(image.name).number(contents.size());
  for (const std::uint64_t content : contents) {
    hash.number(content);
  }
  // Which of two rules is asked first shows only in what they say together.
  for (const CidrEntry& entry : image.cidrs) {
    const CidrVerdict& verdict = entry.verdict;
    hash.prefix(entry.prefix).ports(verdict.deny).ports(verdict.allow).ports(verdict.narrow).ports(verdict.inbound);
  }
  hash.number(image.inbound_link ? 1 : 0)
      .number(static_cast<std::uint64_t>(image.dns.grace_s))
      .text(image.dns.denial_text);
  for (const Prefix& prefix : image.dns.private_allowed) {
    hash.prefix(prefix);
  }
  return hash.value();
}

}  // namespace postern
