// SPDX-License-Identifier: Apache-2.0
//
// The loop over real pipes; times are of the past or a millisecond away, so that nothing waits.
#include "base/event_loop.h"

#include <catch2/catch_test_macros.hpp>

#include "base/channel.h"

namespace postern {
namespace {

struct Pair {
  Fd left;
  Fd right;

  Pair() {
    auto ends = channel_pair();
    REQUIRE(ends);
    left = std::move(ends->first);
    right = std::move(ends->second);
  }
  void poke() const { REQUIRE(::write(right.get(), "x", 1) == 1); }
};

std::unique_ptr<EventLoop> new_loop() {
  auto loop = EventLoop::make();
  REQUIRE(loop);
  return std::move(loop).value();
}

TEST_CASE("loop: calls back while there is something to read", "[base]") {
  const auto loop = new_loop();
  const Pair pair;
  int calls = 0;
  REQUIRE(loop->watch(pair.left.get(), EPOLLIN, [&](std::uint32_t events) {
    CHECK((events & EPOLLIN) != 0);
    ++calls;
  }));
  REQUIRE(loop->run_once(0));
  CHECK(calls == 0);
  pair.poke();
  REQUIRE(loop->run_once(0));
  REQUIRE(loop->run_once(0));
  CHECK(calls == 2);  // level-triggered: nobody has read it
  loop->unwatch(pair.left.get());
  REQUIRE(loop->run_once(0));
  CHECK(calls == 2);
}

TEST_CASE("loop: a callback may remove any watch, its own too", "[base]") {
  const auto loop = new_loop();
  const Pair one;
  const Pair two;
  int calls = 0;
  const auto both_go = [&](std::uint32_t) {
    ++calls;
    loop->unwatch(one.left.get());
    loop->unwatch(two.left.get());
  };
  REQUIRE(loop->watch(one.left.get(), EPOLLIN, both_go));
  REQUIRE(loop->watch(two.left.get(), EPOLLIN, both_go));
  one.poke();
  two.poke();
  REQUIRE(loop->run_once(0));
  REQUIRE(loop->run_once(0));
  CHECK(calls == 1);
}

TEST_CASE("loop: an event of a closed descriptor does not reach its successor", "[base]") {
  const auto loop = new_loop();
  const auto one = std::make_unique<Pair>();
  const auto two = std::make_unique<Pair>();
  int calls = 0;
  int stale = 0;
  Fd successor;
  // Whichever is called first replaces the other's descriptor by another one of the same number.
  const auto replacing = [&](const std::unique_ptr<Pair>& other) {
    return [&](std::uint32_t) {
      ++calls;
      const int number = other->left.get();
      loop->unwatch(number);
      other->left.reset();
      successor.reset(::fcntl(other->right.get(), F_DUPFD_CLOEXEC, number));
      REQUIRE(successor.get() == number);
      REQUIRE(loop->watch(number, 0, [&](std::uint32_t events) { stale += (events & EPOLLIN) != 0 ? 1 : 0; }));
    };
  };
  REQUIRE(loop->watch(one->left.get(), EPOLLIN, replacing(two)));
  REQUIRE(loop->watch(two->left.get(), EPOLLIN, replacing(one)));
  one->poke();
  two->poke();
  REQUIRE(loop->run_once(0));
  CHECK(calls == 1);
  CHECK(stale == 0);
}

TEST_CASE("loop: timers run in order of time, once, and not when cancelled", "[base]") {
  const auto loop = new_loop();
  std::string order;
  const BootNs now = SystemClock().now();
  loop->at({now.ns - 1}, [&] { order += 'b'; });
  loop->at({now.ns - 2}, [&] { order += 'a'; });
  const auto cancelled = loop->at({now.ns - 3}, [&] { order += 'x'; });
  loop->after_ms(1'000'000, [&] { order += 'y'; });
  loop->cancel(cancelled);
  loop->cancel(cancelled);
  REQUIRE(loop->run_once(0));
  REQUIRE(loop->run_once(0));
  CHECK(order == "ab");
}

TEST_CASE("loop: a timer that re-arms itself for now does not keep the loop", "[base]") {
  const auto loop = new_loop();
  int calls = 0;
  std::function<void()> again = [&] {
    ++calls;
    loop->after_ms(0, again);
  };
  again();
  REQUIRE(loop->run_once(0));
  CHECK(calls == 2);
}

TEST_CASE("loop: stop ends run", "[base]") {
  const auto loop = new_loop();
  loop->after_ms(0, [&] { loop->stop(); });
  CHECK(loop->run());
}

TEST_CASE("loop: what is forgotten in a child stays watched in the parent", "[base]") {
  const auto loop = new_loop();
  const Pair pair;
  int calls = 0;
  REQUIRE(loop->watch(pair.left.get(), EPOLLIN, [&](std::uint32_t) { ++calls; }));
  loop->abandon();
  loop->unwatch(pair.left.get());
  CHECK(calls == 0);
}

}  // namespace
}  // namespace postern
