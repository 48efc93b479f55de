// SPDX-License-Identifier: Apache-2.0
#include "agent/netlink/link_monitor.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <set>

namespace postern {

Result<std::unique_ptr<LinkMonitor>> LinkMonitor::make(EventLoop& loop, Callbacks callbacks) {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_TC;
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return Error::from_errno("listening to rtnetlink", errno);
  }
  std::unique_ptr<LinkMonitor> made(new LinkMonitor(loop, std::move(socket), std::move(callbacks)));
  LinkMonitor* raw = made.get();
  POSTERN_RETURN_IF_ERROR(loop.watch(raw->socket_.get(), EPOLLIN, [raw](std::uint32_t) { raw->on_readable(); }));
  return made;
}

LinkMonitor::LinkMonitor(EventLoop& loop, Fd socket, Callbacks callbacks)
    : loop_(loop), socket_(std::move(socket)), callbacks_(std::move(callbacks)) {}

LinkMonitor::~LinkMonitor() { loop_.unwatch(socket_.get()); }

void LinkMonitor::on_readable() {
  alignas(nlmsghdr) std::array<char, 32768> buffer;
  bool addresses = false;
  std::set<std::uint32_t> links_removed;
  std::set<std::uint32_t> filters_removed;
  for (;;) {
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == ENOBUFS) {
      callbacks_.on_overrun();
      continue;
    }
    if (got <= 0) {
      break;
    }
    int left = static_cast<int>(got);
    for (auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_type == RTM_NEWADDR || message->nlmsg_type == RTM_DELADDR) {
        addresses = true;
      } else if (message->nlmsg_type == RTM_DELLINK && mnl_nlmsg_get_payload_len(message) >= sizeof(ifinfomsg)) {
        const auto* body = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
        // A port that leaves its bridge is told with the bridge's family; the interface is still there.
        if (body->ifi_family == AF_UNSPEC) {
          links_removed.insert(static_cast<std::uint32_t>(body->ifi_index));
        }
      } else if ((message->nlmsg_type == RTM_DELQDISC || message->nlmsg_type == RTM_DELTFILTER) &&
                 mnl_nlmsg_get_payload_len(message) >= sizeof(tcmsg)) {
        filters_removed.insert(static_cast<std::uint32_t>(static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message))->tcm_ifindex));
      }
    }
  }
  if (addresses) {
    callbacks_.on_address_change();
  }
  for (const std::uint32_t ifindex : links_removed) {
    callbacks_.on_link_removed(ifindex);
  }
  for (const std::uint32_t ifindex : filters_removed) {
    callbacks_.on_filter_removed(ifindex);
  }
}

}  // namespace postern
