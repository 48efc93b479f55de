// SPDX-License-Identifier: Apache-2.0
//
// UpstreamPool: asks the configured upstreams and hands each question's one outcome back.
//
// A query goes out with a random id and letter case from one of kSocketsPerUpstream connected
// sockets, chosen at random; a socket is replaced after kQueriesPerSocket queries or kSocketAgeS.
// Only a reply that matches all of it counts. Anything else that reaches a socket ends the socket,
// and its questions go over TCP (RFC 5452). Attempts are made at kAttemptAtMs, each to the next
// upstream, first the one that answered last; the first reply wins. Sockets are the node's: they are made here, in the
// node's network namespace, never in the steering namespace. Thread: the worker's loop.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/event_loop.h"
#include "base/ip.h"
#include "dnsproxy/random_source.h"
#include "dnsproxy/resolver.h"

namespace postern {

class UpstreamPool final : public UpstreamPort {
 public:
  static constexpr std::uint32_t kSocketsPerUpstream = 256;
  static constexpr std::uint32_t kQueriesPerSocket = 1000;
  static constexpr std::uint64_t kSocketAgeS = 60;
  /// When each attempt is sent and when we give up: before the 5 s after which a stub does.
  static constexpr std::uint64_t kAttemptAtMs[] = {0, 700, 1800, 3000};
  static constexpr std::uint64_t kGiveUpMs = 4500;
  static constexpr std::size_t kTcpMax = 64;     // connections to upstreams at once
  static constexpr std::uint64_t kPlainS = 300;  // for how long an upstream that rejected EDNS is spared it

  using OnAnswer = std::function<void(std::uint64_t ticket, Answer answer)>;
  using OnFailure = std::function<void(std::uint64_t ticket, UpstreamFailure failure)>;

  UpstreamPool(EventLoop& loop, const Clock& clock, OnAnswer on_answer, OnFailure on_failure);
  ~UpstreamPool() override;

  /// Replaces the list. Questions in flight go on.
  void set_upstreams(const std::vector<Endpoint>& endpoints);
  void ask(std::uint64_t ticket, const Question& question) override;

 private:
  struct Socket;
  struct Upstream;
  struct Flight;
  struct TcpAsk;

  void attempt(Flight& flight);
  void send_udp(Flight& flight, const std::shared_ptr<Upstream>& upstream);
  void send_tcp(Flight& flight, const std::shared_ptr<Upstream>& upstream);
  void on_readable(Socket* socket);
  void on_datagram(Socket* socket, Bytes message);
  void on_tcp(TcpAsk* ask, std::uint32_t events);
  void settle(std::uint64_t ticket, const std::shared_ptr<Upstream>& upstream, AnswerVerdict verdict, Answer answer);
  void unreachable(Socket* socket);
  void prefer(const std::shared_ptr<Upstream>& upstream);
  void finish(std::uint64_t ticket);
  void retire(Socket* socket);
  void sweep();
  Socket* pick_socket(const std::shared_ptr<Upstream>& upstream);
  std::unique_ptr<Socket> open_socket(const std::shared_ptr<Upstream>& upstream);
  std::string random_case(const std::string& name);

  EventLoop& loop_;
  const Clock& clock_;
  OnAnswer on_answer_;
  OnFailure on_failure_;
  RandomSource random_;
  std::vector<std::shared_ptr<Upstream>> upstreams_;
  std::size_t first_ = 0;  // the upstream asked first: the one that answered last
  std::unordered_map<std::uint64_t, std::unique_ptr<Flight>> flights_;
  std::list<std::unique_ptr<Socket>> draining_;  // replaced, but replies may still come
  EventLoop::TimerId sweep_timer_ = 0;
  std::list<std::unique_ptr<TcpAsk>> tcp_;
};

}  // namespace postern
