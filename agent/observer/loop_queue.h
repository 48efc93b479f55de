// SPDX-License-Identifier: Apache-2.0
//
// LoopQueue: the one place where gRPC's threads meet the loop. What they want done waits here, and the
// loop does it.
//
// post() is for any thread, the rest for the loop's. Limits: kWaitingMax; the caller refuses its
// client when there is no room.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/event_loop.h"
#include "base/fd.h"

namespace postern {

class LoopQueue {
 public:
  using Work = std::function<void()>;
  static constexpr std::size_t kWaitingMax = 1024;

  static Result<std::unique_ptr<LoopQueue>> make(EventLoop& loop);
  ~LoopQueue();
  LoopQueue(const LoopQueue&) = delete;
  LoopQueue& operator=(const LoopQueue&) = delete;

  /// @return false when the queue is full or closed; the work is then not done.
  bool post(Work work);
  /// Does what still waits and takes nothing more.
  void close();

 private:
  LoopQueue(EventLoop& loop, Fd wake) : loop_(loop), wake_(std::move(wake)) {}
  void drain();

  EventLoop& loop_;
  Fd wake_;
  std::mutex mutex_;
  std::vector<Work> waiting_;  // guarded by mutex_
  bool closed_ = false;        // guarded by mutex_
};

}  // namespace postern
