// SPDX-License-Identifier: Apache-2.0
//
// Changes to interfaces, addresses, routes and rules of the calling thread's network namespace.
// Only postern-setup makes any, and, but for one veth, only in a namespace of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/netlink/messages.h"

namespace postern {

struct VethEnd {
  std::string name;
  MacAddress mac{};  ///< Said at once: one that the kernel chose, udev may change.
};
struct VethPair {
  VethEnd here;
  VethEnd there;
  int netns_there = -1;  ///< Descriptor of the other namespace.
  std::uint32_t mtu = 0;
};
/// @return exists: an interface of this name is there already.
Result<> add_veth(const VethPair& pair);
Result<> remove_link(std::uint32_t ifindex);
/// Up; with noarp, without neighbour resolution.
Result<> set_link_up(std::uint32_t ifindex, bool noarp);

/// `ip route add local|unicast PREFIX [via GATEWAY onlink] dev IFINDEX table TABLE`.
struct Route {
  Prefix prefix;
  std::uint32_t ifindex = 0;
  std::uint32_t table = 0;
  bool local = false;
  std::optional<Address> gateway = {};
};
Result<> add_route(const Route& route);
/// `ip [-6] rule add iif NAME lookup TABLE pref PRIORITY`, for the family of v4.
Result<> add_rule_iif(const std::string& name, std::uint32_t table, std::uint32_t priority, bool v4);

}  // namespace postern
