// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/arpa.h"

#include <array>
#include <charconv>
#include <string_view>

#include "dnsproxy/wire.h"

namespace postern {
namespace {

constexpr std::uint8_t kInAddr[] = "\7in-addr\4arpa";
constexpr std::uint8_t kIp6[] = "\3ip6\4arpa";

std::string_view label_at(Wire name, std::size_t at) {
  return {reinterpret_cast<const char*>(name.data()) + at + 1, name[at]};
}

bool ends_with(Wire name, std::size_t at, Wire tree) { return equal_names(name.subspan(at), tree); }

std::optional<Address> from_in_addr(Wire name) {
  std::array<std::uint8_t, 4> four{};
  std::size_t at = 0;
  for (std::size_t i = 4; i-- > 0; at += name[at] + 1u) {
    const auto label = label_at(name, at);
    const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), four[i]);
    if (name[at] == 0 || error != std::errc() || end != label.data() + label.size()) {
      return std::nullopt;
    }
  }
  return ends_with(name, at, kInAddr) ? std::optional(Address::from_v4(four.data())) : std::nullopt;
}

std::optional<Address> from_ip6(Wire name) {
  Address address;
  std::size_t at = 0;
  for (std::size_t i = 32; i-- > 0; at += 2) {
    std::uint8_t nibble = 0;
    const auto label = label_at(name, at);
    if (label.size() != 1 || std::from_chars(label.data(), label.data() + 1, nibble, 16).ec != std::errc()) {
      return std::nullopt;
    }
    address.bytes[i / 2] = static_cast<std::uint8_t>(address.bytes[i / 2] | (i % 2 == 0 ? nibble << 4 : nibble));
  }
  return ends_with(name, at, kIp6) ? std::optional(address) : std::nullopt;
}

}  // namespace

std::optional<Address> address_from_arpa(Wire name) {
  if (name.size() == 64 + sizeof(kIp6)) {
    return from_ip6(name);
  }
  return name.size() > sizeof(kInAddr) + 8 - 1 && is_ancestor(kInAddr, name) ? from_in_addr(name) : std::nullopt;
}

}  // namespace postern
