// SPDX-License-Identifier: Apache-2.0
#include "agent/observer/loop_queue.h"

#include <sys/eventfd.h>
#include <unistd.h>

namespace postern {

Result<std::unique_ptr<LoopQueue>> LoopQueue::make(EventLoop& loop) {
  Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) {
    return Error::from_errno("eventfd", errno);
  }
  std::unique_ptr<LoopQueue> queue(new LoopQueue(loop, std::move(wake)));
  LoopQueue* raw = queue.get();
  POSTERN_RETURN_IF_ERROR(loop.watch(raw->wake_.get(), EPOLLIN, [raw](std::uint32_t) { raw->drain(); }));
  return queue;
}

LoopQueue::~LoopQueue() { loop_.unwatch(wake_.get()); }

bool LoopQueue::post(Work work) {
  const std::lock_guard lock(mutex_);
  if (closed_ || waiting_.size() >= kWaitingMax) {
    return false;
  }
  waiting_.push_back(std::move(work));
  const std::uint64_t one = 1;
  // An eventfd refuses only at 2^64: the loop is awake then.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof(one));
  return true;
}

void LoopQueue::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  drain();
}

void LoopQueue::drain() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof(count));
  std::vector<Work> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(waiting_);
  }
  for (const Work& work : taken) {
    work();
  }
}

}  // namespace postern
