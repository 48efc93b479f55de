// SPDX-License-Identifier: Apache-2.0
//
// `postern policy check FILE...`: are these policies right, and what do they open? Judges with the
// readers and the compiler that posternd uses. Asks no daemon and needs no privilege, so that it
// runs in a repository's CI.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/source_files.h"
#include "policies/policy_set.h"

namespace postern {

/// What a check found, in the order of the files.
struct CheckReport : FileFindings {
  PolicySet policies;          ///< Those without an image are wrong.
  TemplateSet templates;       ///< Allowlist templates among the checked files.
  bool has_inventory = false;  ///< Of `policies`: somebody said what the cluster is.
};

/// Checks policy, template, inventory and test files; judges no assertion. Policies may use `known` templates and the
/// checked ones, which come first; selectors resolve against `cluster` and the checked inventories together.
/// @param cluster  files that are inventories whatever is in them, as kubectl prints them.
CheckReport check_files(const std::vector<SourceText>& files,
                        const std::vector<AllowlistTemplate>& known,
                        const std::vector<SourceText>& cluster = {});

/// Adds `policy check` and `policy test` to the application. Check leaves 0 in exit_status when all is right, 1 for
/// errors in files, 2 when the command line is wrong.
void add_policy_command(CLI::App& app, int& exit_status);

}  // namespace postern
