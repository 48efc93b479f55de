// SPDX-License-Identifier: Apache-2.0
//
// The observer's two connections: AgentLink to posternd, for maps and what their numbers mean, and
// DnsEventLink to postern-dns, for an event a question.
//
// Either peer may be away; each link then tries again, after kRetryMsMin and ever longer up to
// kRetryMsMax. Thread: the loop's. Limits: DnsEventLink::kDrainMax events before others get their turn.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/channel.h"
#include "base/event_loop.h"
#include "base/fd.h"
#include "bpf/layout.h"

namespace postern {

namespace api {
class ObserverUpdate;
}  // namespace api

inline constexpr std::uint64_t kRetryMsMin = 100;
inline constexpr std::uint64_t kRetryMsMax = 5000;

/// Calls back until it succeeds; says what is wrong when that changes, not at each try.
class Retry {
 public:
  Retry(EventLoop& loop, std::string peer, std::function<Result<>()> attempt)
      : loop_(loop), peer_(std::move(peer)), attempt_(std::move(attempt)) {}
  ~Retry() { loop_.cancel(timer_); }
  Retry(const Retry&) = delete;
  Retry& operator=(const Retry&) = delete;

  void now();
  /// The connection ended: try again after a while.
  void later();
  /// The peer did its part: a later loss is tried again soon.
  void settled() { delay_ms_ = kRetryMsMin; }

 private:
  EventLoop& loop_;
  std::string peer_;
  std::function<Result<>()> attempt_;
  std::uint64_t delay_ms_ = kRetryMsMin;
  EventLoop::TimerId timer_ = 0;
  std::string last_error_;
};

class AgentLink {
 public:
  struct Handlers {
    std::function<void(std::vector<Fd> maps)> on_maps;  ///< kObserverMapCount; updates follow.
    std::function<void(const api::ObserverUpdate&)> on_update;
  };

  AgentLink(EventLoop& loop, std::string path, Handlers handlers);
  void start() { retry_.now(); }

 private:
  Result<> connect();
  void on_message(Message message);

  EventLoop& loop_;
  std::string path_;
  Handlers handlers_;
  std::unique_ptr<Channel> channel_;
  Retry retry_;
};

class DnsEventLink {
 public:
  static constexpr int kDrainMax = 256;

  struct Handlers {
    std::function<void(bool)> on_connected;
    std::function<void(const egress_dns_event&)> on_event;
  };

  DnsEventLink(EventLoop& loop, std::string path, Handlers handlers);
  ~DnsEventLink();
  DnsEventLink(const DnsEventLink&) = delete;
  DnsEventLink& operator=(const DnsEventLink&) = delete;
  void start() { retry_.now(); }

 private:
  Result<> connect();
  void on_ready();

  EventLoop& loop_;
  std::string path_;
  Handlers handlers_;
  Fd socket_;
  Retry retry_;
};

}  // namespace postern
