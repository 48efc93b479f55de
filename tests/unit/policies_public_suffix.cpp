// SPDX-License-Identifier: Apache-2.0
//
// A wildcard on a zone where anybody can register names is refused unless the rule says that it knows.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "policies/public_suffix.h"
#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

TEST_CASE("public suffix: which patterns open the names of strangers", "[policies]") {
  const auto [text, zone] = GENERATE(table<std::string, std::string>({
      {"*.co.uk", "co.uk"},
      {"*.github.io", "github.io"},
      {"*.a.*.github.io", "github.io"},
      {"api.*.github.io", "github.io"},
      {"*{1}.github.io", "github.io"},
      {"*.compute.amazonaws.com", "compute.amazonaws.com"},  // the list has its children only
      {"*.s3.amazonaws.com", "s3.amazonaws.com"},
      {"*.GitHub.IO", "github.io"},
      {"*.me.github.io", ""},
      {"github.io", ""},
      {"me.github.io", ""},
      {"*.example.com", ""},
      {"*.example.co.uk", ""},
      {"sts.*.amazonaws.com", ""},
  }));
  INFO(text);
  CHECK(stranger_zone(pattern(text)).value_or("") == zone);
}

TEST_CASE("public suffix: a policy is refused, or says so", "[policies]") {
  CHECK_THAT(
      errors_of("  allow:\n  - names: [\"*.github.io\", \"*.example.com\"]\n"),
      Equals("agent.yaml:7:13: spec.allow[0].names[0]: \"*.github.io\" would open names that anybody can register, "
             "below the public suffix github.io: name the hosts you need, or write risk: user-content in this rule "
             "to open them all"));
  const Policy policy = policy_of("  allow:\n  - names: [\"*.github.io\"]\n    risk: user-content\n");
  CHECK(policy.allow_names.at(0).pattern.text() == "*.github.io");
  CHECK_THAT(errors_of("  allow:\n  - names: [\"*.github.io\"]\n    risk: high\n"),
             ContainsSubstring("spec.allow[0].risk: \"high\" is not known here: use one of user-content"));
  CHECK_THAT(errors_of("  allow:\n  - cidrs: [10.0.0.0/8]\n    risk: user-content\n"),
             ContainsSubstring("is about names, and there are none here: remove it"));
  CHECK_THAT(
      errors_of("  allow: []\n  dns: {allow: [\"*.co.uk\"]}\n"),
      Equals("agent.yaml:7:17: spec.dns.allow[0]: \"*.co.uk\" would open names that anybody can register, below the "
             "public suffix co.uk: name the hosts you need"));
}

TEST_CASE("public suffix: a template is refused, or says so", "[policies]") {
  const auto spec = [](const std::string& entry) {
    return template_text(
        "  purpose: x\n  parameters: [{name: z, purpose: p, default: a}]\n  groups: [{name: a, purpose: b, "
        "names: [" +
        entry + "]}]\n");
  };
  Diagnostics diagnostics;
  read_templates(spec("\"*.github.io\""), "tools.yaml", diagnostics);
  CHECK_THAT(diagnostics.to_error().message(),
             ContainsSubstring("or write risk: user-content in this entry to open them all"));
  CHECK(templates_of(spec("{name: \"*.github.io\", risk: user-content}")).size() == 1);
  // With its own value it is right; another value makes the zone a public suffix.
  CHECK_THAT(
      errors_of("  allow:\n  - templates: [{name: tools, params: {z: github}}]\n", templates_of(spec("\"*.{z}.io\""))),
      Equals("agent.yaml:7:17: spec.allow[0].templates[0]: \"*.github.io\" would open names that anybody can "
             "register, below the public suffix github.io: name the hosts you need, with other values"));
}

}  // namespace
}  // namespace postern
