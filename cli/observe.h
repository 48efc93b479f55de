// SPDX-License-Identifier: Apache-2.0
//
// `postern observe`: what sandboxes tried, from postern-observer (or any server of Hubble's API).
#pragma once

#include <CLI/CLI.hpp>

namespace postern {

/// Adds the command; its outcome goes to `exit_status`.
void add_observe_command(CLI::App& app, int& exit_status);

}  // namespace postern
