// SPDX-License-Identifier: Apache-2.0
//
// The upstream engine against name servers that the test plays on loopback: real sockets, a clock that
// the test moves. Timers of the loop run by the real clock, so that a time-out is played by moving ours
// only where no timer is needed.
#include "dnsproxy/upstream_pool.h"

#include <catch2/catch_test_macros.hpp>
#include <set>

#include "dnsproxy/socket_address.h"
#include "tests/support/resolver_lab.h"

namespace postern::testing {
namespace {

class PlayedServer {
 public:
  struct Received {
    std::string message;
    SocketAddress from;
  };

  PlayedServer() {
    SocketAddress any(Endpoint{Address::parse("127.0.0.1").value(), 0});
    for (int attempt = 0; attempt < 20; ++attempt) {
      tcp_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      udp_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      REQUIRE(::bind(tcp_.get(), any.get(), any.size()) == 0);
      SocketAddress taken;
      REQUIRE(::getsockname(tcp_.get(), taken.data(), taken.capacity()) == 0);
      endpoint = taken.endpoint();
      const SocketAddress same(endpoint);
      if (::listen(tcp_.get(), 16) == 0 && ::bind(udp_.get(), same.get(), same.size()) == 0) {
        return;
      }
    }
    FAIL("no port is free for both protocols");
  }

