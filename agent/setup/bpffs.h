// SPDX-License-Identifier: Apache-2.0
//
// The BPF file system, in which posternd pins the gate. Mounting it takes root, which posternd is not.
#pragma once

#include "base/result.h"

namespace postern {

/// Mounts it on /sys/fs/bpf unless it is there. It stays, whatever fails afterwards: others may have
/// pinned something by then.
Result<> mount_bpffs();

}  // namespace postern
