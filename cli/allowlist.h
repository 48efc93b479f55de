// SPDX-License-Identifier: Apache-2.0
//
// `postern allowlist`: templates looked at, put together, written in other kinds, checked and compared;
// and the hosts this machine's package managers use, found out. Asks no daemon and needs no privilege.
#pragma once

#include <CLI/CLI.hpp>

namespace postern {

/// Adds the command with all its commands to the application; each leaves its outcome in exit_status: 0 it
/// worked, 1 it did not (or `diff`: they differ), 2 a wrong command line, 3 it worked with losses.
void add_allowlist_command(CLI::App& app, int& exit_status);

}  // namespace postern
