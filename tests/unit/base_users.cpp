// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>

#include "base/users.h"

namespace postern {

TEST_CASE("a user is found by name, and by number without an entry", "[base]") {
  const auto root = find_user("root");
  REQUIRE(root);
  CHECK(root->uid == 0);
  CHECK(root->gid == 0);
  const auto zero = find_user("0");
  REQUIRE(zero);
  CHECK(zero->uid == 0);
  const auto number = find_user("65053");
  REQUIRE(number);
  CHECK(number->uid == 65053);
  CHECK(number->gid == 65053);
}

TEST_CASE("what is no user is said, with its bytes made printable", "[base]") {
  for (const char* wrong :
       {"", "no-such-user", "12x", "-1", " 7", "4294967295", "4294967296", "99999999999999999999"}) {
    CAPTURE(wrong);
    const auto user = find_user(wrong);
    REQUIRE_FALSE(user);
    CHECK(user.error().code() == Errc::kNotFound);
  }
  CHECK(find_user("a\nb").error().message() == "there is no user \"a\\x0ab\": name another, or give a number");
}

}  // namespace postern
