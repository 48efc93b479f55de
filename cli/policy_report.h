// SPDX-License-Identifier: Apache-2.0
//
// What `postern policy check` prints: a table for people, JSON and SARIF for programs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/policy_check.h"
#include "cli/sarif.h"

namespace postern {

/// What was asked, for the report to say.
struct CheckScope {
  std::string templates_from;  ///< Folder of the templates; empty: none are installed.
  std::size_t files = 0;
};

/// Errors and warnings to stderr, what the policies open to stdout.
void print_check_text(const CheckReport& report, const CheckScope& scope);
void print_check_json(const CheckReport& report, const CheckScope& scope);
/// Only what was found; SARIF has no place for what is right. Paths are relative to the working folder.
void print_sarif(const std::vector<SarifResult>& results);

/// A list of {file, line, column, field, message}.
nlohmann::json json_of(const std::vector<Diagnostic>& diagnostics);
/// To stdout. Text of a file may be no UTF-8; a report about it comes out all the same.
void print_json(const nlohmann::json& json);
/// "1 file", "2 policies"
std::string plural(std::size_t number, const std::string& word);

}  // namespace postern
