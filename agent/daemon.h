// SPDX-License-Identifier: Apache-2.0
//
// The daemon's parts on its one loop, from start to end.
#pragma once

#include <string>

#include "agent/config.h"

namespace postern {

/// Runs until SIGTERM or SIGINT. The gate stays when it ends.
/// @return what kept it from starting, with what to do about it.
Result<> run_daemon(Config config, const std::string& observer_user);

}  // namespace postern
