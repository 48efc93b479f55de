// SPDX-License-Identifier: Apache-2.0
//
// A new network namespace without a name: for a thread that goes in and comes back.
//
// /proc/sys/net and new sockets are those of the namespace that the thread is in. Thread: the one
// that made it; it must be the process's only one, since a namespace belongs to a thread.
#pragma once

#include "base/fd.h"

namespace postern {

class Netns {
 public:
  /// Makes one. The thread is where it was afterwards. @return denied: CAP_SYS_ADMIN is missing.
  static Result<Netns> make();

  int fd() const { return there_.get(); }

  /// Does the work inside, and returns what it returned.
  template <typename Work>
  auto inside(const Work& work) const -> decltype(work()) {
    POSTERN_RETURN_IF_ERROR(enter(there_));
    auto done = work();
    POSTERN_RETURN_IF_ERROR(enter(home_));
    return done;
  }

 private:
  static Result<> enter(const Fd& netns);

  Fd home_;
  Fd there_;
};

}  // namespace postern
