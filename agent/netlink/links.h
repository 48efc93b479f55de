// SPDX-License-Identifier: Apache-2.0
//
// Interfaces and addresses of this network namespace, and of the other end of a veth.
//
// The other end is read through its namespace's id (IFLA_LINK_NETNSID, IFA_TARGET_NETNSID; kernel
// 4.20), which takes CAP_NET_ADMIN and no entering of the namespace. The kernel gives that namespace an
// id here whenever it tells of a link to it (peernet2id_alloc), so none has to be asked for.
#pragma once

#include <string>
#include <vector>

#include "agent/netlink/messages.h"

namespace postern {

/// @return not found.
Result<LinkInfo> find_link(const std::string& name);
Result<LinkInfo> find_link(std::uint32_t ifindex);

/// All interfaces of this namespace.
Result<std::vector<LinkInfo>> read_links();

/// The other end of a veth. @return unsupported: it is no veth, or its namespace has no id here: ask
/// for the sandbox's addresses and MAC instead.
Result<LinkInfo> read_peer(const LinkInfo& link);
Result<std::vector<InterfaceAddress>> read_peer_addresses(const LinkInfo& link);

/// All addresses of this namespace.
Result<std::vector<InterfaceAddress>> read_addresses();

}  // namespace postern
