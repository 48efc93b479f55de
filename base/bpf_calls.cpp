// SPDX-License-Identifier: Apache-2.0
#include "base/bpf_calls.h"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace postern {

Result<> require_bpf_calls(std::initializer_list<int> commands, const std::string& profile) {
  for (const int command : commands) {
    bpf_attr attr;
    std::memset(&attr, 0, sizeof(attr));
    attr.map_fd = static_cast<std::uint32_t>(-1);
    // The kernel looks at the descriptor first, and no filter says EBADF.
    if (::syscall(__NR_bpf, command, &attr, sizeof(attr)) != 0 && errno != EBADF) {
      return Error::from_errno(
          "bpf(2) is forbidden to this process by a seccomp filter or a security module. In a pod, its container takes "
          "the seccompProfile {type: Localhost, localhostProfile: " +
              profile + "} (on the node: /var/lib/kubelet/seccomp/" + profile +
              "); the runtime's default profile forbids bpf(2)",
          errno);
    }
  }
  return {};
}

}  // namespace postern
