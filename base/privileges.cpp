// SPDX-License-Identifier: Apache-2.0
#include "base/privileges.h"

#include <grp.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace postern {

Result<> drop_privileges(uid_t uid, gid_t gid) {
  if (::geteuid() == 0 &&
      (::setgroups(0, nullptr) != 0 || ::setresgid(gid, gid, gid) != 0 || ::setresuid(uid, uid, uid) != 0)) {
    return Error::from_errno("becoming an unprivileged user", errno);
  }
  POSTERN_RETURN_IF_ERROR(drop_capabilities());
  if (uid != 0 && ::setuid(0) == 0) {
    return Error(Errc::kDenied, "root could be regained after dropping it");
  }
  return {};
}

Result<> drop_capabilities() {
  const std::unique_ptr<std::remove_pointer_t<cap_t>, decltype(&cap_free)> none(cap_init(), &cap_free);
  if (cap_set_proc(none.get()) != 0) {
    return Error::from_errno("dropping capabilities", errno);
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return Error::from_errno("giving up new privileges", errno);
  }
  return {};
}

}  // namespace postern
