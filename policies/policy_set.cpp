// SPDX-License-Identifier: Apache-2.0
#include "policies/policy_set.h"

#include "policies/native_reader.h"
#include "policies/template_reader.h"

namespace postern {
namespace {

void report_twice(
    std::string_view what, const std::string& name, const Place& place, const Place& first, Diagnostics& diagnostics) {
  diagnostics.error(
      place, "metadata.name",
      std::string(what) + " " + name + " exists already, at " + first.to_string() + ": rename or remove one");
}

}  // namespace

void add_templates(std::string_view text, const std::string& file, TemplateSet& templates, Diagnostics& diagnostics) {
  for (AllowlistTemplate& read : read_templates(text, file, diagnostics)) {
    const auto [at, added] = templates.try_emplace(read.name, read);
    if (!added) {
      report_twice("template", read.name, read.place, at->second.place, diagnostics);
    }
  }
}

void add_policies(std::string_view text,
                  const std::string& file,
                  const TemplateSet& templates,
                  PolicySet& set,
                  Diagnostics& diagnostics) {
  for (const Policy& policy : read_policies(text, file, templates, diagnostics)) {
    if (const auto found = set.policies.find(policy.name); found != set.policies.end()) {
      report_twice("policy", policy.name, policy.place, found->second.place, diagnostics);
      continue;
    }
    // With errors in it the policy is not whole; its own problems are reported first.
    auto image = diagnostics.failed() ? nullptr : compile(policy, Inventory(), diagnostics);
    set.policies[policy.name] = {std::move(image), policy.place};
  }
}

}  // namespace postern
