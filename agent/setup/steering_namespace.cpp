// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/steering_namespace.h"

#include <fcntl.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "agent/datapath/steer_mark.h"
#include "agent/netlink/changes.h"
#include "agent/netlink/links.h"
#include "agent/setup/dns_sockets.h"
#include "agent/setup/netns.h"
#include "base/clock.h"

namespace postern {
namespace {

constexpr const char* kInnerName = "steer";
// Locally administered, and not EGRESS_STEER_MAC's 02:50.
constexpr MacAddress kInnerMac = {0x02, 0x51, 0x70, 0x6f, 0x73, 0x75};
constexpr std::uint32_t kTableLocal = 53;  // in the namespace of our own
constexpr std::uint32_t kTableMain = 254;
constexpr std::uint32_t kRulePriority = 1;
// The most that a veth takes. Frames arrive in the size of whatever link the sandbox has, jumbo frames
// too, and a smaller MTU here would drop them. It makes none larger on the way back: a TCP answer keeps
// to the MSS that the sandbox announced, and a UDP answer to 1232 bytes.
constexpr std::uint32_t kMtu = 65535;

struct Sysctl {
  std::string name;
  const char* value;
};

Result<> write_sysctls(const std::string& folder, std::initializer_list<Sysctl> settings) {
  for (const Sysctl& setting : settings) {
    const std::string path = folder + "/" + setting.name;
    const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    const auto length = static_cast<ssize_t>(std::strlen(setting.value));
    if (!file || ::write(file.get(), setting.value, static_cast<std::size_t>(length)) != length) {
      const char* hint =
          errno == EROFS ? " (in a container, mount the node's /proc/sys/net somewhere and say where with --sysctls)"
                         : "";
      return Error::from_errno("setting " + path + hint, errno);
    }
  }
  return {};
}

/// What a new namespace has of these may come from the node's (net.core.devconf_inherit_init_net).
Result<> set_inner_sysctls(const std::string& folder) {
  return write_sysctls(
      folder,
      {
          {"ipv4/ip_forward", "0"},
          {"ipv4/conf/all/rp_filter", "0"},  // sources are the sandboxes', which we have no routes to
          {"ipv4/conf/steer/rp_filter", "0"},
          {"ipv4/conf/steer/accept_local", "1"},
          {"ipv4/conf/steer/route_localnet", "1"},  // whatever its destination: 127.0.0.53 too
          {"ipv4/tcp_fwmark_accept", "1"},          // a connection's socket takes the mark of its SYN: the sandbox
          {"ipv6/conf/all/disable_ipv6", "0"},
          {"ipv6/conf/steer/disable_ipv6", "0"},
          {"ipv6/conf/all/forwarding", "0"},
          {"ipv6/conf/steer/accept_ra", "0"},
          {"ipv6/conf/steer/addr_gen_mode", "1"},  // no address of its own: nothing to detect, announce or ask for
          {"ipv6/conf/steer/router_solicitations", "0"},
      });
}

/// Everything from the veth is local, everything else leaves by it.
Result<> add_routes(std::uint32_t inner, std::uint32_t loopback) {
  constexpr std::uint8_t kZero[4] = {0, 0, 0, 0};
  // Nobody has these. With one next hop there is one neighbour entry for all sandboxes; the table of
  // neighbours is the whole node's, and an entry a sandbox would take room from its pods.
  constexpr std::uint8_t kNextHop4[4] = {169, 254, 1, 1};
  constexpr std::uint8_t kNextHop6[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  const Prefix all4{Address::from_v4(kZero), 96};
  const Prefix all6{};
  const Prefix link_local{masked(Address::from_v6(kNextHop6), 10), 10};
  for (const Route& route :
       {Route{all4, loopback, kTableLocal, true}, Route{all6, loopback, kTableLocal, true},
        // Such a destination belongs to the interface it came in by; the loopback's route does not count for it.
        Route{link_local, inner, kTableLocal, true}, Route{all4, inner, kTableMain, false, Address::from_v4(kNextHop4)},
        Route{all6, inner, kTableMain, false, Address::from_v6(kNextHop6)}}) {
    POSTERN_RETURN_IF_ERROR(add_route(route));
  }
  POSTERN_RETURN_IF_ERROR(add_rule_iif(kInnerName, kTableLocal, kRulePriority, true));
  return add_rule_iif(kInnerName, kTableLocal, kRulePriority, false);
}

/// Runs in the steering namespace.
Result<std::vector<Fd>> furnish(const SteeringWish& wish) {
  const std::uint32_t inner = ::if_nametoindex(kInnerName);
  const std::uint32_t loopback = ::if_nametoindex("lo");
  POSTERN_RETURN_IF_ERROR(set_inner_sysctls(wish.sysctls));
  // The mark first: without it a packet would be of no sandbox.
  POSTERN_RETURN_IF_ERROR(attach_steer_mark(inner));
  POSTERN_RETURN_IF_ERROR(set_link_up(loopback, false));
  POSTERN_RETURN_IF_ERROR(set_link_up(inner, true));
  POSTERN_RETURN_IF_ERROR(add_routes(inner, loopback));
  return make_dns_sockets(wish.workers);
}

Result<std::uint32_t> add_link(const std::string& name, const Netns& netns) {
  if (auto added = add_veth({{name, kSteeringNodeMac}, {kInnerName, kInnerMac}, netns.fd(), kMtu}); !added) {
    const bool taken = added.error().code() == Errc::kExists;
    return std::move(added).error().within(
        taken ? "an interface " + name + " is there already, and is not ours: name another with --link-name"
              : "making the steering link");
  }
  auto link = find_link(name);
  return link ? Result<std::uint32_t>(link->ifindex) : Result<std::uint32_t>(std::move(link).error());
}

}  // namespace

LinkGuard::~LinkGuard() {
  if (ifindex_ != 0) {
    static_cast<void>(remove_link(ifindex_));  // if it is gone already, so much the better
  }
}

Result<SteeringSockets> make_steering(const SteeringWish& wish) {
  if (::access((wish.sysctls + "/ipv6").c_str(), F_OK) != 0) {
    return Error(Errc::kUnsupported,
                 "this kernel runs without IPv6 (ipv6.disable=1), and sandboxes may ask by either family: start it "
                 "with ipv6.disable=0");
  }
  auto netns = Netns::make();
  if (!netns) {
    return std::move(netns).error();
  }
  auto ifindex = add_link(wish.link_name, *netns);
  if (!ifindex) {
    return std::move(ifindex).error();
  }
  SteeringSockets made;
  made.link = LinkGuard(*ifindex);
  POSTERN_RETURN_IF_ERROR(write_sysctls(wish.sysctls, {{"ipv6/conf/" + wish.link_name + "/disable_ipv6", "1"}}));
  auto sockets = netns->inside([&] { return furnish(wish); });
  if (!sockets) {
    return std::move(sockets).error().within("the steering namespace");
  }
  POSTERN_RETURN_IF_ERROR(set_link_up(*ifindex, true));
  made.sockets = std::move(*sockets);
  made.steering.workers = wish.workers;
  made.steering.node_ifindex = *ifindex;
  std::copy(kInnerMac.begin(), kInnerMac.end(), made.steering.peer_mac);
  made.steering.created_boot_ns = clock_ns(CLOCK_BOOTTIME);
  return made;
}

}  // namespace postern
