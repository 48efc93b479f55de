// SPDX-License-Identifier: Apache-2.0
//
// SARIF reports: what code scanners want of them, and paths as URIs.
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "cli/sarif.h"

namespace postern {
namespace {

using nlohmann::json;

TEST_CASE("sarif: a report has what code scanning asks for", "[policies]") {
  auto results = sarif_results({{{"policies/a.yaml", 7, 11}, "spec.allow[0].ports[0]", "\"x\" is not a port"}},
                               {{{"b.yaml", 0, 0}, "", "holds no policy"}});
  results.push_back({SarifRule::kAssertion, {{"t.yaml", 3, 5}, "", "no"}, {{{"a.yaml", 9, 1}, "the rule"}}});
  const json report = sarif_of(results, "/repo");
  CHECK(report["version"] == "2.1.0");
  CHECK(report["$schema"] == "https://json.schemastore.org/sarif-2.1.0.json");
  REQUIRE(report["runs"].size() == 1);
  const json& run = report["runs"][0];
  const json& driver = run["tool"]["driver"];
  CHECK(driver["name"] == "postern");
  CHECK(driver["version"] == POSTERN_VERSION);
  CHECK(run["invocations"][0] == json{{"executionSuccessful", true}});
  REQUIRE(run["results"].size() == 3);
  for (const json& result : run["results"]) {
    const json& rule = driver["rules"][result["ruleIndex"].get<std::size_t>()];
    CHECK(rule["id"] == result["ruleId"]);
    CHECK(rule["defaultConfiguration"]["level"] == result["level"]);
    CHECK_FALSE(rule["shortDescription"]["text"].get<std::string>().empty());
    CHECK(result["locations"].size() == 1);
  }
  const json& error = run["results"][0];
  CHECK(error["level"] == "error");
  CHECK(error["message"]["text"] == "spec.allow[0].ports[0]: \"x\" is not a port");
  CHECK(error["locations"][0]["physicalLocation"] ==
        json{{"artifactLocation", {{"uri", "policies/a.yaml"}, {"uriBaseId", "%SRCROOT%"}}},
             {"region", {{"startLine", 7}, {"startColumn", 11}}}});
  const json& warning = run["results"][1];
  CHECK(warning["level"] == "warning");
  CHECK(warning["locations"][0]["physicalLocation"]["region"] == json{{"startLine", 1}});  // a line is wanted
  const json& related = run["results"][2]["relatedLocations"][0];
  CHECK(related["physicalLocation"]["artifactLocation"]["uri"] == "a.yaml");
  CHECK(related["message"]["text"] == "the rule");
}

TEST_CASE("sarif: what is about no file is a notification, and the run has failed", "[policies]") {
  const json run = sarif_of(sarif_results({{{}, "", "cannot read x.yaml: No such file"}}, {}), "/repo")["runs"][0];
  CHECK(run["results"].empty());
  CHECK(run["results"].is_array());
  CHECK(run["invocations"][0]["executionSuccessful"] == false);
  CHECK(run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"] ==
        "cannot read x.yaml: No such file");
}

TEST_CASE("sarif: paths are escaped, and relative below the folder", "[policies]") {
  CHECK(sarif_uri("a.yaml", "/repo") == "a.yaml");
  CHECK(sarif_uri("./sub/../a.yaml", "/repo/") == "a.yaml");
  CHECK(sarif_uri("/repo/sub/a.yaml", "/repo") == "sub/a.yaml");
  CHECK(sarif_uri("my policies/a:b#1%.yaml", "/repo") == "my%20policies/a%3Ab%231%25.yaml");
  CHECK(sarif_uri("\xc3\xa4.yaml", "/repo") == "%C3%A4.yaml");
  CHECK(sarif_uri("/etc/postern/a.yaml", "/repo") == "file:///etc/postern/a.yaml");
  CHECK(sarif_uri("../other/a.yaml", "/repo") == "file:///other/a.yaml");
  CHECK(sarif_uri("/repository/a.yaml", "/repo") == "file:///repository/a.yaml");
}

}  // namespace
}  // namespace postern
