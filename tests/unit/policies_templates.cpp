// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

constexpr const char* kTools = R"(  purpose: test
  parameters:
  - {name: region, purpose: where, default: "*"}
  groups:
  - name: sts
    purpose: credentials
    names: ["sts.{region}.amazonaws.com", sts.amazonaws.com]
  - name: db
    purpose: tables
    names: ["db.{region}.example.com"]
    cidrs: [192.0.2.0/24]
    ports: [5432]
)";

TemplateSet tools() { return templates_of(template_text(kTools)); }

std::vector<std::string> names_of(const Policy& policy) {
  std::vector<std::string> names;
  for (const NameRule& rule : policy.allow_names) {
    names.push_back(rule.pattern.text() + " " + rule.ports.to_string());
  }
  return names;
}

TEST_CASE("templates: a name alone takes every group with the defaults", "[policies]") {
  const Policy policy = policy_of("  allow:\n  - templates: [tools]\n", tools());
  CHECK(names_of(policy) == std::vector<std::string>{"sts.*.amazonaws.com 443/tcp", "sts.amazonaws.com 443/tcp",
                                                     "db.*.example.com 5432/tcp"});
  REQUIRE(policy.allow_cidrs.size() == 1);
  CHECK(policy.allow_cidrs[0].ports.to_string() == "5432/tcp");
}

TEST_CASE("templates: groups and parameters narrow it", "[policies]") {
  const Policy policy =
      policy_of("  allow:\n  - templates: [{name: tools, groups: [sts], params: {region: us-west-2}}]\n", tools());
  CHECK(names_of(policy) ==
        std::vector<std::string>{"sts.us-west-2.amazonaws.com 443/tcp", "sts.amazonaws.com 443/tcp"});
  CHECK(policy.allow_cidrs.empty());
}

TEST_CASE("templates: a rule's origin names the template's line and the reference's", "[policies]") {
  const Policy policy = policy_of("  allow:\n  - templates: [tools]\n", tools());
  CHECK(policy.allow_names[0].origin.to_string() == "tools.yaml:13:13 (template tools at agent.yaml:7:17)");
}

TEST_CASE("templates: two references, and names beside them", "[policies]") {
  const Policy policy = policy_of(R"(  allow:
  - templates:
    - {name: tools, groups: [sts], params: {region: us-east-1}}
    - {name: tools, groups: [sts], params: {region: us-west-2}}
    names: [a.example]
    ports: [8443]
)",
                                  tools());
  const auto names = names_of(policy);
  CHECK(names.size() == 5);
  CHECK(names.back() == "a.example 8443/tcp");  // the template keeps its own ports
}

TEST_CASE("templates: a wrong reference is reported where it stands", "[policies]") {
  const auto [reference, message] = GENERATE(table<std::string, std::string>({
      {"tool", "agent.yaml:7:17: spec.allow[0].templates[0]: there is no template \"tool\": there is tools"},
      {"{name: tools, groups: [s3]}",
       "agent.yaml:7:40: spec.allow[0].templates[0].groups[0]: template tools has no group \"s3\": it has db, sts"},
      {"{name: tools, groups: []}",
       "agent.yaml:7:39: spec.allow[0].templates[0].groups: names none: name groups, or remove the field for "
       "all of them"},
      {"{name: tools, groups: }",
       "agent.yaml:7:39: spec.allow[0].templates[0].groups: names none: name groups, or remove the field for "
       "all of them"},
      {"{name: tools, params: {zone: a}}",
       "agent.yaml:7:46: spec.allow[0].templates[0].params.zone: template tools has no parameter \"zone\": it has "
       "region"},
      {"{name: tools, params: {region: a.b}}",
       "agent.yaml:7:48: spec.allow[0].templates[0].params.region: \"a.b\" is not one label of a name: write a word of "
       "letters, digits and hyphens, or \"*\" for any"},
      {"{name: tools, params: {region: \"{region}\"}}",
       "agent.yaml:7:48: spec.allow[0].templates[0].params.region: \"{region}\" is not one label of a name: write a "
       "word of letters, digits and hyphens, or \"*\" for any"},
      {"{name: tools, group: [sts]}",
       "agent.yaml:7:31: spec.allow[0].templates[0]: unknown field \"group\": did you mean \"groups\"?"},
      {"[tools]", "agent.yaml:7:17: spec.allow[0].templates[0]: expected a single value, found a list"},
  }));
  CHECK_THAT(errors_of("  allow:\n  - templates: [" + reference + "]\n", tools()), Equals(message));
}

TEST_CASE("templates: ports do not go with a template", "[policies]") {
  CHECK_THAT(errors_of("  allow:\n  - templates: [tools]\n    ports: [443]\n", tools()),
             ContainsSubstring("templates bring their own ports"));
}

TEST_CASE("templates: a wrong template is reported without a policy that uses it", "[policies]") {
  const auto [spec, message] = GENERATE(table<std::string, std::string>({
      {"  purpose: x\n  groups:\n  - {name: a, purpose: b, names: [\"x.{zone}.example\"]}\n",
       "parameter {zone} is not declared in spec.parameters"},
      {"  purpose: x\n  groups:\n  - {name: a, purpose: b, names: [\"x.{zone\"]}\n", "\"{\" without \"}\""},
      {"  purpose: x\n  groups:\n  - {name: a, purpose: b, names: [\"*.com\"]}\n", "whole top-level domain"},
      {"  purpose: x\n  groups:\n  - {name: a, purpose: b}\n", "names no destination"},
      {"  purpose: x\n  groups:\n  - {purpose: b, names: [a.example]}\n", "name: is missing"},
      {"  purpose: x\n  groups:\n  - {name: a, names: [a.example]}\n", "purpose: is missing"},
      {"  purpose: x\n", "spec.groups: is missing"},
      {"  groups: []\n", "spec.purpose: is missing"},
      {"  purpose: x\n  parameters: [{name: r, purpose: p}]\n  groups: []\n", "default: is missing"},
      {"  purpose: x\n  parameters: [{name: r, purpose: p, default: a}, {name: r, purpose: p, default: b}]\n  groups: "
       "[]\n",
       "parameter \"r\" is there twice"},
      {"  purpose: x\n  parameters: [{name: r, purpose: p, default: a.b}]\n  groups:\n"
       "  - {name: a, purpose: b, names: [\"x{r}.example\"], cidrs: [10.0.0.1/8]}\n",
       "has bits set behind its length"},
  }));
  Diagnostics diagnostics;
  read_templates(template_text(spec), "tools.yaml", diagnostics);
  REQUIRE(diagnostics.failed());
  CHECK_THAT(diagnostics.to_error().message(), ContainsSubstring(message));
  CHECK_THAT(diagnostics.to_error().message(), ContainsSubstring("tools.yaml:"));
}

TEST_CASE("templates: a value that does not fit the label it stands in", "[policies]") {
  const TemplateSet inside =
      templates_of(template_text("  purpose: x\n  parameters: [{name: r, purpose: p, default: one}]\n  groups:\n"
                                 "  - {name: a, purpose: b, names: [\"pre-{r}-post.example.com\"]}\n"));
  CHECK(policy_of("  allow:\n  - templates: [{name: tools, params: {r: two}}]\n", inside).allow_names[0].pattern ==
        pattern("pre-two-post.example.com"));
  CHECK_THAT(errors_of("  allow:\n  - templates: [{name: tools, params: {r: \"*\"}}]\n", inside),
             ContainsSubstring("\"*\" must be a whole label"));
}

}  // namespace
}  // namespace postern
