// SPDX-License-Identifier: Apache-2.0
//
// The never-list: addresses that no name and no wide CIDR rule opens. Loopback, link-local,
// multicast, metadata services, and forms that carry any IPv4 address inside.
//
// The kernel's copy is bpf/address.h; a unit test holds the two against each other. The node's own
// addresses belong to the list too, but only the kernel map node_addrs knows them.
#pragma once

#include <span>

#include "base/ip.h"

namespace postern {

std::span<const Prefix> never_list();
bool is_never_allowed(const Address& address);

/// May a CIDR allow rule with this prefix open never-listed addresses? Only if it lies wholly
/// inside an entry, or is one address (which may be the node's).
bool opens_never_listed(const Prefix& rule);

/// Private and shared address space (RFC 1918, 6598, 4193, 2544): an answer of a public name that
/// points there is a rebinding attempt unless the policy expects it.
bool is_private(const Address& address);

}  // namespace postern