  /// The next query over UDP.
  std::optional<Received> receive() {
    Received received;
    received.message.resize(4096);
    const ssize_t got = ::recvfrom(udp_.get(), received.message.data(), received.message.size(), 0,
                                   received.from.data(), received.from.capacity());
    if (got < 0) {
      return std::nullopt;
    }
    received.message.resize(static_cast<std::size_t>(got));
    return received;
  }
  void send(const SocketAddress& to, std::string_view message) const {
    REQUIRE(::sendto(udp_.get(), message.data(), message.size(), 0, to.get(), to.size()) ==
            static_cast<ssize_t>(message.size()));
  }
  bool accept() {
    connection_.reset(::accept4(tcp_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    return static_cast<bool>(connection_);
  }
  std::string receive_tcp() const {
    std::string message(4096, '\0');
    const ssize_t got = ::recv(connection_.get(), message.data(), message.size(), 0);
    return got < 2 ? "" : message.substr(2, static_cast<std::size_t>(got) - 2);
  }
  void send_tcp(std::string_view message) const {
    const std::string framed = u16(message.size()) + std::string(message);
    REQUIRE(::send(connection_.get(), framed.data(), framed.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(framed.size()));
  }
  void close_tcp() { connection_.reset(); }
  void stop() {
    udp_.reset();
    tcp_.reset();
  }

  Endpoint endpoint;

 private:
  Fd udp_;
  Fd tcp_;
  Fd connection_;
};

/// A query's id and question with the case it came in, made into a reply.
std::string reply_to(const std::string& query, std::uint16_t flags = 0x8180, bool answer = true) {
  const std::size_t question_end = query.find('\0', 12) + 5;
  const std::string question = query.substr(12, question_end - 12);
  TestRecord record = a_record(".", "192.0.2.1");
  record.owner = "\xc0\x0c";
  return query.substr(0, 2) + u16(flags) + u16(1) + u16(answer ? 1 : 0) + u16(0) + u16(0) + question +
         (answer ? record.bytes() : "");
}

struct Pool {
  std::unique_ptr<EventLoop> loop = EventLoop::make().value();
  SystemClock clock;
  std::vector<std::uint64_t> answered;
  std::vector<std::pair<std::uint64_t, UpstreamFailure>> failed;
  UpstreamPool pool{*loop, clock, [this](std::uint64_t ticket, Answer) { answered.push_back(ticket); },
                    [this](std::uint64_t ticket, UpstreamFailure why) { failed.emplace_back(ticket, why); }};
  PlayedServer server;

  Pool() { pool.set_upstreams({server.endpoint}); }
  void ask(std::uint64_t ticket, std::string_view name = "api.example.com") {
    pool.ask(ticket, {wire_name(name), kTypeA, false, false});
  }
  void turn(int timeout_ms = 0) const { REQUIRE(loop->run_once(timeout_ms)); }
  /// Turns until `done`; loopback delivers at once, so this is a matter of a few turns.
  template <typename Done>
  bool turn_until(Done done) const {
    for (int i = 0; i < 200; ++i) {
      if (done()) {
        return true;
      }
      turn(5);
    }
    return false;
  }
};

TEST_CASE("upstream: asks with a random id, case and port, and takes the answer", "[dnsproxy]") {
  Pool pool;
  std::set<std::string> ids;
  std::set<std::string> names;
  std::set<std::uint16_t> ports;
  for (std::uint64_t ticket = 1; ticket <= 100; ++ticket) {
    pool.ask(ticket);
    const auto query = pool.server.receive();
    REQUIRE(query);
    ids.insert(query->message.substr(0, 2));
    names.insert(query->message.substr(12, 17));
    ports.insert(query->from.endpoint().port);
    const std::string name = query->message.substr(12, 17);
    CHECK(equal_names(bytes_of(name), bytes_of(wire_name("api.example.com"))));
    pool.server.send(query->from, reply_to(query->message));
    REQUIRE(pool.turn_until([&] { return pool.answered.size() == ticket; }));
  }
  CHECK(ids.size() > 95);
  CHECK(names.size() > 90);
  CHECK(ports.size() > 60);  // of 256 sockets
  CHECK(pool.failed.empty());
}

TEST_CASE("upstream: a reply that does not match ends the socket, and the question goes over TCP", "[dnsproxy]") {
  for (const bool wrong_id : {true, false}) {
    Pool pool;
    pool.ask(1);
    const auto query = pool.server.receive();
    REQUIRE(query);
    std::string forged = query->message;
    if (wrong_id) {
      forged[0] = static_cast<char>(forged[0] ^ 1);
    } else {
      forged[13] = static_cast<char>(forged[13] ^ 0x20);  // the case of one letter
    }
    pool.server.send(query->from, reply_to(forged));
    REQUIRE(pool.turn_until([&] { return pool.server.accept(); }));
    CHECK(pool.answered.empty());
    std::string over_tcp;
    REQUIRE(pool.turn_until([&] { return !(over_tcp = pool.server.receive_tcp()).empty(); }));
    pool.server.send(query->from, reply_to(query->message));  // even the right reply is too late there
    pool.turn(1);
    CHECK(pool.answered.empty());
    pool.server.send_tcp(reply_to(over_tcp));
    REQUIRE(pool.turn_until([&] { return !pool.answered.empty(); }));
  }
}

TEST_CASE("upstream: a truncated reply is asked again over TCP, once", "[dnsproxy]") {
  Pool pool;
  pool.ask(1);
  const auto query = pool.server.receive();
  REQUIRE(query);
  pool.server.send(query->from, reply_to(query->message, 0x8380, false));
  REQUIRE(pool.turn_until([&] { return pool.server.accept(); }));
  std::string over_tcp;
  REQUIRE(pool.turn_until([&] { return !(over_tcp = pool.server.receive_tcp()).empty(); }));
  pool.server.send_tcp(reply_to(over_tcp, 0x8380, false));  // TC over TCP is nonsense
  REQUIRE(pool.turn_until([&] { return !pool.failed.empty(); }));
  CHECK(pool.failed[0] == std::pair{std::uint64_t{1}, UpstreamFailure::kFailed});
}

TEST_CASE("upstream: a TCP reply may come in pieces", "[dnsproxy]") {
  Pool pool;
  pool.ask(1);
  const auto query = pool.server.receive();
  REQUIRE(query);
  pool.server.send(query->from, reply_to(query->message, 0x8380, false));
  REQUIRE(pool.turn_until([&] { return pool.server.accept(); }));
  std::string over_tcp;
  REQUIRE(pool.turn_until([&] { return !(over_tcp = pool.server.receive_tcp()).empty(); }));
  pool.server.send_tcp(reply_to(over_tcp) + std::string(40000, 'x'));
  REQUIRE(pool.turn_until([&] { return !pool.answered.empty(); }));
}

TEST_CASE("upstream: a TCP connection that ends without a reply fails the question", "[dnsproxy]") {
  Pool pool;
  pool.ask(1);
  const auto query = pool.server.receive();
  REQUIRE(query);
  pool.server.send(query->from, reply_to(query->message, 0x8380, false));
  REQUIRE(pool.turn_until([&] { return pool.server.accept(); }));
  pool.server.close_tcp();
  REQUIRE(pool.turn_until([&] { return !pool.failed.empty(); }));
}

TEST_CASE("upstream: one that rejects EDNS is asked without; one that rejects that too fails", "[dnsproxy]") {
  Pool pool;
  pool.ask(1);
  const auto query = pool.server.receive();
  REQUIRE(query);
  CHECK(query->message.substr(10, 2) == u16(1));
  pool.server.send(query->from, reply_to(query->message, 0x8181, false));
  std::optional<PlayedServer::Received> plain;
  REQUIRE(pool.turn_until([&] { return (plain = pool.server.receive()).has_value(); }));
  CHECK(plain->message.substr(10, 2) == u16(0));
  pool.server.send(plain->from, reply_to(plain->message, 0x8181, false));
  REQUIRE(pool.turn_until([&] { return !pool.failed.empty(); }));
  pool.ask(2);
  plain = pool.server.receive();
  REQUIRE(plain);
  CHECK(plain->message.substr(10, 2) == u16(0));  // remembered for a while
}

TEST_CASE("upstream: SERVFAIL asks the next upstream, and the one that answers comes first from then on",
          "[dnsproxy]") {
  Pool pool;
  PlayedServer second;
  pool.pool.set_upstreams({pool.server.endpoint, second.endpoint});
  pool.ask(1);
  auto query = pool.server.receive();
  REQUIRE(query);
  pool.server.send(query->from, reply_to(query->message, 0x8182, false));
  REQUIRE(pool.turn_until([&] { return (query = second.receive()).has_value(); }));
  second.send(query->from, reply_to(query->message));
  REQUIRE(pool.turn_until([&] { return !pool.answered.empty(); }));
  pool.ask(2);
  REQUIRE((query = second.receive()).has_value());
  second.send(query->from, reply_to(query->message, 0x8182, false));
  REQUIRE(pool.turn_until([&] { return (query = pool.server.receive()).has_value(); }));
  pool.server.send(query->from, reply_to(query->message, 0x8185, false));
  REQUIRE(pool.turn_until([&] { return !pool.failed.empty(); }));
  CHECK(pool.failed[0].second == UpstreamFailure::kFailed);
}

TEST_CASE("upstream: where nobody listens, the next is asked at once", "[dnsproxy]") {
  Pool pool;
  PlayedServer second;
  pool.pool.set_upstreams({pool.server.endpoint, second.endpoint});
  pool.server.stop();
  pool.ask(1);
  std::optional<PlayedServer::Received> query;
  const BootNs start = pool.clock.now();
  REQUIRE(pool.turn_until([&] { return (query = second.receive()).has_value(); }));
  CHECK(pool.clock.now() - start < UpstreamPool::kAttemptAtMs[1] * kNsPerMs);
}

TEST_CASE("upstream: silence is asked again, by another id", "[dnsproxy]") {
  Pool pool;
  pool.ask(1);
  const auto first = pool.server.receive();
  REQUIRE(first);
  std::optional<PlayedServer::Received> again;
  for (int i = 0; i < 20 && !again; ++i) {
    pool.turn(100);
    again = pool.server.receive();
  }
  REQUIRE(again);
  CHECK(first->message != again->message);
  pool.server.send(first->from, reply_to(first->message));  // the first reply wins, whichever it answers
  REQUIRE(pool.turn_until([&] { return pool.answered == std::vector<std::uint64_t>{1}; }));
  pool.server.send(again->from, reply_to(again->message));
  pool.turn(5);
  CHECK(pool.answered.size() == 1);
}

TEST_CASE("upstream: without any, a question fails, but not from inside ask", "[dnsproxy]") {
  Pool pool;
  pool.pool.set_upstreams({});
  pool.ask(1);
  CHECK(pool.failed.empty());
  REQUIRE(pool.turn_until([&] { return !pool.failed.empty(); }));
  CHECK(pool.failed[0].second == UpstreamFailure::kTimeout);
}

TEST_CASE("upstream: a socket is replaced after so many queries", "[dnsproxy]") {
  Pool pool;
  std::map<std::uint16_t, std::uint32_t> by_port;
  std::uint64_t ticket = 0;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    pool.ask(++ticket);
    const auto query = pool.server.receive();
    REQUIRE(query);
    ++by_port[query->from.endpoint().port];
    pool.server.send(query->from, reply_to(query->message));
    REQUIRE(pool.turn_until([&] { return pool.answered.size() == ticket; }));
  }
  CHECK(by_port.size() >= 250);
  for (const auto& [port, count] : by_port) {
    CHECK(count < 40);  // spread evenly: none near the limit of 1000
  }
}

TEST_CASE("upstream: a list that changes keeps questions in flight", "[dnsproxy]") {
  Pool pool;
  pool.ask(1);
  const auto query = pool.server.receive();
  REQUIRE(query);
  PlayedServer second;
  pool.pool.set_upstreams({second.endpoint});
  pool.server.send(query->from, reply_to(query->message));
  REQUIRE(pool.turn_until([&] { return !pool.answered.empty(); }));
  pool.ask(2);
  CHECK(second.receive());
}

TEST_CASE("upstream: garbage of every length is no answer", "[dnsproxy]") {
  Pool pool;
  pool.ask(1);
  const auto query = pool.server.receive();
  REQUIRE(query);
  for (std::size_t size = 0; size < 40; ++size) {
    pool.server.send(query->from, std::string(size, '\xff'));
  }
  REQUIRE(pool.turn_until([&] { return pool.server.accept(); }));
  CHECK(pool.answered.empty());
  CHECK(pool.failed.empty());
}

}  // namespace
}  // namespace postern::testing
