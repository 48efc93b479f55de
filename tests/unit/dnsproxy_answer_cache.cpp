// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/answer_cache.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/support/resolver_lab.h"

namespace postern::testing {
namespace {

constexpr BootNs kStart{500 * kNsPerS};

Question question(int number, std::uint16_t type = kTypeA, bool dnssec_ok = false, bool checking_disabled = false) {
  return {wire_name("n" + std::to_string(number) + ".example"), type, dnssec_ok, checking_disabled};
}

std::shared_ptr<const Answer> answer(std::uint32_t ttl_s, std::size_t bytes = 4) {
  auto made = std::make_shared<Answer>();
  made->records.push_back({wire_name("n.example"), kTypeA, ttl_s, std::string(bytes, 'x')});
  made->ttl_s = ttl_s;
  made->received = kStart;
  return made;
}

TEST_CASE("cache: until the TTL and not a moment longer", "[dnsproxy]") {
  AnswerCache cache;
  cache.store(question(1), answer(10));
  CHECK(cache.find(question(1), kStart) != nullptr);
  CHECK(cache.find(question(1), kStart + (10 * kNsPerS - 1)) != nullptr);
  CHECK(cache.find(question(1), kStart + 10 * kNsPerS) == nullptr);
  CHECK(cache.size() == 0);
  CHECK(cache.bytes() == 0);
}

TEST_CASE("cache: TTL 0 is for those who wait only, and replaces what was there", "[dnsproxy]") {
  AnswerCache cache;
  cache.store(question(1), answer(10));
  cache.store(question(1), answer(0));
  CHECK(cache.find(question(1), kStart) == nullptr);
}

TEST_CASE("cache: a question is its name, type, DO and CD", "[dnsproxy]") {
  AnswerCache cache;
  cache.store(question(1), answer(10));
  CHECK(cache.find(question(2), kStart) == nullptr);
  CHECK(cache.find(question(1, kTypeAaaa), kStart) == nullptr);
  CHECK(cache.find(question(1, kTypeA, true), kStart) == nullptr);
  CHECK(cache.find(question(1, kTypeA, false, true), kStart) == nullptr);
  CHECK(cache.find(question(1), kStart) != nullptr);
}

TEST_CASE("cache: full, the least recently used goes", "[dnsproxy]") {
  AnswerCache cache(20'000);
  int count = 0;
  while (cache.size() == static_cast<std::size_t>(count)) {
    cache.store(question(count), answer(100, 1000));
    CHECK(cache.bytes() <= 20'000);
    CHECK(cache.find(question(0), kStart) != nullptr);  // used again and again
    ++count;
  }
  CHECK(count > 5);
  CHECK(cache.find(question(1), kStart) == nullptr);
  CHECK(cache.find(question(count - 1), kStart) != nullptr);
  cache.store(question(999), answer(100, 30'000));  // larger than all of it
  CHECK(cache.find(question(999), kStart) == nullptr);
  CHECK(cache.find(question(0), kStart) != nullptr);
  cache.clear();
  CHECK(cache.size() == 0);
  CHECK(cache.bytes() == 0);
}

TEST_CASE("cache: storing again does not leak bytes", "[dnsproxy]") {
  AnswerCache cache;
  cache.store(question(1), answer(10));
  const std::size_t once = cache.bytes();
  for (int i = 0; i < 100; ++i) {
    cache.store(question(1), answer(10));
  }
  CHECK(cache.bytes() == once);
  CHECK(cache.size() == 1);
}

}  // namespace
}  // namespace postern::testing
