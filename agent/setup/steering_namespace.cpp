// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/steering_namespace.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>

#include <cerrno>

#include "agent/datapath/steer_mark.h"
#include "agent/netlink/changes.h"
#include "agent/netlink/links.h"
#include "agent/setup/dns_sockets.h"
#include "base/clock.h"

namespace postern {
namespace {

constexpr const char* kInnerName = "steer";
constexpr std::uint32_t kTableLocal = 53;  // in the namespace of our own
constexpr std::uint32_t kTableMain = 254;
constexpr std::uint32_t kRulePriority = 1;
// As large as the loopback's: what the sandbox's link carried must fit here, whatever its MTU.
constexpr std::uint32_t kMtu = 65535;

Result<> write_sysctl(const std::string& name, const char* value) {
  const std::string path = "/proc/sys/net/" + name;
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), value, 1) != 1) {
    return Error::from_errno("setting " + path, errno);
  }
  return {};
}

struct Sysctl {
  const char* name;
  const char* value;
};

// IPv6 settings of a kernel without IPv6 are not there; then nothing is to be done either.
Result<> write_sysctls(std::initializer_list<Sysctl> settings) {
  for (const Sysctl& setting : settings) {
    if (auto written = write_sysctl(setting.name, setting.value); !written && written.error().code() != Errc::kNotFound) {
      return written;
    }
  }
  return {};
}

/// Runs in the steering namespace.
Result<> furnish() {
  const std::uint32_t inner = ::if_nametoindex(kInnerName);
  const std::uint32_t loopback = ::if_nametoindex("lo");
  POSTERN_RETURN_IF_ERROR(write_sysctls({
      {"ipv4/conf/all/rp_filter", "0"},  // sources are the sandboxes', which we do not route to
      {"ipv4/conf/default/rp_filter", "0"},
      {"ipv4/conf/steer/rp_filter", "0"},
      {"ipv4/conf/steer/route_localnet", "1"},  // a sandbox may ask 127.0.0.53: it gets its answer from there
      {"ipv4/conf/all/accept_local", "1"},
      {"ipv4/tcp_fwmark_accept", "1"},  // a connection's socket takes the mark of its SYN: the sandbox
      {"ipv6/conf/all/accept_ra", "0"},
      {"ipv6/conf/steer/accept_ra", "0"},
      {"ipv6/conf/steer/accept_dad", "0"},
  }));
  POSTERN_RETURN_IF_ERROR(set_link_up(loopback, false));
  POSTERN_RETURN_IF_ERROR(set_link_up(inner, true));
  for (const bool v4 : {true, false}) {
    constexpr std::uint8_t kZero[4] = {};
    const Prefix everything = v4 ? Prefix{Address::from_v4(kZero), 96} : Prefix{};
    POSTERN_RETURN_IF_ERROR(add_route({everything, loopback, kTableLocal, true}));
    POSTERN_RETURN_IF_ERROR(add_route({everything, inner, kTableMain, false}));
    POSTERN_RETURN_IF_ERROR(add_rule_iif(kInnerName, kTableLocal, kRulePriority, v4));
  }
  return attach_steer_mark(inner);
}

/// A namespace to come back from.
class OtherNamespace {
 public:
  static Result<OtherNamespace> make() {
    OtherNamespace made;
    made.home_.reset(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!made.home_ || ::unshare(CLONE_NEWNET) != 0) {
      return Error::from_errno("making a network namespace (this needs root)", errno);
    }
    made.there_.reset(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    POSTERN_RETURN_IF_ERROR(enter(made.home_));
    return made;
  }
  int fd() const { return there_.get(); }

  template <typename Work>
  Result<> inside(const Work& work) const {
    POSTERN_RETURN_IF_ERROR(enter(there_));
    auto done = work();
    POSTERN_RETURN_IF_ERROR(enter(home_));
    return done;
  }

 private:
  static Result<> enter(const Fd& netns) {
    if (::setns(netns.get(), CLONE_NEWNET) != 0) {
      return Error::from_errno("entering a network namespace", errno);
    }
    return {};
  }
  Fd home_;
  Fd there_;
};

}  // namespace

Result<SteeringSockets> make_steering(const std::string& link_name, std::uint32_t workers) {
  auto other = OtherNamespace::make();
  if (!other) {
    return std::move(other).error();
  }
  // On an error below, the namespace ends with `other`, and the veth with it.
  if (auto added = add_veth({link_name, kInnerName, other->fd(), kMtu}); !added) {
    const bool taken = added.error().code() == Errc::kExists;
    return std::move(added).error().within(taken ? "an interface " + link_name + " is there already: remove it (ip link del " + link_name +
                                                       "), or name another with --link-name"
                                                 : "making the steering link");
  }
  SteeringSockets made;
  POSTERN_RETURN_IF_ERROR(write_sysctls({{("ipv6/conf/" + link_name + "/disable_ipv6").c_str(), "1"}}));
  auto link = find_link(link_name);
  if (!link) {
    return std::move(link).error();
  }
  POSTERN_RETURN_IF_ERROR(set_link_up(link->ifindex, true));
  auto peer = read_peer(*link);
  if (!peer) {
    return std::move(peer).error().within("reading the other end of " + link_name);
  }
  const auto furnish_and_bind = [&]() -> Result<> {
    POSTERN_RETURN_IF_ERROR(furnish());
    auto sockets = make_dns_sockets(workers);
    if (!sockets) {
      return std::move(sockets).error();
    }
    made.sockets = std::move(*sockets);
    return {};
  };
  POSTERN_RETURN_IF_ERROR(other->inside(furnish_and_bind));
  made.steering.workers = workers;
  made.steering.node_ifindex = link->ifindex;
  std::copy(peer->mac.begin(), peer->mac.end(), made.steering.peer_mac);
  made.steering.created_boot_ns = clock_ns(CLOCK_BOOTTIME);
  return made;
}

}  // namespace postern
