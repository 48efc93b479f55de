// SPDX-License-Identifier: Apache-2.0
#include "base/event_loop.h"

#include <signal.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

namespace postern {

Result<std::unique_ptr<EventLoop>> EventLoop::make() {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) {
    return Error::from_errno("epoll_create1", errno);
  }
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll)));
}

Result<> EventLoop::control(int operation, int fd, std::uint32_t serial, std::uint32_t epoll_events) {
  epoll_event event{};
  event.events = epoll_events;
  event.data.u64 = std::uint64_t{serial} << 32 | static_cast<std::uint32_t>(fd);
  if (::epoll_ctl(epoll_.get(), operation, fd, &event) != 0) {
    return Error::from_errno("watching a descriptor", errno);
  }
  return {};
}

Result<> EventLoop::watch(int fd, std::uint32_t epoll_events, FdCallback callback) {
  const std::uint32_t serial = next_serial_++;
  POSTERN_RETURN_IF_ERROR(control(EPOLL_CTL_ADD, fd, serial, epoll_events));
  watches_[fd] = std::make_shared<Watch>(Watch{std::move(callback), serial});
  return {};
}

Result<> EventLoop::rewatch(int fd, std::uint32_t epoll_events) {
  const auto found = watches_.find(fd);
  if (found == watches_.end()) {
    return Error(Errc::kNotFound, "watching a descriptor");
  }
  return control(EPOLL_CTL_MOD, fd, found->second->serial, epoll_events);
}

void EventLoop::unwatch(int fd) {
  if (watches_.erase(fd) != 0) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  }
}

EventLoop::TimerId EventLoop::at(BootNs when, TimerCallback callback) {
  const TimerId id = next_timer_++;
  timers_.emplace(std::pair{when, id}, std::move(callback));
  timer_times_.emplace(id, when);
  return id;
}

EventLoop::TimerId EventLoop::after_ms(std::uint64_t delay_ms, TimerCallback callback) {
  return at(clock_.now() + delay_ms * kNsPerMs, std::move(callback));
}

void EventLoop::cancel(TimerId timer) {
  if (const auto found = timer_times_.find(timer); found != timer_times_.end()) {
    timers_.erase({found->second, timer});
    timer_times_.erase(found);
  }
}

Result<> EventLoop::on_signals(std::initializer_list<int> signals, std::function<void(int)> callback) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) {
    sigaddset(&set, signal);
  }
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) {
    return Error::from_errno("blocking signals", errno);
  }
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) {
    return Error::from_errno("signalfd", errno);
  }
  return watch(signals_.get(), EPOLLIN, [this, callback = std::move(callback)](std::uint32_t) {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
      callback(static_cast<int>(info.ssi_signo));
    }
  });
}

int EventLoop::timeout_ms(int at_most) const {
  if (timers_.empty()) {
    return at_most;
  }
  const std::uint64_t wait_ns = timers_.begin()->first.first - clock_.now();
  // Rounded up: waking before a timer is due would spin.
  const std::uint64_t wait_ms =
      std::min<std::uint64_t>((wait_ns + kNsPerMs - 1) / kNsPerMs, std::numeric_limits<int>::max());
  return at_most < 0 ? static_cast<int>(wait_ms) : std::min(at_most, static_cast<int>(wait_ms));
}

void EventLoop::run_timers() {
  const BootNs now = clock_.now();
  // Not the timers that the callbacks make: one that re-arms itself for now does not keep us here.
  const TimerId newest = next_timer_;
  while (!timers_.empty() && timers_.begin()->first.first <= now && timers_.begin()->first.second < newest) {
    auto first = timers_.extract(timers_.begin());
    timer_times_.erase(first.key().second);
    first.mapped()();
  }
}

Result<> EventLoop::run_once(int at_most_ms) {
  std::array<epoll_event, kEventsPerTick> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), kEventsPerTick, timeout_ms(at_most_ms));
  if (count < 0 && errno != EINTR) {
    return Error::from_errno("epoll_wait", errno);
  }
  for (int i = 0; i < count; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    const auto found = watches_.find(static_cast<int>(event.data.u64 & 0xffffffff));
    if (found == watches_.end() || found->second->serial != event.data.u64 >> 32) {
      continue;  // an earlier callback of this tick removed it
    }
    const auto keep = found->second;
    keep->callback(event.events);
  }
  run_timers();
  return {};
}

void EventLoop::abandon() {
  epoll_.reset();
  signals_.reset();
  watches_.clear();
  timers_.clear();
  timer_times_.clear();
}

Result<> EventLoop::run() {
  stopping_ = false;
  while (!stopping_) {
    POSTERN_RETURN_IF_ERROR(run_once(-1));
  }
  return {};
}

}  // namespace postern
