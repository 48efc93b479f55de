// SPDX-License-Identifier: Apache-2.0
#include "agent/node_addresses.h"

#include <set>

#include "agent/netlink/links.h"
#include "agent/sandbox/sandbox.h"

namespace postern {

Result<> NodeAddresses::refresh() {
  auto addresses = read_addresses();
  if (!addresses) {
    return std::move(addresses).error();
  }
  std::set<Address> now;
  for (const InterfaceAddress& address : *addresses) {
    now.insert(address.address);
    POSTERN_RETURN_IF_ERROR(gate_.node_addrs().update(to_kernel(address.address), address.ifindex));
  }
  std::vector<egress_addr> gone;
  POSTERN_RETURN_IF_ERROR(gate_.node_addrs().for_each([&](const egress_addr& address, std::uint32_t) -> Result<> {
    if (!now.contains(from_kernel(address))) {
      gone.push_back(address);
    }
    return {};
  }));
  for (const egress_addr& address : gone) {
    POSTERN_RETURN_IF_ERROR(gate_.node_addrs().erase(address));
  }
  return {};
}

}  // namespace postern
