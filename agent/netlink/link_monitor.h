// SPDX-License-Identifier: Apache-2.0
//
// LinkMonitor: tells when interfaces come, change and go, and when addresses of this network namespace
// change.
//
// Messages say that something changed; what is there now is read anew by whoever is told, so that a
// lost message costs nothing but a second look. The kernel puts no time into its messages: `seen` is
// when the loop took them, before it looked into any. Thread: the loop's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "agent/netlink/messages.h"
#include "base/event_loop.h"

namespace postern {

class LinkMonitor {
 public:
  /// Each may be empty.
  struct Callbacks {
    /// One that is new or has changed, in whatever way.
    std::function<void(const LinkInfo& link, BootNs seen)> on_link;
    std::function<void(std::uint32_t ifindex)> on_link_removed;
    std::function<void()> on_address_change;
    /// A queueing discipline or filter was removed, perhaps ours.
    std::function<void(std::uint32_t ifindex)> on_filter_removed;
    /// The kernel dropped messages: look at everything.
    std::function<void()> on_overrun;
  };

  static Result<std::unique_ptr<LinkMonitor>> make(EventLoop& loop, Callbacks callbacks);
  LinkMonitor(const LinkMonitor&) = delete;
  LinkMonitor& operator=(const LinkMonitor&) = delete;
  ~LinkMonitor();

 private:
  LinkMonitor(EventLoop& loop, Fd socket, Callbacks callbacks);
  void on_readable();

  EventLoop& loop_;
  Fd socket_;
  Callbacks callbacks_;
};

}  // namespace postern
