// SPDX-License-Identifier: Apache-2.0
//
// `postern policy test`: the files that a test names, the exit status, and the example that is shipped.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/policy_check.h"
#include "cli/policy_test.h"

namespace postern {
namespace {

namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;

constexpr const char* kPolicy = R"(apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: agent}
spec: {allow: [{names: [api.example.com]}]}
)";

std::string test_of(const std::string& assertions, const std::string& policies = "policies/agent.yaml") {
  return "apiVersion: postern.dev/v1alpha1\nkind: PolicyTest\npolicies: [" + policies +
         "]\ntests:\n- name: it\n  policy: agent\n  " + assertions + "\n";
}

/// A folder of its own that goes away with the test: policies/ and tests in it.
class TestFolder {
 public:
  TestFolder() {
    std::string pattern = (fs::temp_directory_path() / "postern-test-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
    fs::create_directory(path_ / "policies");
    write("policies/agent.yaml", kPolicy);
  }
  ~TestFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  std::string write(const std::string& file, const std::string& text) const {
    std::ofstream(path_ / file) << text;
    return (path_ / file).string();
  }
  std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

int run(std::vector<std::string> arguments) {
  CLI::App app;
  int status = -1;
  add_policy_command(app, status);
  arguments.insert(arguments.begin(), {"policy", "test"});
  std::ranges::reverse(arguments);
  app.parse(arguments);
  return status;
}

TEST_CASE("policy test: policies are found from the test's own folder", "[policies]") {
  const TestFolder folder;
  const std::string file = folder.path() + "/agent_test.yaml";
  const TestReport report = run_policy_tests({{file, test_of("allows: [api.example.com, other.example.com]")}}, "");
  CHECK(report.errors.empty());
  CHECK(report.assertions() == 2);
  CHECK(report.failed() == 1);
  CHECK_FALSE(report.ok());
  CHECK(report.cases.at(0).result.places.at(0).file == folder.path() + "/policies/agent.yaml");
}

TEST_CASE("policy test: what cannot be read is an error at the line that names it", "[policies]") {
  const TestFolder folder;
  const std::string file = folder.path() + "/agent_test.yaml";
  const TestReport report = run_policy_tests({{file, test_of("allows: [api.example.com]", "nothing.yaml")}}, "");
  REQUIRE(report.errors.size() == 1);
  CHECK_THAT(report.errors[0].to_string(), ContainsSubstring("agent_test.yaml:3:12: policies: cannot read"));
  CHECK(report.cases.empty());
  CHECK_FALSE(report.ok());
}

TEST_CASE("policy test: a policy with errors judges nothing", "[policies]") {
  const TestFolder folder;
  folder.write("policies/bad.yaml", "kind: [\n");
  const TestReport report =
      run_policy_tests({{folder.path() + "/t.yaml", test_of("denies: [other.example.com]", "policies")}}, "");
  CHECK(report.errors.size() == 1);
  CHECK(report.cases.empty());
}

TEST_CASE("policy test: the exit status", "[policies]") {
  const TestFolder folder;
  const std::string good = folder.write("good.yaml", test_of("denies: [\"*.workers.dev\"]"));
  CHECK(run({good}) == 0);
  CHECK(run({folder.path()}) == 0);  // what is no PolicyTest is left alone in a folder
  CHECK(run({good, "-o", "json"}) == 0);
  CHECK(run({folder.path() + "/policies"}) == 1);  // and where there is none, nothing was tested
  CHECK(run({folder.path() + "/nothing.yaml"}) == 1);
  const std::string bad = folder.write("wrong.yaml", test_of("denies: [api.example.com]"));
  CHECK(run({bad}) == 1);
  CHECK(run({folder.path(), "-o", "sarif"}) == 1);
  CHECK(run({}) == 2);
}

TEST_CASE("policy test: the example holds, and each of its policies is right", "[policies]") {
  const std::string example = POSTERN_SOURCE_DIR "/examples/cluster";
  Diagnostics unreadable;
  const auto files = read_sources({example}, unreadable);
  REQUIRE(files.size() == 4);
  const TestReport report = run_policy_tests({*std::ranges::find(files, "PolicyTest", kind_of)}, "");
  for (const Diagnostic& error : report.errors) {
    FAIL_CHECK(error.to_string());
  }
  CHECK(report.warnings.empty());
  CHECK(report.assertions() > 20);
  CHECK(report.failed() == 0);
}

TEST_CASE("policy check: a test beside the policies is read, not judged", "[policies]") {
  const std::string wrong = test_of("denies: [api.example.com]");
  CHECK(check_files({{"agent.yaml", kPolicy}, {"t.yaml", wrong}}, {}).errors.empty());
  CHECK(check_files({{"t.yaml", test_of("denies: [a.example]\n  denise: [b.example]")}}, {}).errors.size() == 1);
}

}  // namespace
}  // namespace postern
