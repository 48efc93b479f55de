// SPDX-License-Identifier: Apache-2.0
//
// How a daemon that faces sandboxes gives up being root, before it starts a thread: capabilities
// belong to a thread.
#pragma once

#include <sys/types.h>

#include "base/result.h"

namespace postern {

/// Becomes `uid` and gid `gid` (if this is root), without groups, capabilities or a way back.
/// @return denied if something is left.
Result<> drop_privileges(uid_t uid, gid_t gid);

/// Gives up every capability for good, and stays who it is: root's files are still its own, nothing else is.
Result<> drop_capabilities();

}  // namespace postern
