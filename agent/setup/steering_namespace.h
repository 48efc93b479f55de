// SPDX-License-Identifier: Apache-2.0
//
// The network namespace in which DNS of sandboxes is answered, and its one veth to the node.
//
// It has no name: the sockets made in it keep it alive, and it goes with the last of them. In it
// every address is local for what comes from the veth, and everything else leaves through the veth,
// without neighbour resolution. Of the node's namespace it uses nothing but the veth's end, which
// has no address, no IPv6 and no ARP: only redirected frames go in and out. Frames that come out are
// addressed to nobody on that link, so the node's own stack takes none, gate or no gate.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "agent/netlink/messages.h"
#include "api/dns_feed.h"
#include "base/fd.h"

namespace postern {

/// Removes a link at its end, unless told to leave it.
class LinkGuard {
 public:
  LinkGuard() = default;
  explicit LinkGuard(std::uint32_t ifindex) : ifindex_(ifindex) {}
  LinkGuard(const LinkGuard&) = delete;
  LinkGuard& operator=(const LinkGuard&) = delete;
  LinkGuard(LinkGuard&& other) noexcept : ifindex_(std::exchange(other.ifindex_, 0)) {}
  LinkGuard& operator=(LinkGuard&& other) noexcept {
    std::swap(ifindex_, other.ifindex_);
    return *this;
  }
  ~LinkGuard();
  void leave() { ifindex_ = 0; }

 private:
  std::uint32_t ifindex_ = 0;
};

struct SteeringSockets {
  Steering steering;
  std::vector<Fd> sockets;  ///< kSocketsPerWorker a worker, in the order of api/dns_feed.h.
  LinkGuard link;           ///< To leave, once somebody else holds the sockets.
};

struct SteeringWish {
  std::string link_name;  ///< Of the veth's end here.
  std::string sysctls;    ///< Where the settings of network namespaces can be written: /proc/sys/net, or a mount of it.
  std::uint32_t workers = 1;
};

/// Makes it with sockets for so many workers. On an error nothing of it is left.
/// @return exists: an interface has that name; unsupported: the kernel has no IPv6.
Result<SteeringSockets> make_steering(const SteeringWish& wish);

/// Of the node's end: locally administered, not EGRESS_STEER_MAC's 02:50, and how we know our link again.
inline constexpr MacAddress kSteeringNodeMac = {0x02, 0x51, 0x70, 0x6f, 0x73, 0x74};

/// Is it the node's end of a link that make_steering made?
inline bool is_steering_link(const LinkInfo& link) { return link.kind == "veth" && link.mac == kSteeringNodeMac; }

}  // namespace postern
