// SPDX-License-Identifier: Apache-2.0
//
// `postern-setup remove`: takes the gate off this machine and leaves nothing of Postern behind.
//
// What enforces outlives every process, on purpose; so stopping the daemons removes nothing, and this does: the
// programs on interfaces, the pins, the steering link, the files of /run and the installed seccomp profiles. It
// refuses while a daemon answers, which would put things back.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace postern {

struct RemovalOptions {
  std::string run_dir = "/run/postern";
  std::string pin_dir = "/sys/fs/bpf/postern";
  std::string link_name = "postern-steer";
  std::string profiles;      ///< Folder of installed seccomp profiles; empty: none to remove.
  std::uint32_t wait_s = 0;  ///< For daemons that are about to end.
};

/// Again does nothing. @return exists: a daemon runs. After another error the rest is still to do: run it again.
Result<> remove_everything(const RemovalOptions& options);

}  // namespace postern
