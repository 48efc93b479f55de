// SPDX-License-Identifier: Apache-2.0
//
// What the commands of `postern allowlist` share. Internal to cli/allowlist*.cpp.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "policies/allowlist_template.h"
#include "policies/diagnostics.h"
#include "policies/model.h"

namespace postern {

void add_allowlist_list(CLI::App& parent, int& exit_status);
void add_allowlist_show(CLI::App& parent, int& exit_status);
void add_allowlist_compose(CLI::App& parent, int& exit_status);
void add_allowlist_render(CLI::App& parent, int& exit_status);
void add_allowlist_import(CLI::App& parent, int& exit_status);
void add_allowlist_lint(CLI::App& parent, int& exit_status);
void add_allowlist_diff(CLI::App& parent, int& exit_status);
void add_allowlist_discover(CLI::App& parent, int& exit_status);

/// The linked templates of a folder that --templates names, or of the default one when it names none. Empty: they
/// cannot be used, and stderr says why.
std::optional<TemplateSet> load_templates(const std::string& option);

/// Each error on a line of stderr. @return are there any?
bool print_errors(const Diagnostics& diagnostics);

/// Would posternd take these native policies? Else stderr says why not: a rule that cannot be kept in one policy.
bool reads_back(const std::string& yaml);

/// Writes a native policy that reads back to stdout. @return the exit status; 1 with the reason on stderr.
int print_policy(const Policy& policy);

/// "12 names", "1 name".
std::string counted(std::size_t number, const std::string& word);

/// An option --templates, and one -o with these words, of which the first is the default.
void add_templates_option(CLI::App& command, std::string& folder);
void add_output_option(CLI::App& command, std::string& output, const std::vector<std::string>& words);

/// --server: who is asked where names are looked up.
void add_server_option(CLI::App& command, std::string& server);

/// --param NAME=VALUE, as often as there are values; "NAME=A,B" is two of them.
using ParameterValues = std::map<std::string, std::vector<std::string>>;
void add_param_option(CLI::App& command, std::vector<std::string>& given);
/// Empty: one of them is not NAME=VALUE, which is said on stderr.
std::optional<ParameterValues> read_params(const std::vector<std::string>& given);

}  // namespace postern
