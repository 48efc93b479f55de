// SPDX-License-Identifier: Apache-2.0
//
// postern: the command line.
#include <cstdio>

#include "cli/allowlist.h"
#include "cli/commands.h"
#include "cli/observe.h"
#include "cli/policy_check.h"

int main(int argc, char** argv) {
  postern::CliContext context;
  std::string observer = postern::kObserverSocket;
  CLI::App app{"postern lets a sandbox reach exactly the names on its allowlist, and shows what it tried to reach."};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("postern ") + POSTERN_VERSION);
  app.add_option("--control", context.control_socket, "posternd's socket")->capture_default_str()->envname("POSTERN_CONTROL");
  app.add_option("--observer", observer, "postern-observer's socket")->capture_default_str()->envname("POSTERN_OBSERVER");
  postern::add_status_command(app, context);
  postern::add_sandbox_command(app, context);
  postern::add_reload_command(app, context);
  postern::add_explain_command(app, context);
  postern::add_observe_command(app, observer, context.exit_status);
  postern::add_policy_command(app, context.exit_status);
  postern::add_allowlist_command(app, context.exit_status);
  app.footer("`postern COMMAND --help` says more about each. Policies: docs/policies.md.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;  // 2: a wrong command line, whatever is wrong with it
  }
  return context.exit_status;
}
