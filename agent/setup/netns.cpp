// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/netns.h"

#include <fcntl.h>
#include <sched.h>

#include <cerrno>

namespace postern {

Result<Netns> Netns::make() {
  constexpr const char* kOwn = "/proc/thread-self/ns/net";
  Netns made;
  made.home_.reset(::open(kOwn, O_RDONLY | O_CLOEXEC));
  if (!made.home_ || ::unshare(CLONE_NEWNET) != 0) {
    return Error::from_errno("making a network namespace (this takes CAP_SYS_ADMIN)", errno);
  }
  made.there_.reset(::open(kOwn, O_RDONLY | O_CLOEXEC));
  if (!made.there_) {
    return Error::from_errno("opening a network namespace", errno);
  }
  POSTERN_RETURN_IF_ERROR(enter(made.home_));
  return made;
}

Result<> Netns::enter(const Fd& netns) {
  if (::setns(netns.get(), CLONE_NEWNET) != 0) {
    return Error::from_errno("entering a network namespace", errno);
  }
  return {};
}

}  // namespace postern
