// SPDX-License-Identifier: Apache-2.0
//
// `postern policy test FILE...`: do the assertions that are kept beside the policies hold? Needs no daemon,
// no privilege and no network: judged with the readers, the compiler and explain, as posternd judges.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/source_files.h"
#include "policies/policy_test.h"

namespace postern {

struct TestedCase {
  PolicyTestCase test;
  CaseResult result;
};

/// What the tests of several files came to, in their order.
struct TestReport : FileFindings {
  std::vector<TestedCase> cases;

  std::size_t assertions() const;
  std::size_t failed() const;
  bool ok() const { return errors.empty() && failed() == 0; }
};

/// Runs the tests of files. Reads what they name: policies, templates, inventories, from each file's own folder.
/// @param templates  folder for tests that name none of their own.
TestReport run_policy_tests(const std::vector<SourceText>& files, const std::string& templates);

/// Adds `policy test` to `policy`. Leaves 0 in exit_status when all assertions hold, 1 when one does not or
/// a file has errors, 2 when the command line is wrong.
void add_policy_test_command(CLI::App& policy, int& exit_status);

}  // namespace postern
