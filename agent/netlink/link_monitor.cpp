// SPDX-License-Identifier: Apache-2.0
#include "agent/netlink/link_monitor.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <map>
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
  const BootNs seen = SystemClock().now();
  bool addresses = false;
  std::map<std::uint32_t, LinkInfo> links;
  std::set<std::uint32_t> links_removed;
  std::set<std::uint32_t> filters_removed;
  for (;;) {
    sockaddr_nl sender{};
    socklen_t sender_size = sizeof(sender);
    const ssize_t got = ::recvfrom(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                                   reinterpret_cast<sockaddr*>(&sender), &sender_size);
    if (got < 0 && errno == ENOBUFS) {
      callbacks_.on_overrun();
      continue;
    }
    if (got <= 0) {
      break;
    }
    if (sender.nl_pid != 0) {
      continue;  // not from the kernel
    }
    int left = static_cast<int>(got);
    for (auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      auto event = parse_event(message);
      if (!event) {
        callbacks_.on_overrun();  // something happened, and we do not know what
      } else if (event->kind == LinkEvent::Kind::kAddresses) {
        addresses = true;
      } else if (event->kind == LinkEvent::Kind::kLinkRemoved) {
        links_removed.insert(event->ifindex);
        links.erase(event->ifindex);
      } else if (event->kind == LinkEvent::Kind::kLink) {
        links[event->ifindex] = std::move(event->link);
      } else if (event->kind == LinkEvent::Kind::kFilterRemoved) {
        filters_removed.insert(event->ifindex);
      }
    }
  }
  // What is new comes first: until somebody has acted upon it, it is open.
  if (callbacks_.on_link) {
    for (const auto& [ifindex, link] : links) {
      callbacks_.on_link(link, seen);
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
