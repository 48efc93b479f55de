// SPDX-License-Identifier: Apache-2.0
//
// EventLoop: one epoll loop, with timers and signals. One a thread; nothing in it is shared.
//
// Callbacks run on the thread that calls run(). A callback may remove any watch, its own too.
// Limits: kEventsPerTick events are taken from the kernel at once.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace postern {

class EventLoop {
 public:
  using FdCallback = std::function<void(std::uint32_t epoll_events)>;
  using TimerCallback = std::function<void()>;
  using TimerId = std::uint64_t;

  static constexpr int kEventsPerTick = 64;

  static Result<std::unique_ptr<EventLoop>> make();

  /// Calls back when the descriptor is ready (level-triggered). The caller keeps the descriptor and
  /// unwatches it before closing it.
  Result<> watch(int fd, std::uint32_t epoll_events, FdCallback callback);
  /// Changes what a watched descriptor waits for.
  Result<> rewatch(int fd, std::uint32_t epoll_events);
  void unwatch(int fd);

  /// Calls back once, not before `when`.
  TimerId at(BootNs when, TimerCallback callback);
  TimerId after_ms(std::uint64_t delay_ms, TimerCallback callback);
  void cancel(TimerId timer);

  /// Calls back for these signals, which are blocked for the process from then on.
  Result<> on_signals(std::initializer_list<int> signals, std::function<void(int)> callback);

  /// Runs until stop(). @return an error only if epoll itself fails.
  Result<> run();
  /// Runs what is ready, waiting at most timeout_ms for it.
  Result<> run_once(int timeout_ms);
  void stop() { stopping_ = true; }

  /// In a forked child: forgets everything. The epoll instance is shared with the parent, whose
  /// watches an ordinary unwatch() would remove.
  void abandon();

 private:
  struct Watch {
    FdCallback callback;
    std::uint32_t serial = 0;  // tells an event of a closed descriptor from one of its successor's
  };

  explicit EventLoop(Fd epoll) : epoll_(std::move(epoll)) {}
  Result<> control(int operation, int fd, std::uint32_t serial, std::uint32_t epoll_events);
  int timeout_ms(int at_most) const;
  void run_timers();

  Fd epoll_;
  Fd signals_;
  SystemClock clock_;
  bool stopping_ = false;
  std::uint32_t next_serial_ = 1;
  TimerId next_timer_ = 1;
  // Shared, so that a callback which removes its own watch does not destroy itself while it runs.
  std::unordered_map<int, std::shared_ptr<Watch>> watches_;
  std::map<std::pair<BootNs, TimerId>, TimerCallback> timers_;
  std::unordered_map<TimerId, BootNs> timer_times_;
};

}  // namespace postern
