// SPDX-License-Identifier: Apache-2.0
//
// `postern-dns --check`: the probe of a supervisor that can only run a command (a kubelet). Asks the keeper
// that runs over its socket, as any peer, and waits kCheckS at most.
#pragma once

#include <string>

#include "base/result.h"

namespace postern {

inline constexpr int kCheckS = 3;

/// @param with_sockets also wants it to have sockets, that is to answer sandboxes.
/// @return ok, or in one line what is wrong and what to do.
Result<> check_keeper(const std::string& socket_path, bool with_sockets);

}  // namespace postern
