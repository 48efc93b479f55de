// SPDX-License-Identifier: Apache-2.0
#include "base/ip.h"

#include <arpa/inet.h>
#include <endian.h>

#include <bit>
#include <charconv>
#include <cstring>

#include "base/log.h"

namespace postern {
namespace {

Result<int> parse_number(std::string_view text, int max) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0 || number > max) {
    return Error(Errc::kInvalid, "\"" + printable(text) + "\" is not a number from 0 to " + std::to_string(max));
  }
  return number;
}

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  const std::string terminated(text);
  std::array<std::uint8_t, 16> raw{};
  if (terminated.size() == std::strlen(terminated.c_str())) {
    if (::inet_pton(AF_INET, terminated.c_str(), raw.data()) == 1) {
      return from_v4(raw.data());
    }
    if (::inet_pton(AF_INET6, terminated.c_str(), raw.data()) == 1) {
      return from_v6(raw.data());
    }
  }
  return Error(Errc::kInvalid, "\"" + printable(text) + "\" is not an IP address");
}

std::string Address::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (is_v4()) {
    ::inet_ntop(AF_INET, v4(), text.data(), text.size());
  } else {
    ::inet_ntop(AF_INET6, bytes.data(), text.data(), text.size());
  }
  return text.data();
}

Address masked(Address address, int bits) {
  for (int i = 0; i < 16; ++i) {
    const int keep = bits - i * 8;
    auto& byte = address.bytes[static_cast<std::size_t>(i)];
    if (keep <= 0) {
      byte = 0;
    } else if (keep < 8) {
      byte = static_cast<std::uint8_t>(byte & (0xff << (8 - keep)));
    }
  }
  return address;
}

Result<Prefix> Prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  auto address = Address::parse(text.substr(0, slash));
  if (!address) {
    return Error(Errc::kInvalid, "\"" + printable(text) + "\" is not a CIDR prefix: write 10.0.0.0/8 or 2001:db8::/32");
  }
  const int family_bits = address->is_v4() ? 32 : 128;
  int length = family_bits;
  if (slash != std::string_view::npos) {
    auto number = parse_number(text.substr(slash + 1), family_bits);
    if (!number) {
      return Error(Errc::kInvalid,
                   "\"" + printable(text) + "\" has no prefix length from 0 to " + std::to_string(family_bits));
    }
    length = *number;
  }
  const int bits = length + (128 - family_bits);
  const Prefix prefix{masked(*address, bits), static_cast<std::uint8_t>(bits)};
  if (prefix.address != *address) {
    return Error(Errc::kInvalid, "\"" + printable(text) + "\" has bits set behind its length: write " +
                                     prefix.to_string() + ", or " + address->to_string() + " for the one address");
  }
  return prefix;
}

bool Prefix::contains(const Address& other) const {
  std::array<std::uint64_t, 2> ours{};
  std::array<std::uint64_t, 2> theirs{};
  std::memcpy(ours.data(), address.bytes.data(), sizeof ours);
  std::memcpy(theirs.data(), other.bytes.data(), sizeof theirs);
  // The bits that differ, the first one highest.
  const std::uint64_t high = be64toh(ours[0] ^ theirs[0]);
  const std::uint64_t low = be64toh(ours[1] ^ theirs[1]);
  const int equal_bits = high != 0 ? std::countl_zero(high) : 64 + std::countl_zero(low);
  return equal_bits >= bits && is_v4() == other.is_v4();
}

std::string Prefix::to_string() const { return address.to_string() + "/" + std::to_string(family_bits()); }

Result<Endpoint> Endpoint::parse(std::string_view text, std::uint16_t default_port) {
  std::string_view host = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    host = text.substr(1, close == std::string_view::npos ? close : close - 1);
    const auto rest = close == std::string_view::npos ? std::string_view("?") : text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') {
      return Error(Errc::kInvalid, "\"" + printable(text) + "\" is not an address and port: write [2001:db8::1]:53");
    }
    port = rest.empty() ? rest : rest.substr(1);
  } else if (const auto colon = text.find(':'); colon != std::string_view::npos && colon == text.rfind(':')) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  auto address = Address::parse(host);
  if (!address) {
    return std::move(address).error();
  }
  Endpoint endpoint{*address, default_port};
  if (host.size() != text.size() && !(text.starts_with('[') && port.empty())) {
    auto number = parse_number(port, 65535);
    if (!number || *number == 0) {
      return Error(Errc::kInvalid, "\"" + printable(text) + "\" has no port from 1 to 65535");
    }
    endpoint.port = static_cast<std::uint16_t>(*number);
  }
  return endpoint;
}

std::string Endpoint::to_string() const {
  const std::string host = address.to_string();
  return (address.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

}  // namespace postern
