// SPDX-License-Identifier: Apache-2.0
//
// rtnetlink for real, in network namespaces of the test's own: the other end of a veth read with
// CAP_NET_ADMIN alone and without entering its namespace, changes, and the monitor's events.
// Exit status 77 without root (1 where CI is set).
#include <net/if.h>
#include <sched.h>
#include <sys/capability.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_session.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "agent/netlink/changes.h"
#include "agent/netlink/link_monitor.h"
#include "agent/netlink/links.h"
#include "agent/netlink/host_links.h"
#include "agent/setup/netns.h"

namespace postern {
namespace {

constexpr MacAddress kHostMac = {0x02, 0, 0, 0, 0, 1};
constexpr MacAddress kSandboxMac = {0x02, 0, 0, 0, 0, 2};

bool shell(const std::string& command) { return std::system(command.c_str()) == 0; }  // NOLINT(concurrency-mt-unsafe)

/// A node's end and a sandbox's, in a namespace of its own.
struct Lab {
  Netns sandbox = Netns::make().value();
  LinkInfo host;

  Lab() {
    REQUIRE(add_veth({{"vhost", kHostMac}, {"eth0", kSandboxMac}, sandbox.fd(), 1500}));
    host = find_link("vhost").value();
    const auto furnished = sandbox.inside([]() -> Result<> {
      return shell(
                 "ip addr add 10.77.0.2/24 dev eth0 && ip -6 addr add fd77::2/64 dev eth0 nodad && ip addr add "
                 "10.99.0.2/32 dev lo && "
                 "ip link set eth0 up")
                 ? Result<>()
                 : Result<>(Error(Errc::kIo, "ip"));
    });
    REQUIRE(furnished);
    REQUIRE(set_link_up(host.ifindex, false));
  }
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;
  ~Lab() { static_cast<void>(remove_link(host.ifindex)); }
};

/// Until the end of the block this thread has CAP_NET_ADMIN and no other capability in force.
class OnlyNetAdmin {
 public:
  OnlyNetAdmin() : before_(cap_get_proc()) {
    const cap_t only = cap_dup(before_);
    constexpr cap_value_t kNetAdmin = CAP_NET_ADMIN;
    cap_clear_flag(only, CAP_EFFECTIVE);
    cap_set_flag(only, CAP_EFFECTIVE, 1, &kNetAdmin, CAP_SET);
    REQUIRE(cap_set_proc(only) == 0);
    cap_free(only);
  }
  OnlyNetAdmin(const OnlyNetAdmin&) = delete;
  OnlyNetAdmin& operator=(const OnlyNetAdmin&) = delete;
  ~OnlyNetAdmin() {
    cap_set_proc(before_);
    cap_free(before_);
  }

