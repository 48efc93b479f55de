// SPDX-License-Identifier: Apache-2.0
//
// Interfaces and addresses of this network namespace, and of the other end of a veth.
//
// The other end is read through its namespace's id (IFLA_LINK_NETNSID, IFA_TARGET_NETNSID; kernel
// 4.20), which takes CAP_NET_ADMIN and no entering of the namespace.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"

namespace postern {

struct LinkInfo {
  std::uint32_t ifindex = 0;
  std::string name;
  std::string kind;  ///< "veth", "tun", "bridge"...; empty for a device without one.
  std::array<std::uint8_t, 6> mac{};
  std::uint32_t peer_ifindex = 0;         ///< Of a veth: the other end; 0 for others.
  std::optional<std::int32_t> peer_netns;  ///< Id of the other end's namespace; none: this one.
};

struct InterfaceAddress {
  std::uint32_t ifindex = 0;
  Address address;
  std::uint8_t bits = 0;  ///< Prefix length, of the 16-byte form.
};

/// @return not found.
Result<LinkInfo> find_link(const std::string& name);

/// The other end of a veth. @return unsupported: it is no veth, or its namespace has no id here.
Result<LinkInfo> read_peer(const LinkInfo& link);
Result<std::vector<InterfaceAddress>> read_peer_addresses(const LinkInfo& link);

/// All addresses of this namespace.
Result<std::vector<InterfaceAddress>> read_addresses();

}  // namespace postern
