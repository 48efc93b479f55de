// SPDX-License-Identifier: Apache-2.0
//
// DnsLink against a keeper of the test's own, over a real socket.
#include "agent/dns_link.h"

#include <stdlib.h>
#include <sys/socket.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

namespace postern {
namespace {

constexpr std::uint32_t kWorkers = 2;

std::uint32_t type_of(DnsMessage message) { return static_cast<std::uint32_t>(message); }

/// What a keeper hears, and a script of what it says.
class KeeperDouble {
 public:
  KeeperDouble() : loop(EventLoop::make().value()) {
    char folder[] = "/tmp/postern-unit-XXXXXX";
    folder_ = ::mkdtemp(folder);
    listener_ = listen_unix(path(), 0600).value();
    static_cast<void>(loop->watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept(); }));
  }
  ~KeeperDouble() {
    loop->unwatch(listener_.get());
    ::unlink(path().c_str());
    ::rmdir(folder_.c_str());
  }

  std::string path() const { return folder_ + "/dns.sock"; }

  void say_steering() {
    Steering steering;
    steering.workers = kWorkers;
    steering.node_ifindex = 5;
    steering.created_boot_ns = 1;
    std::vector<Fd> sockets;
    std::vector<int> numbers;
    for (std::uint32_t i = 0; i < kWorkers * kSocketsPerWorker; ++i) {
      sockets.emplace_back(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      numbers.push_back(sockets.back().get());
    }
    REQUIRE(channel->send(type_of(DnsMessage::kSteering), to_body(steering), numbers));
  }
  void acknowledge(std::uint64_t key, std::uint32_t failed = 0) {
    for (std::uint32_t worker = 0; worker < kWorkers; ++worker) {
      REQUIRE(channel->send(type_of(DnsMessage::kAck), to_body(FeedAck{worker, failed, key})));
    }
  }
  /// The feed so far, a word a message.
  std::string heard() const {
    std::string text;
    for (const FeedHeader& header : feed) {
      static constexpr const char* kOps[] = {"?", "put", "erase", "sync", "begin", "end"};
      text += std::string(kOps[static_cast<int>(header.op)]) + std::to_string(static_cast<int>(header.kind)) + "/" +
              std::to_string(header.key) +
              (header.worker == kAllWorkers ? " " : "@" + std::to_string(header.worker) + " ");
    }
    return text;
  }
  template <typename Condition>
  void run_until(const Condition& condition) {
    for (int i = 0; i < 400 && !condition(); ++i) {
      REQUIRE(loop->run_once(5));
    }
    REQUIRE(condition());
  }

  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<Channel> channel;
  std::vector<FeedHeader> feed;
  int hellos = 0;
  std::size_t sockets_received = 0;
  bool has_sockets = true;

 private:
  void accept() {
    auto socket = accept_unix(listener_.get());
    channel =
        Channel::make(
            *loop, std::move(*socket),
            [this](const Message& message) {
              if (message.type == type_of(DnsMessage::kHelloAgent)) {
                ++hellos;
                has_sockets ? say_steering() : static_cast<void>(channel->send(type_of(DnsMessage::kNoSteering), ""));
              } else if (message.type == type_of(DnsMessage::kSteering)) {
                sockets_received = message.fds.size();
              } else if (const auto header = from_body<FeedHeader>(message.body)) {
                feed.push_back(*header);
              }
            },
            [] {})
            .value();
  }

  std::string folder_;
  Fd listener_;
};

TEST_CASE("dns link: everything is told first, then the sync", "[agent]") {
  KeeperDouble keeper;
  int steerings = 0;
  DnsLink link(*keeper.loop, keeper.path(), [&](const Steering& steering) {
    ++steerings;
    CHECK(steering.node_ifindex == 5);
  });
  bool synced = false;
  link.put(FeedKind::kSettings, 0, "s");
  link.start(60'000, [&] {
    link.put(FeedKind::kPolicy, 4, "p");
    link.put(FeedKind::kSandbox, 9, "x");
    link.sync([&](const Result<>& done) { synced = static_cast<bool>(done); });
  });
  keeper.run_until([&] { return !keeper.feed.empty() && keeper.feed.back().op == FeedOp::kSync; });
  // Sandbox 9 is worker 1's alone: 9 % 2.
  CHECK(keeper.heard() == "begin1/0 put1/0 put3/4 put4/9@1 end1/0 sync1/1 ");
  CHECK(steerings == 1);
  CHECK_FALSE(synced);
  keeper.acknowledge(1);
  keeper.run_until([&] { return synced; });
}

TEST_CASE("dns link: without postern-dns a sync is done at once", "[agent]") {
  auto loop = EventLoop::make().value();
  DnsLink link(*loop, "/tmp/postern-unit-nobody/dns.sock", [](const Steering&) {});
  bool begun = false;
  link.start(10, [&] { begun = true; });
  for (int i = 0; i < 100 && !begun; ++i) {
    REQUIRE(loop->run_once(5));
  }
  REQUIRE(begun);
  bool synced = false;
  link.sync([&](const Result<>& done) { synced = static_cast<bool>(done); });
  CHECK(synced);
}

TEST_CASE("dns link: a worker that cannot take it fails the sync", "[agent]") {
  KeeperDouble keeper;
  DnsLink link(*keeper.loop, keeper.path(), [](const Steering&) {});
  bool failed = false;
  link.start(60'000, [&] { link.sync([&](const Result<>& done) { failed = !done; }); });
  keeper.run_until([&] { return !keeper.feed.empty() && keeper.feed.back().op == FeedOp::kSync; });
  keeper.acknowledge(1, 1);
  keeper.run_until([&] { return failed; });
}

TEST_CASE("dns link: a sync that a worker did not see is sent again", "[agent]") {
  KeeperDouble keeper;
  DnsLink link(*keeper.loop, keeper.path(), [](const Steering&) {});
  bool synced = false;
  link.start(60'000, [&] { link.sync([&](const Result<>& done) { synced = static_cast<bool>(done); }); });
  const auto syncs = [&] { return std::ranges::count(keeper.feed, FeedOp::kSync, &FeedHeader::op); };
  keeper.run_until([&] { return syncs() == 2; });
  keeper.acknowledge(1);
  keeper.run_until([&] { return synced; });
}

TEST_CASE("dns link: a new keeper is given the sockets of the old one, and told everything", "[agent]") {
  KeeperDouble keeper;
  DnsLink link(*keeper.loop, keeper.path(), [](const Steering&) {});
  link.put(FeedKind::kPolicy, 4, "p");
  link.start(60'000, [] {});
  keeper.run_until([&] { return !keeper.feed.empty() && keeper.feed.back().op == FeedOp::kEnd; });
  keeper.feed.clear();
  keeper.has_sockets = false;
  keeper.channel.reset();
  keeper.run_until([&] { return keeper.hellos == 2 && keeper.sockets_received == kWorkers * kSocketsPerWorker; });
  CHECK_FALSE(link.ready());
  keeper.say_steering();
  keeper.run_until([&] { return !keeper.feed.empty() && keeper.feed.back().op == FeedOp::kEnd; });
  CHECK(keeper.heard() == "begin1/0 put3/4 end1/0 ");
}

}  // namespace
}  // namespace postern
