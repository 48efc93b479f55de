// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <memory>

namespace postern {
namespace {

TEST_CASE("result: the kind of an error follows from errno", "[base]") {
  const auto [number, expected] = GENERATE(table<int, Errc>({
      {EPERM, Errc::kDenied},
      {EACCES, Errc::kDenied},
      {ENOENT, Errc::kNotFound},
      {ENODEV, Errc::kNotFound},
      {ESRCH, Errc::kNotFound},
      {EEXIST, Errc::kExists},
      {EADDRINUSE, Errc::kExists},
      {E2BIG, Errc::kFull},
      {ENOSPC, Errc::kFull},
      {ENOMEM, Errc::kFull},
      {ENOSYS, Errc::kUnsupported},
      {EOPNOTSUPP, Errc::kUnsupported},
      {EINVAL, Errc::kInvalid},
      {EAGAIN, Errc::kAgain},
      {ENOBUFS, Errc::kAgain},
      {EPIPE, Errc::kClosed},
      {ECONNRESET, Errc::kClosed},
      {EIO, Errc::kIo},
  }));
  INFO(number);
  CHECK(Error::from_errno("x", number).code() == expected);
}

TEST_CASE("result: an error tells what failed, outermost step first", "[base]") {
  Error error = Error::from_errno("opening a.yaml", ENOENT).within("reload");
  CHECK(error.message() == "reload: opening a.yaml: No such file or directory");
  CHECK(error.sys_errno() == ENOENT);
  CHECK(Error(Errc::kInvalid, "no").message() == "no");
}

Result<int> half(int number) {
  if (number % 2 != 0) {
    return Error(Errc::kInvalid, "odd");
  }
  return number / 2;
}

Result<> check_twice(int number) {
  auto once = half(number);
  if (!once) {
    return std::move(once).error();
  }
  POSTERN_RETURN_IF_ERROR(half(*once));
  return {};
}

TEST_CASE("result: holds a value or an error", "[base]") {
  CHECK(*half(8) == 4);
  CHECK(half(3).error().code() == Errc::kInvalid);
  CHECK(check_twice(8));
  CHECK(check_twice(6).error().message() == "odd");
  CHECK_FALSE(check_twice(5));
}

TEST_CASE("result: carries what can only be moved", "[base]") {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  std::unique_ptr<int> taken = std::move(result).value();
  CHECK(*taken == 7);
}

}  // namespace
}  // namespace postern
