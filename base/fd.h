// SPDX-License-Identifier: Apache-2.0
//
// Fd: the one owner of a file descriptor. Move-only; closes once.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cassert>
#include <utility>

#include "base/result.h"

namespace postern {

class Fd {
 public:
  Fd() = default;
  /// Takes ownership. -1 is an empty Fd.
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset(std::exchange(other.fd_, -1));
    }
    return *this;
  }
  ~Fd() { reset(); }

  explicit operator bool() const { return fd_ >= 0; }
  int get() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

  void reset(int fd = -1) {
    if (fd_ >= 0) {
      ::close(fd_);
    }
    fd_ = fd;
  }

  /// Another descriptor for the same open file, close-on-exec.
  Result<Fd> duplicate() const {
    Fd copy(::fcntl(fd_, F_DUPFD_CLOEXEC, 3));
    if (!copy) {
      return Error::from_errno("duplicating a descriptor", errno);
    }
    return copy;
  }

 private:
  int fd_ = -1;
};

}  // namespace postern
