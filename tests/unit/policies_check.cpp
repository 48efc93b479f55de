// SPDX-License-Identifier: Apache-2.0
//
// `postern policy check`: what it reports of several files together.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/text_files.h"
#include "cli/policy_check.h"
#include "policies_texts.h"

namespace postern {
namespace {

namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

constexpr const char* kTools = "  purpose: x\n  groups: [{name: a, purpose: b, names: [a.example]}]\n";

TEST_CASE("policy check: a wrong file does not hide the right ones", "[policies]") {
  const auto report = check_files(
      {{"bad.yaml", policy_text("  mode: audit\n")},
       {"good.yaml", "apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: good}\nspec: {}\n"}},
      {});
  REQUIRE(report.errors.size() == 1);
  CHECK_THAT(report.errors[0].to_string(), ContainsSubstring("bad.yaml:6:9: spec.mode: "));
  CHECK(report.policies.policies.at("good").image != nullptr);
  CHECK(report.policies.policies.at("agent").image == nullptr);
}

TEST_CASE("policy check: templates among the files serve the policies, before the installed ones", "[policies]") {
  const std::string policy = policy_text("  allow:\n  - templates: [tools]\n");
  const std::string other = template_text("  purpose: x\n  groups: [{name: a, purpose: b, names: [b.example]}]\n");
  const auto both =
      check_files({{"agent.yaml", policy}, {"tools.yaml", template_text(kTools)}}, unlinked_templates(other));
  REQUIRE(both.errors.empty());
  CHECK(both.templates.contains("tools"));
  CHECK(both.policies.policies.at("agent").image->rules[0].target() == "a.example");
  const auto installed = check_files({{"agent.yaml", policy}}, unlinked_templates(other));
  REQUIRE(installed.errors.empty());
  CHECK(installed.policies.policies.at("agent").image->rules[0].target() == "b.example");
  CHECK(check_files({{"agent.yaml", policy}}, {}).errors.size() == 1);
}

TEST_CASE("policy check: warnings", "[policies]") {
  const auto report = check_files(
      {{"empty.yaml", "# nothing\n"}, {"agent.yaml", policy_text("  allow:\n  - cidrs: [169.0.0.0/8]\n")}}, {});
  CHECK(report.errors.empty());
  REQUIRE(report.warnings.size() == 2);
  CHECK_THAT(report.warnings[0].to_string(), Equals("empty.yaml: holds no policy"));
  CHECK_THAT(report.warnings[1].to_string(),
             ContainsSubstring("agent.yaml:7:13: 169.0.0.0/8 does not open 169.254.0.0/16"));
}

TEST_CASE("policy check: a policy that is there twice", "[policies]") {
  const auto report = check_files({{"a.yaml", policy_text("  {}\n")}, {"b.yaml", policy_text("  {}\n")}}, {});
  REQUIRE(report.errors.size() == 1);
  CHECK_THAT(report.errors[0].to_string(),
             ContainsSubstring("b.yaml:1:1: metadata.name: policy agent exists already, at a.yaml:1:1"));
}

constexpr const char* kSelecting = R"(apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  endpointSelector: {matchLabels: {app: agent}}
  egress:
  - toEndpoints: [{matchLabels: {app: api}}]
  - toEndpoints: [{matchLabels: {app: misspelt}}]
)";
constexpr const char* kCluster = R"(apiVersion: postern.dev/v1alpha1
kind: Inventory
pods:
- {name: api-0, namespace: shop, labels: {app: api}, addresses: [10.244.1.5]}
- {name: agent-0, namespace: shop, labels: {app: agent}, addresses: [10.244.1.6]}
)";

