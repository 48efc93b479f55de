// SPDX-License-Identifier: Apache-2.0
//
// Text as a file of allowlist templates, linked; and what is taken, put into a policy that selects it.
#include "policies/template_reader.h"

#include "policies/policy_reader.h"
#include "policies/template_links.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  if (size > 64 * 1024) {
    return 0;
  }
  Diagnostics diagnostics;
  auto templates = read_templates({reinterpret_cast<const char*>(data), size}, "fuzz.yaml", diagnostics);
  // Also after errors: whoever checks files links what could be read, to report more at once.
  const TemplateSet set = link_templates(std::move(templates), diagnostics);
  FUZZ_REQUIRE(diagnostics.errors().size() <= Diagnostics::kMax);
  for (const Diagnostic& error : diagnostics.errors()) {
    FUZZ_REQUIRE(error.to_string().find('\n') == std::string::npos);
  }
  if (diagnostics.failed()) {
    return 0;
  }
  std::size_t entries = 0;
  for (const auto& [name, object] : set) {
    entries += object.entries.size();
    const std::string policy =
        "apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: fuzz}\nspec:\n  allow:\n  - templates: "
        "[\"" +
        name + "\"]\n";
    Diagnostics of_policy;
    const auto policies = read_policies(policy, "policy.yaml", set, of_policy);
    // What a template says has been checked with its parameters' own values, which these are.
    FUZZ_REQUIRE(!of_policy.failed());
    FUZZ_REQUIRE(policies.size() == 1);
    FUZZ_REQUIRE(policies[0].allow_names.size() + policies[0].allow_cidrs.size() == object.entries.size());
  }
  FUZZ_REQUIRE(entries <= kInheritedMax + size);
  return 0;
}
