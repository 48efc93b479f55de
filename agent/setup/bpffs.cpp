// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/bpffs.h"

#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "agent/datapath/kernel.h"
#include "base/log.h"

namespace postern {

Result<> mount_bpffs() {
  constexpr const char* kPath = "/sys/fs/bpf";
  struct statfs where {};
  if (::statfs(kPath, &where) != 0) {
    return Error::from_errno(std::string("looking at ") + kPath + " (is sysfs mounted on /sys?)", errno);
  }
  if (where.f_type == static_cast<decltype(where.f_type)>(BPF_FS_MAGIC)) {
    return {};
  }
  if (::mount("bpf", kPath, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0) {
    return no_bpffs(kPath, std::string(", and mounting one here failed (") + std::strerror(errno) + ")");
  }
  spdlog::info("mounted the BPF file system on {}", kPath);
  return {};
}

}  // namespace postern
