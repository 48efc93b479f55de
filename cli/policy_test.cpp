// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_test.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "cli/policy_check.h"
#include "cli/policy_report.h"

namespace postern {
namespace {

namespace fs = std::filesystem;

struct TestOptions {
  std::vector<std::string> paths;
  std::string templates;
  std::string output = "text";
};

/// Paths in a test are from its own folder.
std::string beside(const Place& test, const std::string& path) {
  return (fs::path(test.file).parent_path() / path).lexically_normal().string();
}

/// What a test names. Whatever cannot be read is an error at the line that names it.
std::vector<SourceText> read_named(const std::vector<WrittenPath>& paths, const char* field, TestReport& report) {
  std::vector<SourceText> sources;
  for (const WrittenPath& each : paths) {
    Diagnostics unreadable;
    std::ranges::move(read_sources({beside(each.place, each.path)}, unreadable), std::back_inserter(sources));
    for (const Diagnostic& error : unreadable.errors()) {
      report.errors.push_back({each.place, field, error.message});
    }
  }
  return sources;
}

std::vector<AllowlistTemplate> read_templates_of(const PolicyTest& test,
                                                 const std::string& otherwise,
                                                 TestReport& report) {
  const std::string folder = test.templates ? beside(test.templates->place, test.templates->path) : otherwise;
  Diagnostics diagnostics;
  auto templates = read_template_folder(folder, diagnostics);
  report.take(diagnostics);
  if (!templates) {
    report.errors.push_back(
        {test.templates ? test.templates->place : test.place, "templates", templates.error().message()});
    return {};
  }
  return std::move(*templates);
}

void run(const PolicyTest& test, const std::string& templates, TestReport& report) {
  const std::size_t before = report.errors.size();
  const auto policies = read_named(test.policies, "policies", report);
  const auto cluster = read_named(test.inventory, "inventory", report);
  const auto known = read_templates_of(test, templates, report);
  if (report.errors.size() > before) {
    return;
  }
  CheckReport checked = check_files(policies, known, cluster);
  std::ranges::move(checked.errors, std::back_inserter(report.errors));
  std::ranges::move(checked.warnings, std::back_inserter(report.warnings));
  if (report.errors.size() > before) {
    return;  // posternd would refuse them: there is nothing to judge by
  }
  for (const PolicyTestCase& each : test.cases) {
    report.cases.push_back({each, judge_case(each, checked.policies)});
  }
}

/// Every failure, with the rules that it is because of. A test that cannot be judged fails once.
std::vector<SarifResult> failures_of(const TestReport& report) {
  std::vector<SarifResult> failures;
  for (const auto& [test, result] : report.cases) {
    if (!result.problem.empty()) {
      failures.push_back({SarifRule::kAssertion, {test.place, test.field, result.problem}, {}});
      continue;
    }
    for (std::size_t i = 0; i < test.assertions.size(); ++i) {
      if (result.results[i].holds) {
        continue;
      }
      SarifResult failure{SarifRule::kAssertion, failure_of(test.assertions[i], result.results[i], result), {}};
      for (const Rule* rule : result.results[i].rules) {
        failure.related.emplace_back(rule->origin.place, rule->to_string());
      }
      failures.push_back(std::move(failure));
    }
  }
  return failures;
}

std::size_t failed_of(const TestedCase& tested) {
  return static_cast<std::size_t>(std::ranges::count(tested.result.results, false, &AssertionResult::holds));
}

void print_text(const TestReport& report) {
  for (const Diagnostic& error : report.errors) {
    std::fprintf(stderr, "%s\n", error.to_string().c_str());
  }
  for (const Diagnostic& warning : report.warnings) {
    std::fprintf(stderr, "warning: %s\n", warning.to_string().c_str());
  }
  for (const SarifResult& failure : failures_of(report)) {
    std::fprintf(stderr, "%s\n", failure.found.to_string().c_str());
  }
  for (const TestedCase& tested : report.cases) {
    const std::size_t failed = failed_of(tested);
    const std::string all = plural(tested.test.assertions.size(), "assertion");
    std::printf("%s  %s:%d  %s (%s)\n", failed == 0 ? "ok  " : "FAIL", tested.test.place.file.c_str(),
                tested.test.place.line, printable(tested.test.name).c_str(),
                failed == 0 ? all.c_str() : (std::to_string(failed) + " of " + all + " failed").c_str());
  }
  std::printf("%s, %zu failed%s.\n", plural(report.assertions(), "assertion").c_str(), report.failed(),
              report.errors.empty() ? "" : (", and " + plural(report.errors.size(), "error") + " in files").c_str());
}

nlohmann::json json_of(const TestedCase& tested) {
  auto assertions = nlohmann::json::array();
  for (std::size_t i = 0; i < tested.test.assertions.size(); ++i) {
    const Assertion& assertion = tested.test.assertions[i];
    const AssertionResult& result = tested.result.results[i];
    auto rules = nlohmann::json::array();
    for (const Rule* rule : result.rules) {
      rules.push_back({{"rule", rule->to_string()},
                       {"policy", rule->owner->title},
                       {"file", rule->origin.place.file},
                       {"line", rule->origin.place.line}});
    }
    assertions.push_back({{"asserts", verb_of(assertion.kind)},
                          {"target", assertion.text},
                          {"line", assertion.place.line},
                          {"column", assertion.place.column},
                          {"holds", result.holds},
                          {"verdict", result.verdict},
                          {"rules", std::move(rules)}});
  }
  return {{"name", tested.test.name},
          {"file", tested.test.place.file},
          {"line", tested.test.place.line},
          {"policies", tested.result.policies},
          {"assertions", std::move(assertions)}};
}

void print(const TestReport& report, const std::string& output) {
  if (output == "text") {
    print_text(report);
  } else if (output == "sarif") {
    auto results = sarif_results(report.errors, report.warnings);
    std::ranges::move(failures_of(report), std::back_inserter(results));
    print_sarif(results);
  } else {
    nlohmann::json out{{"ok", report.ok()},
                       {"assertions", report.assertions()},
                       {"failed", report.failed()},
                       {"errors", json_of(report.errors)},
                       {"warnings", json_of(report.warnings)},
                       {"tests", nlohmann::json::array()}};
    for (const TestedCase& tested : report.cases) {
      out["tests"].push_back(json_of(tested));
    }
    print_json(out);
  }
}

int test(const TestOptions& options) {
  if (options.paths.empty()) {
    std::fprintf(stderr, "postern: name at least one test file or folder: postern policy test FILE...\n");
    return 2;
  }
  const std::string templates = options.templates.empty() ? default_template_folder() : options.templates;
  Diagnostics unreadable;
  std::vector<SourceText> files;
  for (const std::string& path : options.paths) {
    std::error_code failed;
    const bool folder = fs::is_directory(path, failed);
    for (SourceText& source : read_sources({path}, unreadable)) {
      if (!folder || kind_of(source) == "PolicyTest") {  // policies and inventories may lie beside their tests
        files.push_back(std::move(source));
      }
    }
  }
  if (files.empty() && !unreadable.failed()) {
    unreadable.error({}, "", "there is no PolicyTest in " + options.paths.front());
  }
  TestReport report = run_policy_tests(files, templates);
  report.take(unreadable);
  print(report, options.output);
  return report.ok() ? 0 : 1;
}

}  // namespace

std::size_t TestReport::assertions() const {
  std::size_t number = 0;
  for (const TestedCase& tested : cases) {
    number += tested.test.assertions.size();
  }
  return number;
}

std::size_t TestReport::failed() const {
  std::size_t number = 0;
  for (const TestedCase& tested : cases) {
    number += failed_of(tested);
  }
  return number;
}

TestReport run_policy_tests(const std::vector<SourceText>& files, const std::string& templates) {
  TestReport report;
  for (const SourceText& source : files) {
    Diagnostics of_file;
    const auto tests = read_policy_tests(source.text, source.file, of_file);
    report.take(of_file);
    if (of_file.failed()) {
      continue;
    }
    for (const PolicyTest& each : tests) {
      run(each, templates, report);
    }
  }
  return report;
}

void add_policy_test_command(CLI::App& policy, int& exit_status) {
  auto options = std::make_shared<TestOptions>();
  auto* command = policy.add_subcommand("test", "Do the assertions beside the policies hold");
  command->add_option("FILE", options->paths, "PolicyTest files, or folders with such files among others");
  command->add_option("--templates", options->templates, kTemplatesHelp);
  command->add_option("-o,--output", options->output, "text, json or sarif")
      ->check(CLI::IsMember({"text", "json", "sarif"}))
      ->capture_default_str();
  command->footer(
      "A PolicyTest names policies and says what sandboxes may reach under them (allows, denies) and look up "
      "(resolves, refuses).\nA failure is a line, FILE:LINE:COLUMN, with what was asserted and the rule that says "
      "otherwise. Asks no name server.\nExit status: 0 all assertions hold, 1 one does not or a file has errors, 2 a "
      "wrong command line.\n\nExamples:\n  postern policy test tests/\n"
      "  postern policy test agents_test.yaml -o sarif > results.sarif");
  command->callback([options, &exit_status] { exit_status = test(*options); });
}

}  // namespace postern
