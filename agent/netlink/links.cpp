// SPDX-License-Identifier: Apache-2.0
#include "agent/netlink/links.h"

#include <linux/if_link.h>
#include <net/if.h>

#include <algorithm>

#include "agent/netlink/socket.h"

namespace postern {
namespace {

/// Calls back for every attribute of [first, first + bytes). libmnl's macros for this are C alone.
template <typename Each>
void for_each_attribute(const void* first, std::size_t bytes, const Each& each) {
  const auto* attribute = static_cast<const nlattr*>(first);
  const char* end = static_cast<const char*>(first) + bytes;
  while (mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)))) {
    each(attribute);
    attribute = mnl_attr_next(attribute);
  }
}

template <typename Body, typename Each>
void for_each_attribute(const nlmsghdr* message, const Each& each) {
  const std::size_t body = MNL_ALIGN(sizeof(Body));
  const std::size_t payload = mnl_nlmsg_get_payload_len(message);
  if (payload > body) {
    for_each_attribute(mnl_nlmsg_get_payload_offset(message, sizeof(Body)), payload - body, each);
  }
}

std::string kind_of(const nlattr* info) {
  std::string kind;
  for_each_attribute(mnl_attr_get_payload(info), mnl_attr_get_payload_len(info), [&](const nlattr* part) {
    if (mnl_attr_get_type(part) == IFLA_INFO_KIND) {
      kind = mnl_attr_get_str(part);
    }
  });
  return kind;
}

LinkInfo link_of(const nlmsghdr* message) {
  LinkInfo link;
  const auto* body = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  link.ifindex = static_cast<std::uint32_t>(body->ifi_index);
  for_each_attribute<ifinfomsg>(message, [&](const nlattr* attribute) {
    switch (mnl_attr_get_type(attribute)) {
      case IFLA_IFNAME:
        link.name = mnl_attr_get_str(attribute);
        break;
      case IFLA_ADDRESS:
        if (mnl_attr_get_payload_len(attribute) == link.mac.size()) {
          std::copy_n(static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)), link.mac.size(), link.mac.begin());
        }
        break;
      case IFLA_LINKINFO:
        link.kind = kind_of(attribute);
        break;
      case IFLA_LINK:
        link.peer_ifindex = mnl_attr_get_u32(attribute);
        break;
      case IFLA_LINK_NETNSID:
        link.peer_netns = static_cast<std::int32_t>(mnl_attr_get_u32(attribute));
        break;
      default:
        break;
    }
  });
  return link;
}

std::optional<InterfaceAddress> address_of(const nlmsghdr* message) {
  const auto* body = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
  const std::uint16_t size = body->ifa_family == AF_INET ? 4 : body->ifa_family == AF_INET6 ? 16 : 0;
  const std::uint8_t* bytes = nullptr;
  for_each_attribute<ifaddrmsg>(message, [&](const nlattr* attribute) {
    const auto type = mnl_attr_get_type(attribute);
    // IFA_ADDRESS is the peer's on a point-to-point link; IFA_LOCAL, where there is one, is its own.
    if (mnl_attr_get_payload_len(attribute) == size && (type == IFA_LOCAL || (type == IFA_ADDRESS && bytes == nullptr))) {
      bytes = static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute));
    }
  });
  if (size == 0 || bytes == nullptr) {
    return std::nullopt;
  }
  const int extra = size == 4 ? 96 : 0;
  return InterfaceAddress{body->ifa_index, size == 4 ? Address::from_v4(bytes) : Address::from_v6(bytes),
                          static_cast<std::uint8_t>(body->ifa_prefixlen + extra)};
}

Result<LinkInfo> get_link(NetlinkRequest& request) {
  auto socket = NetlinkSocket::open();
  if (!socket) {
    return std::move(socket).error();
  }
  LinkInfo link;
  POSTERN_RETURN_IF_ERROR(socket->call(request, [&](const nlmsghdr* message) { link = link_of(message); }));
  return link;
}

Result<std::vector<InterfaceAddress>> get_addresses(std::uint32_t ifindex, std::optional<std::int32_t> netns) {
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
  POSTERN_RETURN_IF_ERROR(socket->call(request, [&](const nlmsghdr* message) {
    const auto address = address_of(message);
    if (address && (ifindex == 0 || address->ifindex == ifindex)) {
      addresses.push_back(*address);
    }
  }));
  return addresses;
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

Result<LinkInfo> read_peer(const LinkInfo& link) {
  if (link.kind != "veth" || link.peer_ifindex == 0) {
    return Error(Errc::kUnsupported, "it is not a veth");
  }
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
  if (link.kind != "veth" || link.peer_ifindex == 0) {
    return Error(Errc::kUnsupported, "it is not a veth");
  }
  return get_addresses(link.peer_ifindex, link.peer_netns);
}

Result<std::vector<InterfaceAddress>> read_addresses() { return get_addresses(0, std::nullopt); }

}  // namespace postern
