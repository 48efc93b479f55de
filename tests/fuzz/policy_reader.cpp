// SPDX-License-Identifier: Apache-2.0
//
// Text as a file of policies, of any kind. One that is taken compiles, alone and with all others of the
// file against a small cluster, explains itself and decides names; one that is refused says where and
// why, in one printable line each.
#include "policies/explain.h"
#include "policies/policy_reader.h"
#include "policies/template_links.h"
#include "policies/template_reader.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace postern;

constexpr std::string_view kTemplates = R"(
apiVersion: postern.dev/v1alpha1
kind: AllowlistTemplate
metadata: {name: tools}
spec:
  version: 2026-11-27
  purpose: what agents need
  parameters: [{name: region, purpose: where, default: "*"}]
  groups:
  - name: api
    purpose: the service
    names: ["sts.{region}.cloud.example", index.example.org]
)";

TemplateSet templates() {
  Diagnostics diagnostics;
  TemplateSet set = link_templates(read_templates(kTemplates, "tools.yaml", diagnostics), diagnostics);
  FUZZ_REQUIRE(set.size() == 1 && !diagnostics.failed());
  return set;
}

void check(const Diagnostics& diagnostics) {
  FUZZ_REQUIRE(diagnostics.errors().size() <= Diagnostics::kMax);
  for (const Diagnostic& error : diagnostics.errors()) {
    FUZZ_REQUIRE(testing::is_one_line(error.to_string()));
  }
}

void use(const PolicyImage& image) {
  const auto target = Target::parse("api.example.com:443");
  FUZZ_REQUIRE(target && !explain(image, {}, *target).verdict.empty());
  for (const Rule& rule : image.rules) {
    FUZZ_REQUIRE(rule.id != 0 && !rule.to_string().empty());
    FUZZ_REQUIRE(image.find_rule(rule.id) != nullptr);
  }
  for (const CidrEntry& entry : image.cidrs) {
    FUZZ_REQUIRE(image.find_cidr(entry.prefix.address) != nullptr);
  }
}

const Inventory& small_cluster() {
  static const Inventory cluster = [] {
    Inventory made;
    made.pods = {Prefix::parse("10.244.0.0/16").value()};
    made.pod_list = {{"web", {"shop", {}, {{"app", "web"}}}, {Address::parse("10.244.0.1").value()}, false}};
    made.service_list = {
        {"shop", "web", {}, {{"app", "web"}}, {Address::parse("10.96.0.2").value()}, {}, {{6, 80, 8080}}}};
    return made;
  }();
  return cluster;
}

void compile_together(const std::vector<Policy>& policies) {
  std::vector<const Policy*> all;
  for (const Policy& policy : policies) {
    all.push_back(&policy);
    policy.selects({"shop", {}, {{"app", "web"}}});
    FUZZ_REQUIRE(!policy.key().empty());
  }
  Diagnostics diagnostics;
  const auto image = compile(all, small_cluster(), diagnostics);
  FUZZ_REQUIRE((image == nullptr) == diagnostics.failed());
  check(diagnostics);
  if (image != nullptr) {
    use(*image);
    FUZZ_REQUIRE(rules_in_order(*image).size() == image->rules.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TemplateSet known = templates();
  if (size > 64 * 1024) {
    return 0;
  }
  Diagnostics diagnostics;
  const auto policies = read_policies({reinterpret_cast<const char*>(data), size}, "fuzz.yaml", known, diagnostics);
  check(diagnostics);
  if (diagnostics.failed()) {
    return 0;
  }
  if (!policies.empty()) {
    compile_together(policies);
  }
  for (const Policy& policy : policies) {
    Diagnostics of_one;
    const auto image = compile(policy, {}, of_one);
    FUZZ_REQUIRE((image == nullptr) == of_one.failed());
    check(of_one);
    if (image != nullptr) {
      use(*image);
    }
  }
  return 0;
}
