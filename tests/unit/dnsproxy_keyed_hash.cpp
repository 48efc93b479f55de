// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/keyed_hash.h"

#include <catch2/catch_test_macros.hpp>
#include <set>

namespace postern {
namespace {

TEST_CASE("keyed hash: the test vectors of SipHash's authors", "[dnsproxy]") {
  const std::array<std::uint64_t, 2> key{0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
  std::string message;
  for (char byte = 0; byte < 15; ++byte) {
    message += byte;
  }
  CHECK(sip_hash(key, message) == 0xa129ca6149be45e5u);
  CHECK(sip_hash(key, "") == 0x726fdb47dd0e0e31u);
  CHECK(sip_hash(key, message.substr(0, 8)) == 0x93f5f5799a932462u);
}

TEST_CASE("keyed hash: the same text has one hash, others have others", "[dnsproxy]") {
  std::set<std::size_t> seen;
  for (int i = 0; i < 1000; ++i) {
    seen.insert(KeyedHash()("n" + std::to_string(i)));
  }
  CHECK(seen.size() == 1000);
  CHECK(KeyedHash()("a") == KeyedHash()("a"));
}

}  // namespace
}  // namespace postern
