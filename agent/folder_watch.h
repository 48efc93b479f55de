// SPDX-License-Identifier: Apache-2.0
//
// FolderWatch: tells when files in some folders have changed and been quiet for a moment.
//
// The moment (kQuietMs) turns an editor's several steps, and a Kubernetes ConfigMap's swap of
// symbolic links, into one change. Thread: the loop's.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/event_loop.h"
#include "base/fd.h"

namespace postern {

class FolderWatch {
 public:
  static constexpr std::uint64_t kQuietMs = 20;

  /// Folders that do not exist are not watched.
  static Result<std::unique_ptr<FolderWatch>> make(EventLoop& loop,
                                                   const std::vector<std::string>& folders,
                                                   std::function<void()> on_change);
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;
  ~FolderWatch();

 private:
  FolderWatch(EventLoop& loop, Fd inotify, std::function<void()> on_change);
  void on_readable();

  EventLoop& loop_;
  Fd inotify_;
  std::function<void()> on_change_;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace postern
