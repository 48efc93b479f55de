// SPDX-License-Identifier: Apache-2.0
//
// TcpListener: a worker's DNS-over-TCP socket in the steering namespace (RFC 7766).
//
// A connection carries several queries, answered as their answers come, in any order. Which sandbox
// connected is the socket's mark (tcp_fwmark_accept). Limits: kConnectionsMax connections of which
// kPerSandbox of one sandbox, the one idle longest goes first; kIdleMs without a query; kPipelineMax
// queries unanswered, then we stop reading; kQueryMax bytes a query.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/event_loop.h"
#include "base/fd.h"
#include "dnsproxy/resolver.h"

namespace postern {

class TcpListener {
 public:
  static constexpr std::size_t kConnectionsMax = 256;
  static constexpr std::size_t kPerSandbox = 32;
  static constexpr std::uint64_t kIdleMs = 10'000;
  static constexpr std::size_t kPipelineMax = 32;
  static constexpr std::size_t kQueryMax = 4096;
  static constexpr std::size_t kUnsentMax = 4 * kMessageMax;

  using OnQuery = std::function<void(const Client& client, Bytes message)>;

  /// @param first_id  connection ids begin here, so that two listeners of a worker do not share any.
  static Result<std::unique_ptr<TcpListener>> make(EventLoop& loop,
                                                   Fd socket,
                                                   std::uint64_t first_id,
                                                   OnQuery on_query);
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;
  ~TcpListener();

  /// Sends, or queues what the client does not read yet. A connection that is gone takes nothing.
  void reply(const Client& client, Bytes message);

 private:
  struct Connection {
    Fd fd;
    Client client;
    std::vector<std::uint8_t> in;
    std::vector<std::uint8_t> out;
    std::size_t unanswered = 0;
    bool finished = false;  // the client will send no more
    bool broken = false;    // to be closed
    BootNs last_query;
    EventLoop::TimerId timer = 0;
  };

  TcpListener(EventLoop& loop, Fd socket, std::uint64_t first_id, OnQuery on_query);
  void on_acceptable();
  void make_room(std::uint32_t sandbox);
  void close_oldest(std::optional<std::uint32_t> sandbox);
  void on_ready(std::uint64_t id, std::uint32_t events);
  bool read(Connection& connection);
  void take_queries(std::uint64_t id);
  bool write(Connection& connection);
  void watch_idle(std::uint64_t id);
  void close(std::uint64_t id);

  EventLoop& loop_;
  Fd socket_;
  OnQuery on_query_;
  SystemClock clock_;
  std::uint64_t next_id_;
  bool taking_ = false;
  std::map<std::uint64_t, Connection> connections_;
};

}  // namespace postern
