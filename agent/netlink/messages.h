// SPDX-License-Identifier: Apache-2.0
//
// What rtnetlink messages say, as plain structs. No sockets: functions of bytes.
//
// A message that is too short for what it claims to be is an error, never read past its end:
// strings must be terminated, numbers as long as their type. rtnetlink(7).
#pragma once

#include <libmnl/libmnl.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/ip.h"

namespace postern {

using MacAddress = std::array<std::uint8_t, 6>;

struct LinkInfo {
  std::uint32_t ifindex = 0;
  std::string name;
  std::string kind;  ///< "veth", "tun", "bridge"...; empty for a device without one.
  MacAddress mac{};
  std::uint32_t peer_ifindex = 0;          ///< Of a veth: the other end; 0 for others.
  std::optional<std::int32_t> peer_netns;  ///< Id of the other end's namespace, -1 if it has none; nothing: this one.
};

struct InterfaceAddress {
  std::uint32_t ifindex = 0;
  Address address;
  std::uint8_t bits = 0;  ///< Prefix length, of the 16-byte form.
};

/// RTM_NEWLINK or RTM_DELLINK. @return invalid: malformed.
Result<LinkInfo> parse_link(const nlmsghdr* message);
/// RTM_NEWADDR or RTM_DELADDR. @return invalid: malformed; unsupported: of another family than IPv4 and IPv6.
Result<InterfaceAddress> parse_address(const nlmsghdr* message);

/// What a notification is about.
struct LinkEvent {
  enum class Kind { kOther, kLink, kLinkRemoved, kAddresses, kFilterRemoved };
  Kind kind = Kind::kOther;
  std::uint32_t ifindex = 0;
  LinkInfo link = {};  ///< Of kLink: as it is now.
};
/// A message of the groups that LinkMonitor listens to. @return invalid: malformed.
Result<LinkEvent> parse_event(const nlmsghdr* message);

}  // namespace postern
