// SPDX-License-Identifier: Apache-2.0
//
// Text as a policy file. One that is taken compiles, explains itself and decides names; one that is
// refused says where and why, in one printable line each.
#include "policies/explain.h"
#include "policies/native_reader.h"
#include "policies/template_reader.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace postern;

constexpr std::string_view kTemplates = R"(
apiVersion: postern.dev/v1alpha1
kind: AllowlistTemplate
metadata: {name: tools}
spec:
  purpose: what agents need
  parameters: [{name: region, purpose: where, default: "*"}]
  allow:
  - group: api
    purpose: the service
    names: ["sts.{region}.cloud.example", index.example.org]
)";

TemplateSet templates() {
  Diagnostics diagnostics;
  TemplateSet set;
  for (AllowlistTemplate& each : read_templates(kTemplates, "tools.yaml", diagnostics)) {
    const std::string name = each.name;
    set.emplace(name, std::move(each));
  }
  FUZZ_REQUIRE(set.size() == 1 && !diagnostics.failed());
  return set;
}

void check(const Diagnostics& diagnostics) {
  FUZZ_REQUIRE(diagnostics.errors().size() <= Diagnostics::kMax);
  for (const Diagnostic& error : diagnostics.errors()) {
    for (const char c : error.to_string()) {
      FUZZ_REQUIRE(c != '\n' && c != '\x1b');
    }
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
