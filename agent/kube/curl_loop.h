// SPDX-License-Identifier: Apache-2.0
//
// CurlLoop: libcurl's multi interface on an EventLoop: curl says which descriptors and which one timer
// it waits for, the loop calls it when they are due. Nothing here knows of HTTP or Kubernetes.
//
// curl may not be entered from its own callbacks. So the owner's `after` runs behind each turn of
// curl, outside of it, and all that the owner does with requests it does there or from the loop.
// Thread: the loop's (curl's resolver thread, which a server's name needs, is inside curl).
// Sources: curl_multi_socket_action(3), CURLMOPT_SOCKETFUNCTION(3), CURLMOPT_TIMERFUNCTION(3).
#pragma once

#include <curl/curl.h>

#include <functional>
#include <memory>
#include <unordered_set>

#include "base/event_loop.h"
#include "base/result.h"

namespace postern {

class CurlLoop {
 public:
  /// @param after  Called after each turn of curl: requests may have data or be done.
  static Result<std::unique_ptr<CurlLoop>> make(EventLoop& loop, std::function<void()> after);
  CurlLoop(const CurlLoop&) = delete;
  CurlLoop& operator=(const CurlLoop&) = delete;
  /// Every handle has been removed before.
  ~CurlLoop();

  Result<> add(CURL* easy);
  void remove(CURL* easy);
  /// Calls back for each handle that has finished, with how. Outside of curl: it may add and remove.
  void take_finished(const std::function<void(CURL* easy, CURLcode code)>& each);

 private:
  CurlLoop(EventLoop& loop, std::function<void()> after, CURLM* multi);
  static int on_socket(CURL* easy, curl_socket_t fd, int what, void* self, void* of_socket);
  static int on_timer(CURLM* multi, long timeout_ms, void* self);
  void watch(int fd, int what);
  void turn(curl_socket_t fd, int what);

  EventLoop& loop_;
  std::function<void()> after_;
  CURLM* multi_;
  EventLoop::TimerId timer_ = 0;
  std::unordered_set<int> watched_;
};

}  // namespace postern
