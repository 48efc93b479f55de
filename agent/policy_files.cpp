// SPDX-License-Identifier: Apache-2.0
#include "agent/policy_files.h"

#include <algorithm>
#include <filesystem>

#include "agent/config.h"
#include "policies/native_reader.h"
#include "policies/template_reader.h"

namespace postern {
namespace {

namespace fs = std::filesystem;

/// The YAML files of a folder, sorted, so that the same folder always gives the same result.
Result<std::vector<std::string>> yaml_files(const std::string& folder) {
  std::error_code failed;
  fs::directory_iterator entries(folder, failed);
  if (failed) {
    return Error::from_errno("cannot read the folder " + folder, failed.value());
  }
  std::vector<std::string> files;
  for (; entries != fs::directory_iterator(); entries.increment(failed)) {
    const std::string name = entries->path().filename().string();
    // An editor's half-written file begins with a dot.
    if (!name.starts_with('.') && (name.ends_with(".yaml") || name.ends_with(".yml"))) {
      files.push_back(entries->path().string());
    }
  }
  if (failed) {
    return Error::from_errno("cannot read the folder " + folder, failed.value());
  }
  std::ranges::sort(files);
  return files;
}

Result<TemplateSet> load_templates(const std::string& folder, Diagnostics& diagnostics) {
  auto files = yaml_files(folder);
  if (!files) {
    if (files.error().code() == Errc::kNotFound) {
      return TemplateSet();  // a policy that uses one says that it does not exist
    }
    return std::move(files).error();
  }
  TemplateSet templates;
  for (const std::string& file : *files) {
    auto text = read_file(file);
    if (!text) {
      return std::move(text).error();
    }
    for (AllowlistTemplate& read : read_templates(*text, file, diagnostics)) {
      const auto [at, added] = templates.try_emplace(read.name, read);
      if (!added) {
        diagnostics.error(read.place, "metadata.name",
                          "template " + read.name + " exists already, at " + at->second.place.to_string());
      }
    }
  }
  return templates;
}

}  // namespace

Result<PolicySet> load_policies(const std::string& policy_folder, const std::string& template_folder) {
  Diagnostics diagnostics;
  auto templates = load_templates(template_folder, diagnostics);
  if (!templates) {
    return std::move(templates).error();
  }
  auto files = yaml_files(policy_folder);
  if (!files) {
    return std::move(files).error();
  }
  PolicySet set;
  for (const std::string& file : *files) {
    auto text = read_file(file);
    if (!text) {
      return std::move(text).error();
    }
    for (const Policy& policy : read_policies(*text, file, *templates, diagnostics)) {
      const auto found = set.policies.find(policy.name);
      if (found != set.policies.end()) {
        diagnostics.error(policy.place, "metadata.name",
                          "policy " + policy.name + " exists already, at " + found->second.place.to_string());
        continue;
      }
      // With errors in it the policy is not whole; its own problems are reported first.
      auto image = diagnostics.failed() ? nullptr : compile(policy, Inventory(), diagnostics);
      set.policies[policy.name] = {std::move(image), policy.place};
    }
    if (diagnostics.full()) {
      break;
    }
  }
  if (diagnostics.failed()) {
    return diagnostics.to_error();
  }
  for (const Diagnostic& warning : diagnostics.warnings()) {
    set.warnings.push_back(warning.to_string());
  }
  return set;
}

}  // namespace postern
