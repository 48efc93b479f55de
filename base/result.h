// SPDX-License-Identifier: Apache-2.0
//
// Result<T>: a value, or an Error with what went wrong and where.
//
// The one way errors travel in this project. Recoverable failures are values that the caller must
// look at; a broken invariant is an assert. Not std::expected: it needs C++23 and a newer clang
// than Debian 12's. Names follow it, so that moving to it touches this file.
#pragma once

#include <cassert>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace postern {

/// Kinds of failure a caller can act on differently. Everything else is in the context text.
enum class Errc {
  kInvalid,      ///< Input is wrong; say so to whoever wrote it.
  kNotFound,     ///< The named thing does not exist.
  kExists,       ///< It exists already.
  kDenied,       ///< A privilege is missing.
  kFull,         ///< A limit is reached; the caller refuses the one request.
  kUnsupported,  ///< The kernel or the peer cannot do it.
  kClosed,       ///< The peer is gone.
  kAgain,        ///< Nothing to read or no room to write now.
  kIo,           ///< The operating system failed; sys_errno says how.
};

class [[nodiscard]] Error {
 public:
  Error(Errc code, std::string context, int sys_errno = 0)
      : code_(code), sys_errno_(sys_errno), context_(std::move(context)) {}

  /// From errno: the kind is derived from it.
  static Error from_errno(std::string context, int sys_errno) {
    return {code_of(sys_errno), std::move(context), sys_errno};
  }

  Errc code() const { return code_; }
  int sys_errno() const { return sys_errno_; }

  /// What failed, outermost step first, and the system's words for it.
  std::string message() const { return sys_errno_ == 0 ? context_ : context_ + ": " + std::strerror(sys_errno_); }

  /// The same error, seen from one step further out.
  Error within(std::string_view step) && {
    context_ = std::string(step) + ": " + context_;
    return std::move(*this);
  }

 private:
  static Errc code_of(int sys_errno) {
    switch (sys_errno) {
      case EPERM:
      case EACCES:
        return Errc::kDenied;
      case ENOENT:
      case ENODEV:
      case ESRCH:
        return Errc::kNotFound;
      case EEXIST:
      case EADDRINUSE:
        return Errc::kExists;
      case E2BIG:
      case ENOSPC:
      case ENOMEM:
        return Errc::kFull;
      case EOPNOTSUPP:
      case ENOSYS:
      case EPROTONOSUPPORT:
        return Errc::kUnsupported;
      case EINVAL:
        return Errc::kInvalid;
      case EAGAIN:
      case ENOBUFS:
        return Errc::kAgain;
      case EPIPE:
      case ECONNRESET:
      case ECONNREFUSED:
        return Errc::kClosed;
      default:
        return Errc::kIo;
    }
  }

  Errc code_;
  int sys_errno_;
  std::string context_;
};

struct Ok {};

template <typename T = Ok>
class [[nodiscard]] Result {
 public:
  Result() requires std::is_same_v<T, Ok> : state_(Ok{}) {}
  Result(T value) : state_(std::move(value)) {}      // NOLINT(google-explicit-constructor): a value is a Result
  Result(Error error) : state_(std::move(error)) {}  // NOLINT(google-explicit-constructor): so is an error

  explicit operator bool() const { return std::holds_alternative<T>(state_); }

  T& value() & {
    assert(*this);
    return *std::get_if<T>(&state_);
  }
  const T& value() const& {
    assert(*this);
    return *std::get_if<T>(&state_);
  }
  T&& value() && {
    assert(*this);
    return std::move(*std::get_if<T>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& {
    assert(!*this);
    return *std::get_if<Error>(&state_);
  }
  Error&& error() && {
    assert(!*this);
    return std::move(*std::get_if<Error>(&state_));
  }

 private:
  std::variant<T, Error> state_;
};

}  // namespace postern

/// Returns the error of a Result<> expression to the caller, if it is one.
#define POSTERN_RETURN_IF_ERROR(expression)                    \
  do {                                                         \
    if (auto postern_result = (expression); !postern_result) { \
      return std::move(postern_result).error();                \
    }                                                          \
  } while (false)
