// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

TEST_CASE("policy set: a name may be there once, over all files", "[policies]") {
  Diagnostics diagnostics;
  PolicySet set;
  add_policies(policy_text("  {}\n"), "a.yaml", {}, set, diagnostics);
  REQUIRE_FALSE(diagnostics.failed());
  CHECK(set.policies.at("agent").image != nullptr);
  CHECK(set.policies.at("agent").place.to_string() == "a.yaml:1:1");
  add_policies(policy_text("  {}\n"), "b.yaml", {}, set, diagnostics);
  CHECK_THAT(diagnostics.to_error().message(),
             Equals("b.yaml:1:1: metadata.name: policy agent exists already, at a.yaml:1:1: rename or remove one"));

  TemplateSet templates;
  Diagnostics others;
  const std::string text = template_text("  purpose: x\n  allow: [{group: a, purpose: b, names: [a.example]}]\n");
  add_templates(text, "t.yaml", templates, others);
  add_templates(text, "u.yaml", templates, others);
  CHECK_THAT(others.to_error().message(),
             ContainsSubstring("u.yaml:1:1: metadata.name: template tools exists already, at t.yaml:1:1"));
}

TEST_CASE("policy set: nothing is compiled behind an error", "[policies]") {
  Diagnostics diagnostics;
  PolicySet set;
  add_policies(policy_text("  mode: audit\n"), "a.yaml", {}, set, diagnostics);
  CHECK(diagnostics.failed());
  CHECK(set.policies.at("agent").image == nullptr);
}

}  // namespace
}  // namespace postern
