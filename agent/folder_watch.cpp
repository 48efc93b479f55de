// SPDX-License-Identifier: Apache-2.0
#include "agent/folder_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/log.h"

namespace postern {

Result<std::unique_ptr<FolderWatch>> FolderWatch::make(EventLoop& loop,
                                                       const std::vector<std::string>& folders,
                                                       std::function<void()> on_change) {
  Fd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify) {
    return Error::from_errno("inotify", errno);
  }
  constexpr std::uint32_t kChanges = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE;
  for (const std::string& folder : folders) {
    if (::inotify_add_watch(inotify.get(), folder.c_str(), kChanges) < 0 && errno != ENOENT) {
      return Error::from_errno("watching " + folder, errno);
    }
  }
  std::unique_ptr<FolderWatch> made(new FolderWatch(loop, std::move(inotify), std::move(on_change)));
  FolderWatch* raw = made.get();
  POSTERN_RETURN_IF_ERROR(loop.watch(raw->inotify_.get(), EPOLLIN, [raw](std::uint32_t) { raw->on_readable(); }));
  return made;
}

FolderWatch::FolderWatch(EventLoop& loop, Fd inotify, std::function<void()> on_change)
    : loop_(loop), inotify_(std::move(inotify)), on_change_(std::move(on_change)) {}

FolderWatch::~FolderWatch() {
  loop_.cancel(timer_);
  loop_.unwatch(inotify_.get());
}

void FolderWatch::on_readable() {
  std::array<char, 4096> events;
  while (::read(inotify_.get(), events.data(), events.size()) > 0) {
  }
  loop_.cancel(timer_);
  timer_ = loop_.after_ms(kQuietMs, [this] { on_change_(); });
}

}  // namespace postern
