// SPDX-License-Identifier: Apache-2.0
//
// The listeners over loopback. Marks and transparent addresses need privileges and namespaces, which the
// netns tests have; here it is framing, order and limits.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include <catch2/catch_test_macros.hpp>

#include "dnsproxy/socket_address.h"
#include "dnsproxy/tcp_listener.h"
#include "dnsproxy/udp_listener.h"
#include "tests/support/resolver_lab.h"

namespace postern::testing {
namespace {

const Endpoint kAnyPort{Address::parse("127.0.0.1").value(), 0};

Fd bound_socket(int type, Endpoint& endpoint) {
  const SocketAddress any(kAnyPort);
  Fd fd(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(fd.get(), any.get(), any.size()) == 0);
  SocketAddress taken;
  REQUIRE(::getsockname(fd.get(), taken.data(), taken.capacity()) == 0);
  endpoint = taken.endpoint();
  return fd;
}

struct TcpBench {
  struct Query {
    Client client;
    std::string message;
  };

  std::unique_ptr<EventLoop> loop = EventLoop::make().value();
  Endpoint endpoint;
  std::vector<Query> queries;
  bool answer_at_once = false;
  std::unique_ptr<TcpListener> listener;

  TcpBench() {
    Fd socket = bound_socket(SOCK_STREAM, endpoint);
    REQUIRE(::listen(socket.get(), 128) == 0);
    listener = TcpListener::make(*loop, std::move(socket), 1000, [this](const Client& client, Bytes message) {
                 queries.push_back({client, std::string(message.begin(), message.end())});
                 if (answer_at_once) {
                   listener->reply(client, message);
                 }
               }).value();
  }
  Fd connect() {
    const SocketAddress address(endpoint);
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(fd.get(), address.get(), address.size()) == 0);
    REQUIRE(::fcntl(fd.get(), F_SETFL, O_NONBLOCK) == 0);
    turn();
    return fd;
  }
  void turn(int times = 4) const {
    for (int i = 0; i < times; ++i) {
      REQUIRE(loop->run_once(1));
    }
  }
  void send(const Fd& fd, std::string_view bytes) const {
    REQUIRE(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
    turn();
  }
};

std::string framed(std::string_view message) { return u16(message.size()) + std::string(message); }

/// What the client reads until it has `wanted` bytes, or the connection ends, or a second is over.
std::string received(const Fd& fd, std::size_t wanted) {
  std::string bytes;
  pollfd ready{fd.get(), POLLIN, 0};
  while (bytes.size() < wanted && ::poll(&ready, 1, 1000) == 1) {
    char buffer[4096];
    const ssize_t got = ::recv(fd.get(), buffer, sizeof(buffer), 0);
    if (got <= 0) {
      break;
    }
    bytes.append(buffer, static_cast<std::size_t>(got));
  }
  return bytes;
}

bool is_closed(const Fd& fd) {
  pollfd ready{fd.get(), POLLIN, 0};
  char byte = 0;
  return ::poll(&ready, 1, 1000) == 1 && ::recv(fd.get(), &byte, 1, 0) <= 0;
}

bool is_open(const Fd& fd) {
  char byte = 0;
  return ::recv(fd.get(), &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

TEST_CASE("tcp: queries in pieces and several at once, answered in any order", "[dnsproxy]") {
  TcpBench bench;
  const Fd client = bench.connect();
  for (const char byte : framed("first")) {
    bench.send(client, {&byte, 1});
  }
  bench.send(client, framed("second") + framed("third") + u16(6) + "fou");
  REQUIRE(bench.queries.size() == 3);
  CHECK(bench.queries[2].message == "third");
  CHECK(bench.queries[0].client.connection == bench.queries[1].client.connection);
  CHECK(bench.queries[0].client.asked == bench.endpoint);
  bench.listener->reply(bench.queries[1].client, bytes_of("B"));
  bench.listener->reply(bench.queries[0].client, bytes_of("A"));
  CHECK(received(client, 6) == framed("B") + framed("A"));
  bench.send(client, "rth");
  REQUIRE(bench.queries.size() == 4);
  CHECK(bench.queries[3].message == "fourth");
}

TEST_CASE("tcp: a client that sends no more still gets its answers", "[dnsproxy]") {
  TcpBench bench;
  const Fd client = bench.connect();
  bench.send(client, framed("only"));
  REQUIRE(::shutdown(client.get(), SHUT_WR) == 0);
  bench.turn();
  REQUIRE(bench.queries.size() == 1);
  bench.listener->reply(bench.queries[0].client, bytes_of("answer"));
  bench.turn();
  CHECK(received(client, 8) == framed("answer"));
  CHECK(is_closed(client));
}

TEST_CASE("tcp: too many unanswered queries wait, and none is lost", "[dnsproxy]") {
  TcpBench bench;
  const Fd client = bench.connect();
  std::string many;
  for (int i = 0; i < 100; ++i) {
    many += framed("query " + std::to_string(i));
  }
  bench.send(client, many);
  CHECK(bench.queries.size() == TcpListener::kPipelineMax);
  for (std::size_t i = 0; i < 100; ++i) {
    REQUIRE(i < bench.queries.size());
    CHECK(bench.queries[i].message == "query " + std::to_string(i));
    bench.listener->reply(bench.queries[i].client, bytes_of("x"));
    bench.turn(1);
  }
  CHECK(received(client, 300).size() == 300);
}

TEST_CASE("tcp: a query longer than any is the end", "[dnsproxy]") {
  TcpBench bench;
  const Fd client = bench.connect();
  bench.send(client, framed("ok") + u16(TcpListener::kQueryMax + 1));
  CHECK(bench.queries.size() == 1);
  CHECK(is_closed(client));
  bench.listener->reply(bench.queries[0].client, bytes_of("x"));  // to a connection that is gone
}

TEST_CASE("tcp: a client that does not read is cut off", "[dnsproxy]") {
  TcpBench bench;
  bench.answer_at_once = true;
  const Fd client = bench.connect();
  const int small = 4096;
  REQUIRE(::setsockopt(client.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) == 0);
  const std::string large(kMessageMax, 'x');
  bool gone = false;
  for (int i = 0; i < 3000 && !gone; ++i) {
    const std::string query = framed("q");
    gone = ::send(client.get(), query.data(), query.size(), MSG_NOSIGNAL) < 0 && errno != EAGAIN;
    bench.turn(1);
    if (!bench.queries.empty()) {
      bench.listener->reply(bench.queries.back().client, bytes_of(large));
    }
  }
  CHECK(gone);
}

TEST_CASE("tcp: one sandbox has so many connections; the oldest goes first", "[dnsproxy]") {
  TcpBench bench;
  std::vector<Fd> clients;
  for (std::size_t i = 0; i < TcpListener::kPerSandbox; ++i) {
    clients.push_back(bench.connect());
  }
  bench.send(clients[0], framed("I am alive"));
  CHECK(is_open(clients[1]));
  clients.push_back(bench.connect());
  CHECK(is_open(clients[0]));
  CHECK(is_closed(clients[1]));
  CHECK(is_open(clients[2]));
}

TEST_CASE("tcp: a reset does no harm", "[dnsproxy]") {
  TcpBench bench;
  for (int i = 0; i < 50; ++i) {
    Fd client = bench.connect();
    bench.send(client, framed("query"));
    const linger now{1, 0};
    REQUIRE(::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
    client.reset();
    if (i % 2 == 0) {
      bench.turn();
    }
    bench.listener->reply(bench.queries.back().client, bytes_of("x"));
    bench.turn();
  }
  CHECK(bench.queries.size() == 50);
}

TEST_CASE("udp: queries and replies, in bursts, with the address that was asked", "[dnsproxy]") {
  const auto loop = EventLoop::make().value();
  Endpoint endpoint;
  Fd socket = bound_socket(SOCK_DGRAM, endpoint);
  const int on = 1;
  REQUIRE(::setsockopt(socket.get(), IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) == 0);
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVMARK, &on, sizeof(on)) != 0) {
    SKIP("SO_RCVMARK needs CAP_NET_RAW: " << std::strerror(errno));
  }
  std::unique_ptr<UdpListener> listener;
  std::vector<Client> clients;
  listener = UdpListener::make(*loop, std::move(socket), [&](const Client& client, Bytes message) {
               clients.push_back(client);
               listener->reply(client, message);
             }).value();
  Endpoint own;
  const Fd client = bound_socket(SOCK_DGRAM, own);
  const SocketAddress to(endpoint);
  for (int i = 0; i < 100; ++i) {
    const std::string message = "query " + std::to_string(i);
    REQUIRE(::sendto(client.get(), message.data(), message.size(), 0, to.get(), to.size()) > 0);
  }
  const std::string oversized(UdpListener::kQueryMax + 1, 'x');
  REQUIRE(::sendto(client.get(), oversized.data(), oversized.size(), 0, to.get(), to.size()) > 0);
  for (int i = 0; i < 4; ++i) {
    REQUIRE(loop->run_once(1));
  }
  REQUIRE(clients.size() == 100);
  CHECK(clients[0].from == own);
  CHECK(clients[0].asked == Endpoint{kAnyPort.address, 53});
  CHECK(clients[0].sandbox == 0);  // nothing marked it
  for (int i = 0; i < 100; ++i) {
    char buffer[64];
    const ssize_t got = ::recv(client.get(), buffer, sizeof(buffer), 0);
    REQUIRE(got > 0);
    CHECK(std::string(buffer, static_cast<std::size_t>(got)) == "query " + std::to_string(i));
  }
  listener->reply(clients[0], bytes_of(std::string(kUdpPayload + 1, 'x')));  // would be a fragment
  char buffer[64];
  CHECK(::recv(client.get(), buffer, sizeof(buffer), 0) < 0);
}

}  // namespace
}  // namespace postern::testing
