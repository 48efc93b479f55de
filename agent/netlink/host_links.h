// SPDX-License-Identifier: Apache-2.0
//
// HostLinks: the veths of this node whose other end is in another network namespace, with that end's
// addresses.
//
// A CNI plugin makes the veth first and gives the other end its addresses after that, in a namespace
// that tells us nothing. So a new link is read again until its addresses are there: at once after
// kReadMsMin, then after half of its age again, at most kReadMsMax apart, until kSettleMs after the
// first address, or kGiveUpMs; and at every change that the kernel tells of our end. What the other end
// says later than kOursMs after its first address is not read, but for link-local addresses, which
// come last and are no one else's: by then it is in the hands of the sandbox, which may take any
// address and MAC. No runtime starts a container sooner: the CNI ends, then an image is unpacked.
// Thread: the loop's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "agent/netlink/messages.h"
#include "base/event_loop.h"

namespace postern {

struct HostLink {
  LinkInfo info;
  MacAddress peer_mac{};
  std::vector<Address> addresses;  ///< Of the other end, without link-local ones.
  std::vector<Address> link_local;
  BootNs seen;             ///< When the kernel's first word of it was read.
  bool announced = false;  ///< It came while we looked; false: it was there before us.
};

class HostLinks {
 public:
  static constexpr std::uint64_t kReadMsMin = 1;
  static constexpr std::uint64_t kReadMsMax = 250;
  static constexpr std::uint64_t kOursMs = 200;
  static constexpr std::uint64_t kSettleMs = 2'000;
  static constexpr std::uint64_t kGiveUpMs = 30'000;
  static constexpr std::size_t kAddressesMax = 32;  ///< Of one link and kind; more are not looked at.

  /// @param on_change  A link came, or its addresses did.
  HostLinks(EventLoop& loop, std::function<void()> on_change);
  HostLinks(const HostLinks&) = delete;
  HostLinks& operator=(const HostLinks&) = delete;
  ~HostLinks();

  /// Reads all there are: at the start, and again when the kernel could not tell everything; what is
  /// new then came a moment ago.
  Result<> read_all();
  void on_link(const LinkInfo& link, BootNs seen);
  void on_removed(std::uint32_t ifindex);

  const std::map<std::uint32_t, HostLink>& links() const { return links_; }
  bool has(const std::string& name) const;

 private:
  struct Reading {
    EventLoop::TimerId timer = 0;
    BootNs first_address;
  };

  HostLink* add(const LinkInfo& link, BootNs seen, bool announced);
  bool read(HostLink& link);
  void read_later(std::uint32_t ifindex);
  void on_timer(std::uint32_t ifindex);

  EventLoop& loop_;
  std::function<void()> on_change_;
  SystemClock clock_;
  std::map<std::uint32_t, HostLink> links_;
  bool started_ = false;
  std::map<std::uint32_t, Reading> readings_;  // of links whose addresses may still come
};

}  // namespace postern
