// SPDX-License-Identifier: Apache-2.0
//
// Address and Prefix: IPv4 and IPv6 in one 16-byte form, network order, IPv4 v4-mapped
// (RFC 4291 2.5.5.2), the form that the kernel maps use.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace postern {

struct Address {
  std::array<std::uint8_t, 16> bytes{};

  friend constexpr auto operator<=>(const Address&, const Address&) = default;

  /// Text form of either family, without a zone or a prefix length.
  static Result<Address> parse(std::string_view text);
  /// Four bytes, network order.
  static constexpr Address from_v4(const std::uint8_t* four) {
    return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, four[0], four[1], four[2], four[3]}};
  }
  /// Sixteen bytes, network order. A mapped IPv4 address becomes what it maps.
  static constexpr Address from_v6(const std::uint8_t* sixteen) {
    Address address;
    for (std::size_t i = 0; i < 16; ++i) {
      address.bytes[i] = sixteen[i];
    }
    return address;
  }

  constexpr bool is_v4() const {
    for (std::size_t i = 0; i < 10; ++i) {
      if (bytes[i] != 0) {
        return false;
      }
    }
    return bytes[10] == 0xff && bytes[11] == 0xff;
  }
  constexpr const std::uint8_t* v4() const { return bytes.data() + 12; }
  std::string to_string() const;
};

struct Prefix {
  Address address;        ///< Host bits are zero.
  std::uint8_t bits = 0;  ///< Of the 16-byte form, 0 to 128: 10.0.0.0/8 has 104.

  friend constexpr auto operator<=>(const Prefix&, const Prefix&) = default;

  /// "10.0.0.0/8", "2001:db8::/32"; an address alone is its own prefix.
  /// @return invalid, with what to write instead, for host bits or a length out of range.
  static Result<Prefix> parse(std::string_view text);

  bool is_v4() const { return bits >= 96 && address.is_v4(); }
  /// An IPv6 prefix contains no IPv4 address, although ::/0 has the mapped ones among its bits.
  bool contains(const Address& other) const;
  bool contains(const Prefix& other) const { return bits <= other.bits && contains(other.address); }
  /// Prefix length as people write it: 8 for 10.0.0.0/8.
  int family_bits() const { return is_v4() ? bits - 96 : bits; }
  std::string to_string() const;
};

/// The address with all but its first `bits` bits (of the 16-byte form) zero.
Address masked(Address address, int bits);

/// "192.0.2.1:53", "[2001:db8::1]:53", or an address alone with `default_port`.
struct Endpoint {
  Address address;
  std::uint16_t port = 0;

  friend constexpr auto operator<=>(const Endpoint&, const Endpoint&) = default;
  static Result<Endpoint> parse(std::string_view text, std::uint16_t default_port);
  std::string to_string() const;
};

}  // namespace postern

template <>
struct std::hash<postern::Address> {
  std::size_t operator()(const postern::Address& address) const noexcept {
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size()});
  }
};
