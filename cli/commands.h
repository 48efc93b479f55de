// SPDX-License-Identifier: Apache-2.0
//
// The commands that talk to posternd. Each adds itself to the application; what it does runs while
// the command line is parsed, and leaves its outcome in the context.
#pragma once

#include <CLI/CLI.hpp>

#include "cli/control_client.h"

namespace postern {

void add_status_command(CLI::App& app, CliContext& context);
void add_sandbox_command(CLI::App& app, CliContext& context);
void add_reload_command(CLI::App& app, CliContext& context);
void add_explain_command(CLI::App& app, CliContext& context);

}  // namespace postern