TEST_CASE("policy check: selectors resolve against an inventory, and those that mean nobody are told", "[policies]") {
  const auto without = check_files({{"web.yaml", kSelecting}}, {});
  CHECK_FALSE(without.has_inventory);
  CHECK(without.warnings.empty());
  CHECK(without.policies.policies.begin()->second.image->find_cidr(address("10.244.1.5")) == nullptr);
  for (const CheckReport& report : {check_files({{"web.yaml", kSelecting}}, {}, {{"cluster.yaml", kCluster}}),
                                    check_files({{"cluster.yaml", kCluster}, {"web.yaml", kSelecting}}, {})}) {
    CHECK(report.errors.empty());
    CHECK(report.has_inventory);
    CHECK(report.policies.inventory.pod_list.size() == 2);
    const auto* open = report.policies.policies.begin()->second.image->find_cidr(address("10.244.1.5"));
    REQUIRE(open != nullptr);
    CHECK(open->allow.is_all());
    REQUIRE(report.warnings.size() == 1);
    CHECK_THAT(report.warnings[0].to_string(),
               ContainsSubstring("web.yaml:8:19: nothing in the inventory is meant by this: pods app in (misspelt)"));
  }
}

TEST_CASE("policy check: an inventory that is wrong is an error of the check", "[policies]") {
  const auto report = check_files({{"web.yaml", kSelecting}}, {}, {{"cluster.yaml", "kind: Pod\n"}});
  REQUIRE(report.errors.size() == 1);
  CHECK_THAT(report.errors[0].to_string(), Equals("cluster.yaml:1:1: apiVersion: is missing"));
}

/// A folder of its own that goes away with the test.
struct Folder {
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "postern-check-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  void write(const std::string& file, const std::string& text) const { std::ofstream(path / file) << text; }

  fs::path path;
};

int run(const std::vector<std::string>& arguments) {
  CLI::App app;
  int status = -1;
  add_policy_command(app, status);
  std::vector<std::string> reversed{"check", "policy"};
  reversed.insert(reversed.begin(), arguments.rbegin(), arguments.rend());
  app.parse(reversed);
  return status;
}

TEST_CASE("policy check: the exit status", "[policies]") {
  const Folder folder;
  folder.write("agent.yaml", policy_text("  allow:\n  - templates: [tools]\n"));
  folder.write(".agent.yaml.swp.yaml", "half written");
  fs::create_directory(folder.path / "templates");
  folder.write("templates/tools.yaml", template_text(kTools));
  const std::string templates = (folder.path / "templates").string();
  CHECK(run({folder.path.string(), "--templates", templates}) == 0);
  CHECK(run({(folder.path / "agent.yaml").string(), "--templates", templates, "-o", "json"}) == 0);
  folder.write("cluster.yaml", kCluster);
  const std::string cluster = (folder.path / "cluster.yaml").string();
  CHECK(run({folder.path.string(), "--templates", templates, "--inventory", cluster, "-o", "json"}) == 0);
  fs::rename(cluster, folder.path / "cluster.txt");
  CHECK(run({folder.path.string(), "--templates", templates, "--inventory", cluster}) == 1);
  CHECK(run({folder.path.string(), "--templates", templates, "--inventory", (folder.path / "cluster.txt").string()}) ==
        0);
  CHECK(run({folder.path.string(), "--templates", templates, "-o", "sarif"}) == 0);
  CHECK(run({(folder.path / "nothing.yaml").string(), "--templates", templates}) == 1);
  folder.write("bad.yaml", "spec: [");
  CHECK(run({folder.path.string(), "--templates", templates}) == 1);
  CHECK(run({}) == 2);
  CHECK(run({folder.path.string(), "--templates", "/nonexistent"}) == 2);
}

TEST_CASE("text files: limits and errors name the path", "[policies]") {
  const Folder folder;
  folder.write("a.txt", std::string(100, 'x'));
  const std::string path = (folder.path / "a.txt").string();
  CHECK(read_text_file(path, 100)->size() == 100);
  CHECK_THAT(read_text_file(path, 99).error().message(), ContainsSubstring("a.txt is larger than"));
  CHECK_THAT(read_text_file(path + "x", 99).error().message(), ContainsSubstring("a.txtx: No such file"));
  CHECK_FALSE(read_text_file(folder.path.string(), 99));
  CHECK(yaml_files_of(folder.path.string())->empty());
  CHECK(yaml_files_of(path + "x").error().code() == Errc::kNotFound);
}

}  // namespace
}  // namespace postern
