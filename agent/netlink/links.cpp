// SPDX-License-Identifier: Apache-2.0
#include "agent/netlink/links.h"

#include <linux/if_link.h>
#include <net/if.h>

#include "agent/netlink/socket.h"

namespace postern {
namespace {

constexpr int kDumpAttempts = 5;

Result<LinkInfo> get_link(NetlinkRequest& request) {
  auto socket = NetlinkSocket::open();
  if (!socket) {
    return std::move(socket).error();
  }
  Result<LinkInfo> link = Error(Errc::kNotFound, "there is no such interface");
  POSTERN_RETURN_IF_ERROR(socket->call(request, [&](const nlmsghdr* message) { link = parse_link(message); }));
  return link;
}

Result<std::vector<InterfaceAddress>> dump_addresses(std::uint32_t ifindex, std::optional<std::int32_t> netns) {
  auto socket = NetlinkSocket::open();
  if (!socket) {
    return std::move(socket).error();
  }
  NetlinkRequest request(RTM_GETADDR, NLM_F_DUMP);
  auto& body = request.body<ifaddrmsg>();
  body.ifa_family = AF_UNSPEC;
  body.ifa_index = ifindex;
  if (netns) {
    mnl_attr_put_u32(request.header(), IFA_TARGET_NETNSID, static_cast<std::uint32_t>(*netns));
  }
  std::vector<InterfaceAddress> addresses;
  Result<> read;
  POSTERN_RETURN_IF_ERROR(socket->call(request, [&](const nlmsghdr* message) {
    auto address = parse_address(message);
    if (!address && address.error().code() != Errc::kUnsupported) {
      read = std::move(address).error();
    } else if (address && (ifindex == 0 || address->ifindex == ifindex)) {
      addresses.push_back(*address);
    }
  }));
  POSTERN_RETURN_IF_ERROR(std::move(read));
  return addresses;
}

Result<std::vector<LinkInfo>> dump_links() {
  auto socket = NetlinkSocket::open();
  if (!socket) {
    return std::move(socket).error();
  }
  NetlinkRequest request(RTM_GETLINK, NLM_F_DUMP);
  request.body<ifinfomsg>().ifi_family = AF_UNSPEC;
  std::vector<LinkInfo> links;
  Result<> read;
  POSTERN_RETURN_IF_ERROR(socket->call(request, [&](const nlmsghdr* message) {
    auto link = parse_link(message);
    if (link) {
      links.push_back(std::move(*link));
    } else {
      read = std::move(link).error();
    }
  }));
  POSTERN_RETURN_IF_ERROR(std::move(read));
  return links;
}

/// A list that changes while it is read is read again: half of it would leave something out.
template <typename Dump>
auto dump_whole(const Dump& dump) -> decltype(dump()) {
  for (int attempt = 1;; ++attempt) {
    auto list = dump();
    if (list || list.error().code() != Errc::kAgain || attempt == kDumpAttempts) {
      return list;
    }
  }
}

Result<std::vector<InterfaceAddress>> get_addresses(std::uint32_t ifindex, std::optional<std::int32_t> netns) {
  return dump_whole([&] { return dump_addresses(ifindex, netns); });
}

/// Is there another end, in a namespace that can be asked?
Result<> check_has_peer(const LinkInfo& link) {
  if (link.kind != "veth" || link.peer_ifindex == 0) {
    return Error(Errc::kUnsupported, "it is not a veth");
  }
  if (link.peer_netns.value_or(0) < 0) {
    return Error(Errc::kUnsupported, "the namespace of its other end has no id in this one");
  }
  return {};
}

}  // namespace

Result<LinkInfo> find_link(const std::string& name) {
  if (name.empty() || name.size() >= IF_NAMESIZE) {
    return Error(Errc::kNotFound, "there is no such interface");
  }
  NetlinkRequest request(RTM_GETLINK, 0);
  request.body<ifinfomsg>().ifi_family = AF_UNSPEC;
  mnl_attr_put_strz(request.header(), IFLA_IFNAME, name.c_str());
  return get_link(request);
}

Result<LinkInfo> find_link(std::uint32_t ifindex) {
  NetlinkRequest request(RTM_GETLINK, 0);
  auto& body = request.body<ifinfomsg>();
  body.ifi_family = AF_UNSPEC;
  body.ifi_index = static_cast<int>(ifindex);
  return get_link(request);
}

Result<std::vector<LinkInfo>> read_links() { return dump_whole(dump_links); }

Result<LinkInfo> read_peer(const LinkInfo& link) {
  POSTERN_RETURN_IF_ERROR(check_has_peer(link));
  NetlinkRequest request(RTM_GETLINK, 0);
  auto& body = request.body<ifinfomsg>();
  body.ifi_family = AF_UNSPEC;
  body.ifi_index = static_cast<int>(link.peer_ifindex);
  if (link.peer_netns) {
    mnl_attr_put_u32(request.header(), IFLA_TARGET_NETNSID, static_cast<std::uint32_t>(*link.peer_netns));
  }
  return get_link(request);
}

Result<std::vector<InterfaceAddress>> read_peer_addresses(const LinkInfo& link) {
  POSTERN_RETURN_IF_ERROR(check_has_peer(link));
  return get_addresses(link.peer_ifindex, link.peer_netns);
}

Result<std::vector<InterfaceAddress>> read_addresses() { return get_addresses(0, std::nullopt); }

}  // namespace postern
