// SPDX-License-Identifier: Apache-2.0
#include "agent/netlink/messages.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace postern {
namespace {

Error malformed(const char* what) { return {Errc::kInvalid, std::string("a malformed rtnetlink message: ") + what}; }

/// The fixed part in front of the attributes, or nothing if the message ends before.
template <typename Body>
const Body* body_of(const nlmsghdr* message) {
  return mnl_nlmsg_get_payload_len(message) >= sizeof(Body) ? static_cast<const Body*>(mnl_nlmsg_get_payload(message))
                                                            : nullptr;
}

/// Calls back for every attribute of [first, first + bytes); stops at an error. libmnl's macros for this are C alone.
template <typename Each>
Result<> for_each_attribute(const void* first, std::size_t bytes, const Each& each) {
  const auto* attribute = static_cast<const nlattr*>(first);
  const char* end = static_cast<const char*>(first) + bytes;
  while (reinterpret_cast<const char*>(attribute) < end) {
    if (mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute))) == 0) {
      return malformed("an attribute longer than what holds it");
    }
    POSTERN_RETURN_IF_ERROR(each(attribute));
    attribute = mnl_attr_next(attribute);
  }
  return {};
}

template <typename Body, typename Each>
Result<> for_each_attribute(const nlmsghdr* message, const Each& each) {
  const std::size_t body = MNL_ALIGN(sizeof(Body));
  const std::size_t payload = mnl_nlmsg_get_payload_len(message);
  return payload > body ? for_each_attribute(mnl_nlmsg_get_payload_offset(message, sizeof(Body)), payload - body, each)
                        : Result<>();
}

Result<> read_string(const nlattr* attribute, std::string& out) {
  const auto* text = static_cast<const char*>(mnl_attr_get_payload(attribute));
  const std::size_t length = ::strnlen(text, mnl_attr_get_payload_len(attribute));
  if (length == mnl_attr_get_payload_len(attribute)) {
    return malformed("a string without its end");
  }
  out.assign(text, length);
  return {};
}

template <typename Number>
Result<> read_number(const nlattr* attribute, Number& out) {
  if (mnl_attr_get_payload_len(attribute) != sizeof(out)) {
    return malformed("a number of another size");
  }
  std::memcpy(&out, mnl_attr_get_payload(attribute), sizeof(out));
  return {};
}

Result<> read_kind(const nlattr* info, std::string& kind) {
  return for_each_attribute(mnl_attr_get_payload(info), mnl_attr_get_payload_len(info), [&](const nlattr* part) {
    return mnl_attr_get_type(part) == IFLA_INFO_KIND ? read_string(part, kind) : Result<>();
  });
}

Result<> read_link_attribute(const nlattr* attribute, LinkInfo& link) {
  switch (mnl_attr_get_type(attribute)) {
    case IFLA_IFNAME:
      return read_string(attribute, link.name);
    case IFLA_LINKINFO:
      return read_kind(attribute, link.kind);
    case IFLA_LINK:
      return read_number(attribute, link.peer_ifindex);
    case IFLA_LINK_NETNSID:
      return read_number(attribute, link.peer_netns.emplace());
    case IFLA_ADDRESS:
      // Other kinds of network have addresses of other lengths; they carry no sandbox.
      if (mnl_attr_get_payload_len(attribute) == link.mac.size()) {
        std::copy_n(static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)), link.mac.size(),
                    link.mac.begin());
      }
      return {};
    default:
      return {};
  }
}

}  // namespace

Result<LinkInfo> parse_link(const nlmsghdr* message) {
  const auto* body = body_of<ifinfomsg>(message);
  if (body == nullptr) {
    return malformed("too short for an interface");
  }
  LinkInfo link;
  link.ifindex = static_cast<std::uint32_t>(body->ifi_index);
  POSTERN_RETURN_IF_ERROR(for_each_attribute<ifinfomsg>(
      message, [&](const nlattr* attribute) { return read_link_attribute(attribute, link); }));
  return link;
}

Result<InterfaceAddress> parse_address(const nlmsghdr* message) {
  const auto* body = body_of<ifaddrmsg>(message);
  if (body == nullptr) {
    return malformed("too short for an address");
  }
  if (body->ifa_family != AF_INET && body->ifa_family != AF_INET6) {
    return Error(Errc::kUnsupported, "an address of another family");
  }
  const bool v4 = body->ifa_family == AF_INET;
  const std::uint16_t size = v4 ? 4 : 16;
  const std::uint8_t* bytes = nullptr;
  POSTERN_RETURN_IF_ERROR(for_each_attribute<ifaddrmsg>(message, [&](const nlattr* attribute) -> Result<> {
    const auto type = mnl_attr_get_type(attribute);
    if (type != IFA_LOCAL && type != IFA_ADDRESS) {
      return {};
    }
    if (mnl_attr_get_payload_len(attribute) != size) {
      return malformed("an address of another size");
    }
    // IFA_ADDRESS is the peer's on a point-to-point link; IFA_LOCAL, where there is one, is its own.
    if (type == IFA_LOCAL || bytes == nullptr) {
      bytes = static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute));
    }
    return {};
  }));
  if (bytes == nullptr || body->ifa_prefixlen > size * 8) {
    return malformed("no address, or a prefix longer than it");
  }
  const int extra = v4 ? 96 : 0;
  return InterfaceAddress{body->ifa_index, v4 ? Address::from_v4(bytes) : Address::from_v6(bytes),
                          static_cast<std::uint8_t>(body->ifa_prefixlen + extra)};
}

Result<LinkEvent> parse_event(const nlmsghdr* message) {
  switch (message->nlmsg_type) {
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return LinkEvent{LinkEvent::Kind::kAddresses, 0};
    case RTM_NEWLINK: {
      auto link = parse_link(message);
      if (!link) {
        return std::move(link).error();
      }
      // With the bridge's family it speaks of a port's state, and lacks what we want to know.
      const bool whole = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message))->ifi_family == AF_UNSPEC;
      const std::uint32_t ifindex = link->ifindex;
      return whole ? LinkEvent{LinkEvent::Kind::kLink, ifindex, std::move(*link)} : LinkEvent{};
    }
    case RTM_DELLINK: {
      const auto* body = body_of<ifinfomsg>(message);
      if (body == nullptr) {
        return malformed("too short for an interface");
      }
      // A port that leaves its bridge is told with the bridge's family; the interface is still there.
      const bool gone = body->ifi_family == AF_UNSPEC;
      return LinkEvent{gone ? LinkEvent::Kind::kLinkRemoved : LinkEvent::Kind::kOther,
                       static_cast<std::uint32_t>(body->ifi_index)};
    }
    case RTM_DELQDISC:
    case RTM_DELTFILTER: {
      const auto* body = body_of<tcmsg>(message);
      if (body == nullptr) {
        return malformed("too short for a filter");
      }
      return LinkEvent{LinkEvent::Kind::kFilterRemoved, static_cast<std::uint32_t>(body->tcm_ifindex)};
    }
    default:
      return LinkEvent{};
  }
}

}  // namespace postern
