// SPDX-License-Identifier: Apache-2.0
#include "policies/never_list.h"

#include <algorithm>
#include <cassert>
#include <vector>

namespace postern {
namespace {

std::vector<Prefix> prefixes(std::initializer_list<const char*> texts) {
  std::vector<Prefix> list;
  for (const char* text : texts) {
    auto prefix = Prefix::parse(text);
    assert(prefix);
    list.push_back(*prefix);
  }
  return list;
}

bool in_any(std::span<const Prefix> list, const Address& address) {
  return std::ranges::any_of(list, [&](const Prefix& prefix) { return prefix.contains(address); });
}

constexpr std::uint8_t kNat64[12] = {0, 0x64, 0xff, 0x9b};  // 64:ff9b::/96, RFC 6052

/// The IPv4 address inside a NAT64 one; any other address as it is.
Address without_nat64(const Address& address) {
  return std::equal(std::begin(kNat64), std::end(kNat64), address.bytes.begin()) ? Address::from_v4(address.v4())
                                                                                 : address;
}

}  // namespace

std::span<const Prefix> never_list() {
  static const std::vector<Prefix> list = prefixes({
      "0.0.0.0/8",           // "this network", RFC 1122 3.2.1.3
      "127.0.0.0/8",         // loopback
      "169.254.0.0/16",      // link-local; metadata services of most clouds
      "224.0.0.0/3",         // multicast, reserved, broadcast
      "168.63.129.16/32",    // platform endpoint of one cloud
      "100.100.100.200/32",  // metadata of another
      "::/96",               // unspecified, loopback, v4-compatible
      "fe80::/10",           // link-local
      "fec0::/10",           // site-local, RFC 3879
      "ff00::/8",            // multicast
      "2002::/16",           // 6to4
      "2001::/32",           // Teredo
      "64:ff9b:1::/48",      // local NAT64, RFC 8215
      "fd00:ec2::/32",       // metadata of one cloud
      "fd20:ce::/64",        // and of another
  });
  return list;
}

bool is_never_allowed(const Address& address) {
  const Address inner = without_nat64(address);
  // ISATAP puts an IPv4 address behind ::0:5efe or ::200:5efe, under any prefix (RFC 5214 6.1).
  const auto& b = inner.bytes;
  const bool isatap = (b[8] & 0xfc) == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe;
  return isatap || in_any(never_list(), inner);
}

bool opens_never_listed(const Prefix& rule) {
  return rule.bits == 128 ||
         std::ranges::any_of(never_list(), [&](const Prefix& entry) { return entry.contains(rule); });
}

bool is_private(const Address& address) {
  static const std::vector<Prefix> list = prefixes({
      "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",  // RFC 1918
      "100.64.0.0/10",                                  // shared, RFC 6598
      "198.18.0.0/15",                                  // benchmarks, RFC 2544
      "192.0.0.0/24",                                   // protocol assignments, RFC 6890
      "fc00::/7",                                       // unique local, RFC 4193
  });
  return in_any(list, without_nat64(address));
}

}  // namespace postern