 private:
  cap_t before_;
};

bool has(const std::vector<InterfaceAddress>& addresses, const char* text, int bits) {
  const Address wanted = Address::parse(text).value();
  return std::ranges::any_of(addresses,
                             [&](const InterfaceAddress& each) { return each.address == wanted && each.bits == bits; });
}

struct Seen {
  std::map<std::uint32_t, LinkInfo> links;
  std::set<std::uint32_t> removed;
  std::set<std::uint32_t> filters;
  int addresses = 0;
  int overruns = 0;
};

LinkMonitor::Callbacks record(Seen& seen) {
  return {.on_link = [&seen](const LinkInfo& link, BootNs) { seen.links[link.ifindex] = link; },
          .on_link_removed = [&seen](std::uint32_t ifindex) { seen.removed.insert(ifindex); },
          .on_address_change = [&seen] { ++seen.addresses; },
          .on_filter_removed = [&seen](std::uint32_t ifindex) { seen.filters.insert(ifindex); },
          .on_overrun = [&seen] { ++seen.overruns; }};
}

/// Runs the loop until the condition holds, for a second at most.
template <typename Condition>
bool run_until(EventLoop& loop, const Condition& condition) {
  for (int i = 0; i < 50 && !condition(); ++i) {
    REQUIRE(loop.run_once(20));
  }
  return condition();
}

}  // namespace

TEST_CASE("a link is found by name and by index; none is not found") {
  const Lab lab;
  CHECK(lab.host.kind == "veth");
  CHECK(lab.host.mac == kHostMac);
  CHECK(lab.host.peer_netns);
  const auto again = find_link(lab.host.ifindex);
  REQUIRE(again);
  CHECK(again->name == "vhost");
  CHECK(find_link("nowhere").error().code() == Errc::kNotFound);
  CHECK(find_link(std::uint32_t{4711}).error().code() == Errc::kNotFound);
  CHECK(find_link("a-name-longer-than-the-kernel-takes").error().code() == Errc::kNotFound);
  CHECK(find_link("").error().code() == Errc::kNotFound);
}

TEST_CASE("the other end of a veth is read with CAP_NET_ADMIN alone") {
  const Lab lab;
  const OnlyNetAdmin only;
  const auto peer = read_peer(lab.host);
  REQUIRE(peer);
  CHECK(peer->name == "eth0");
  CHECK(peer->mac == kSandboxMac);
  const auto addresses = read_peer_addresses(lab.host);
  REQUIRE(addresses);
  CHECK(has(*addresses, "10.77.0.2", 120));
  CHECK(has(*addresses, "fd77::2", 64));
  CHECK(std::ranges::any_of(*addresses, [](const InterfaceAddress& each) { return each.address.bytes[0] == 0xfe; }));
  CHECK_FALSE(has(*addresses, "10.99.0.2", 128));  // of its loopback
}

TEST_CASE("the other end may be in this namespace") {
  REQUIRE(shell("ip link add here type veth peer name there && ip addr add 10.78.0.2/24 dev there"));
  const auto link = find_link("here");
  REQUIRE(link);
  CHECK_FALSE(link->peer_netns);
  CHECK(read_peer(*link).value().name == "there");
  CHECK(has(read_peer_addresses(*link).value(), "10.78.0.2", 120));
  CHECK(has(read_addresses().value(), "10.78.0.2", 120));
  REQUIRE(remove_link(link->ifindex));
}

TEST_CASE("what has no other end says so") {
  REQUIRE(shell("ip link add wire type bridge"));
  const auto link = find_link("wire");
  REQUIRE(link);
  CHECK(read_peer(*link).error().code() == Errc::kUnsupported);
  CHECK(read_peer_addresses(*link).error().code() == Errc::kUnsupported);
  REQUIRE(remove_link(link->ifindex));
}

TEST_CASE("a name that is taken is exists; nothing is changed by the attempt") {
  const Lab lab;
  const Netns other = Netns::make().value();
  const auto second = add_veth({{"vhost", kHostMac}, {"eth0", kSandboxMac}, other.fd(), 1500});
  REQUIRE_FALSE(second);
  CHECK(second.error().code() == Errc::kExists);
  CHECK(find_link("vhost").value().ifindex == lab.host.ifindex);
}

TEST_CASE("the monitor tells of links, addresses and filters that change") {
  auto loop = EventLoop::make().value();
  Seen seen;
  const auto monitor = LinkMonitor::make(*loop, record(seen));
  REQUIRE(monitor);
  std::uint32_t ifindex = 0;
  {
    const Lab lab;
    ifindex = lab.host.ifindex;
    REQUIRE(shell("ip addr add 10.77.0.1/24 dev vhost"));
    CHECK(run_until(*loop, [&] { return seen.addresses > 0; }));
    seen.addresses = 0;
    REQUIRE(shell("ip addr del 10.77.0.1/24 dev vhost"));
    CHECK(run_until(*loop, [&] { return seen.addresses > 0; }));
    REQUIRE(shell("tc qdisc add dev vhost clsact"));
    REQUIRE(loop->run_once(20));
    CHECK(seen.filters.empty());
    REQUIRE(shell("tc qdisc del dev vhost clsact"));
    CHECK(run_until(*loop, [&] { return seen.filters.contains(ifindex); }));
    CHECK(seen.removed.empty());
    CHECK(run_until(*loop, [&] { return seen.links.contains(ifindex); }));
    CHECK(seen.links[ifindex].name == "vhost");
    CHECK(seen.links[ifindex].kind == "veth");
    CHECK(seen.links[ifindex].peer_netns);
  }
  CHECK(run_until(*loop, [&] { return seen.removed.contains(ifindex); }));
  CHECK(seen.overruns == 0);
}

TEST_CASE("a port that leaves its bridge is not gone; one that moves to another namespace is") {
  const Lab lab;
  auto loop = EventLoop::make().value();
  Seen seen;
  const auto monitor = LinkMonitor::make(*loop, record(seen));
  REQUIRE(monitor);
  REQUIRE(shell("ip link add wire type bridge && ip link set vhost master wire && ip link set vhost nomaster"));
  REQUIRE(loop->run_once(20));
  CHECK_FALSE(seen.removed.contains(lab.host.ifindex));
  REQUIRE(shell("ip link del wire && ip link add moves type veth peer name stays"));
  const std::uint32_t moved = ::if_nametoindex("moves");
  REQUIRE(
      shell("ip link set moves netns /proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(lab.sandbox.fd())));
  CHECK(run_until(*loop, [&] { return seen.removed.contains(moved); }));
  REQUIRE(shell("ip link del stays"));
}

TEST_CASE("all links of the namespace are listed") {
  const Lab lab;
  const auto links = read_links();
  REQUIRE(links);
  CHECK(std::ranges::find(*links, lab.host.ifindex, &LinkInfo::ifindex) != links->end());
  CHECK(std::ranges::find(*links, std::string("lo"), &LinkInfo::name) != links->end());
}

TEST_CASE("a veth made inside the sandbox's namespace, as CNI plugins do, is found, and its addresses as they come") {
  const Netns sandbox = Netns::make().value();
  auto loop = EventLoop::make().value();
  int changes = 0;
  HostLinks links(*loop, [&changes] { ++changes; });
  REQUIRE(links.read_all());
  changes = 0;
  std::uint32_t removed = 0;
  const auto monitor =
      LinkMonitor::make(*loop, {.on_link = [&links](const LinkInfo& link, BootNs seen) { links.on_link(link, seen); },
                                .on_link_removed =
                                    [&](std::uint32_t ifindex) {
                                      removed = ifindex;
                                      links.on_removed(ifindex);
                                    },
                                .on_address_change = [] {},
                                .on_filter_removed = [](std::uint32_t) {},
                                .on_overrun = [] {}});
  REQUIRE(monitor);
  const std::string theirs = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(sandbox.fd());
  const std::string within = "nsenter --net=" + theirs + " ";
  // ptp of the CNI plugins: made there, one end moved here, and only then addressed.
  REQUIRE(shell(within + "ip link add eth0 type veth peer name vethcni0 && " + within + "ip link set vethcni0 netns " +
                std::to_string(::getpid())));
  const auto only = [&]() -> const HostLink* {
    const auto found =
        std::ranges::find_if(links.links(), [](const auto& each) { return each.second.info.name == "vethcni0"; });
    return found == links.links().end() ? nullptr : &found->second;
  };
  REQUIRE(run_until(*loop, [&] { return only() != nullptr; }));
  CHECK(only()->announced);
  CHECK(only()->addresses.empty());
  CHECK(changes == 1);
  REQUIRE(shell(within + "ip addr add 10.77.0.9/24 dev eth0 && " + within + "ip link set eth0 up"));
  CHECK(run_until(*loop, [&] { return !only()->addresses.empty(); }));
  CHECK(only()->addresses[0].to_string() == "10.77.0.9");
  REQUIRE(shell(within + "ip -6 addr add fd77::9/64 dev eth0 nodad"));
  CHECK(run_until(*loop, [&] { return only()->addresses.size() == 2; }));
  // gVisor takes them off: they are still the sandbox's.
  REQUIRE(shell(within + "ip addr flush dev eth0 && ip link set vethcni0 up"));
  REQUIRE(loop->run_once(50));
  CHECK(only()->addresses.size() == 2);
  const std::uint32_t ifindex = only()->info.ifindex;
  REQUIRE(shell(within + "ip link del eth0"));
  CHECK(run_until(*loop, [&] { return removed == ifindex; }));
  CHECK(only() == nullptr);
}

TEST_CASE("links that were there before are found, those to this namespace are not") {
  const Lab lab;
  REQUIRE(shell("ip link add here type veth peer name there"));
  auto loop = EventLoop::make().value();
  HostLinks links(*loop, [] {});
  REQUIRE(links.read_all());
  REQUIRE(links.links().contains(lab.host.ifindex));
  const HostLink& host = links.links().at(lab.host.ifindex);
  CHECK_FALSE(host.announced);
  CHECK(host.peer_mac == kSandboxMac);
  CHECK(host.addresses.size() == 2);
  CHECK_FALSE(links.links().contains(::if_nametoindex("here")));
  REQUIRE(shell("ip link del here"));
  REQUIRE(links.read_all());
  CHECK(links.links().size() == 1);
}

TEST_CASE("messages that the kernel could not keep for us are an overrun") {
  auto loop = EventLoop::make().value();
  Seen seen;
  const auto monitor = LinkMonitor::make(*loop, record(seen));
  REQUIRE(monitor);
  REQUIRE(
      shell("ip link add burst type veth peer name burst1; for i in $(seq 1 1200); do "
            "echo addr add 10.$((i / 250)).$((i % 250)).1/32 dev burst; done | ip -batch -"));
  CHECK(run_until(*loop, [&] { return seen.overruns > 0; }));
  REQUIRE(shell("ip link del burst"));
}

}  // namespace postern

int main(int argc, char** argv) {
  if (::geteuid() != 0) {
    std::fprintf(stderr, "needs root for network namespaces\n");
    return std::getenv("CI") != nullptr ? 1 : 77;
  }
  // Everything below happens in a namespace of this process; it goes with it.
  if (::unshare(CLONE_NEWNET) != 0) {
    std::perror("unshare");
    return 1;
  }
  return Catch::Session().run(argc, argv);
}
