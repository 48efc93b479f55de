// SPDX-License-Identifier: Apache-2.0
//
// DnsName: a domain name as wire labels (RFC 1035 3.1), lower case, the only form that is compared.
//
// Text is for people: it enters through from_text and leaves through text_of. Two names that differ
// in a byte inside a label differ here, whatever their text looks like.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace postern {

inline constexpr std::size_t kNameMax = 255;  // wire bytes with the root label, RFC 1035 2.3.4
inline constexpr std::size_t kLabelMax = 63;

using Wire = std::span<const std::uint8_t>;

class DnsName {
 public:
  /// The root.
  DnsName() : wire_(1, '\0') {}

  /// A host name or pattern of letters, digits, hyphens and underscores; "*" may stand as a label.
  /// A trailing dot is accepted. @return invalid, naming the label and what is wrong with it.
  static Result<DnsName> from_text(std::string_view text);
  /// A whole uncompressed name. @return invalid unless it is exactly one name.
  static Result<DnsName> from_wire(Wire wire);

  Wire wire() const { return {reinterpret_cast<const std::uint8_t*>(wire_.data()), wire_.size()}; }
  const std::string& bytes() const { return wire_; }
  bool is_root() const { return wire_.size() == 1; }
  std::size_t label_count() const;
  /// Without its first label. The root stays the root.
  DnsName parent() const;
  bool is_equal_or_below(const DnsName& other) const;
  std::string text() const;

  friend bool operator==(const DnsName&, const DnsName&) = default;
  friend auto operator<=>(const DnsName&, const DnsName&) = default;

 private:
  explicit DnsName(std::string wire) : wire_(std::move(wire)) {}
  std::string wire_;
};

/// Presentation form without the final dot ("." for the root), odd bytes as \DDD (RFC 4343 2.1).
/// Any bytes are safe to pass; what is not a name gives "?".
std::string text_of(Wire wire);

/// The byte in lower case; only ASCII letters change (RFC 4343).
constexpr std::uint8_t lower(std::uint8_t byte) {
  return byte >= 'A' && byte <= 'Z' ? static_cast<std::uint8_t>(byte | 0x20) : byte;
}

/// Letters, digits, hyphen, underscore: the bytes that a wildcard may stand for.
constexpr bool is_plain(std::uint8_t byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '-' ||
         byte == '_';
}

}  // namespace postern
