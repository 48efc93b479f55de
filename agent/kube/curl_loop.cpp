// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/curl_loop.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace postern {
namespace {

constexpr long kIdleConnectionsMax = 4;

}  // namespace

Result<std::unique_ptr<CurlLoop>> CurlLoop::make(EventLoop& loop, std::function<void()> after) {
  // Once a process; it is never undone, because OpenSSL's own end comes at exit.
  static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
  CURLM* multi = global == CURLE_OK ? curl_multi_init() : nullptr;
  if (multi == nullptr) {
    return Error(Errc::kIo, "libcurl does not start");
  }
  return std::unique_ptr<CurlLoop>(new CurlLoop(loop, std::move(after), multi));
}

CurlLoop::CurlLoop(EventLoop& loop, std::function<void()> after, CURLM* multi)
    : loop_(loop), after_(std::move(after)), multi_(multi) {
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlLoop::on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlLoop::on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kIdleConnectionsMax);
}

CurlLoop::~CurlLoop() {
  // Closes the idle connections, which calls on_socket for each.
  curl_multi_cleanup(multi_);
  loop_.cancel(timer_);
  for (const int fd : watched_) {
    loop_.unwatch(fd);
  }
}

Result<> CurlLoop::add(CURL* easy) {
  if (const CURLMcode code = curl_multi_add_handle(multi_, easy); code != CURLM_OK) {
    return Error(Errc::kIo, std::string("libcurl: ") + curl_multi_strerror(code));
  }
  return {};
}

void CurlLoop::remove(CURL* easy) { curl_multi_remove_handle(multi_, easy); }

void CurlLoop::take_finished(const std::function<void(CURL*, CURLcode)>& each) {
  int waiting = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &waiting)) {
    if (message->msg == CURLMSG_DONE) {
      // Copied: the message ends with the handle's removal.
      CURL* const easy = message->easy_handle;
      const CURLcode code = message->data.result;
      each(easy, code);
    }
  }
}

int CurlLoop::on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) {
  static_cast<CurlLoop*>(self)->watch(fd, what);
  return 0;
}

void CurlLoop::watch(int fd, int what) {
  const std::uint32_t events =
      (what & CURL_POLL_IN ? std::uint32_t{EPOLLIN} : 0u) | (what & CURL_POLL_OUT ? std::uint32_t{EPOLLOUT} : 0u);
  if (what == CURL_POLL_REMOVE) {
    watched_.erase(fd);
    loop_.unwatch(fd);
    return;
  }
  if (watched_.contains(fd)) {
    if (loop_.rewatch(fd, events)) {
      return;
    }
    // Closed behind our back and opened again under its number.
    loop_.unwatch(fd);
  }
  auto watched = loop_.watch(fd, events, [this, fd](std::uint32_t ready) {
    const int action = (ready & EPOLLIN ? CURL_CSELECT_IN : 0) | (ready & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                       (ready & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    turn(fd, action);
  });
  if (watched) {
    watched_.insert(fd);
  } else {
    // The request then ends by its time limit.
    spdlog::error("a connection to the API server cannot be watched: {}", watched.error().message());
  }
}

int CurlLoop::on_timer(CURLM*, long timeout_ms, void* self) {
  auto* const me = static_cast<CurlLoop*>(self);
  me->loop_.cancel(std::exchange(me->timer_, 0));
  if (timeout_ms >= 0) {
    me->timer_ = me->loop_.after_ms(static_cast<std::uint64_t>(timeout_ms), [me] {
      me->timer_ = 0;
      me->turn(CURL_SOCKET_TIMEOUT, 0);
    });
  }
  return 0;
}

void CurlLoop::turn(curl_socket_t fd, int what) {
  int running = 0;
  if (const CURLMcode code = curl_multi_socket_action(multi_, fd, what, &running); code != CURLM_OK) {
    spdlog::error("libcurl: {}", curl_multi_strerror(code));
  }
  after_();
}

}  // namespace postern
