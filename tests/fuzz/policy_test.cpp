// SPDX-License-Identifier: Apache-2.0
//
// Text as a file of PolicyTests. What is taken is judged by a policy; what is refused says where and why, in one
// printable line each. A name that is said to be in common with a rule is meant by that rule.
#include "policies/policy_test.h"

#include "policies/pattern_overlap.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace postern;

constexpr std::string_view kPolicy = R"(
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: agent, namespace: shop}
spec:
  selector: {matchLabels: {app: agent}}
  allow:
  - names: [api.example.com, "*.files.example.com", "sts.*.cloud.example"]
    ports: [443, 443/udp]
  - cidrs: [10.20.0.0/16]
    ports: [5432]
  dns: {allow: [status.example.com]}
)";

PolicySet policies() {
  Diagnostics diagnostics;
  PolicySet set;
  add_policies(kPolicy, "policy.yaml", {}, set, diagnostics);
  FUZZ_REQUIRE(set.policies.size() == 1 && !diagnostics.failed());
  return set;
}

void check_overlap(const NamePattern& asserted, const PolicyImage& image) {
  for (const Rule& rule : image.rules) {
    if (!rule.is_name()) {
      continue;
    }
    const auto both = common_name(*rule.pattern, asserted);
    FUZZ_REQUIRE(!both || (rule.pattern->matches(both->wire()) && asserted.matches(both->wire())));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const PolicySet known = policies();
  if (size > 64 * 1024) {
    return 0;
  }
  Diagnostics diagnostics;
  const auto tests = read_policy_tests({reinterpret_cast<const char*>(data), size}, "fuzz.yaml", diagnostics);
  for (const Diagnostic& error : diagnostics.errors()) {
    FUZZ_REQUIRE(testing::is_one_line(error.to_string()));
  }
  if (diagnostics.failed()) {
    return 0;
  }
  for (const PolicyTest& test : tests) {
    for (const PolicyTestCase& each : test.cases) {
      const CaseResult result = judge_case(each, known);
      FUZZ_REQUIRE(testing::is_one_line(result.problem));
      FUZZ_REQUIRE(result.results.size() == each.assertions.size());
      for (std::size_t i = 0; i < each.assertions.size(); ++i) {
        FUZZ_REQUIRE(testing::is_one_line(failure_of(each.assertions[i], result.results[i], result).to_string()));
        if (result.image != nullptr && each.assertions[i].names) {
          check_overlap(*each.assertions[i].names, *result.image);
        }
      }
    }
  }
  return 0;
}
