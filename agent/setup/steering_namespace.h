// SPDX-License-Identifier: Apache-2.0
//
// The network namespace in which DNS of sandboxes is answered, and its one veth to the node.
//
// It has no name: the sockets made in it keep it alive, and it goes with the last of them. In it
// every address is local for what comes from the veth, and everything else leaves through the veth,
// without neighbour resolution. Of the node's namespace it uses nothing but the veth's end, which
// has no address, no IPv6 and no ARP: only redirected frames go in and out.
#pragma once

#include <string>
#include <vector>

#include "api/dns_feed.h"
#include "base/fd.h"

namespace postern {

struct SteeringSockets {
  Steering steering;
  std::vector<Fd> sockets;  ///< kSocketsPerWorker a worker, in the order of api/dns_feed.h.
};

/// Makes it with sockets for so many workers. On an error nothing of it is left.
/// @param link_name of the veth's end here. @return exists: an interface has that name.
Result<SteeringSockets> make_steering(const std::string& link_name, std::uint32_t workers);

}  // namespace postern
