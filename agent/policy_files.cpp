// SPDX-License-Identifier: Apache-2.0
#include "agent/policy_files.h"

#include <algorithm>
#include <filesystem>
#include <functional>

#include "agent/config.h"

namespace postern {
namespace {

namespace fs = std::filesystem;
using EachFile = std::function<void(const std::string& text, const std::string& file)>;

/// The YAML files of a folder, sorted, so that the same folder always gives the same result.
Result<std::vector<std::string>> yaml_files(const std::string& folder) {
  std::error_code failed;
  fs::directory_iterator entries(folder, failed);
  std::vector<std::string> files;
  while (!failed && entries != fs::directory_iterator()) {
    const std::string name = entries->path().filename().string();
    // An editor's half-written file begins with a dot.
    if (!name.starts_with('.') && (name.ends_with(".yaml") || name.ends_with(".yml"))) {
      files.push_back(entries->path().string());
    }
    entries.increment(failed);
  }
  if (failed) {
    return Error::from_errno("cannot read the folder " + folder, failed.value());
  }
  std::ranges::sort(files);
  return files;
}

Result<> for_each_file(const std::string& folder, const EachFile& each) {
  auto files = yaml_files(folder);
  if (!files) {
    return std::move(files).error();
  }
  for (const std::string& file : *files) {
    auto text = read_file(file);
    if (!text) {
      return std::move(text).error();
    }
    each(*text, file);
  }
  return {};
}

}  // namespace

Result<PolicySet> load_policies(const std::string& policy_folder, const std::string& template_folder) {
  Diagnostics diagnostics;
  TemplateSet templates;
  const auto read_templates = for_each_file(template_folder, [&](const std::string& text, const std::string& file) {
    add_templates(text, file, templates, diagnostics);
  });
  // Without the folder a policy that uses a template says that there is none of that name.
  if (!read_templates && read_templates.error().code() != Errc::kNotFound) {
    return read_templates.error();
  }
  PolicySet set;
  POSTERN_RETURN_IF_ERROR(for_each_file(policy_folder, [&](const std::string& text, const std::string& file) {
    add_policies(text, file, templates, set, diagnostics);
  }));
  if (diagnostics.failed()) {
    return diagnostics.to_error();
  }
  for (const Diagnostic& warning : diagnostics.warnings()) {
    set.warnings.push_back(warning.to_string());
  }
  return set;
}

}  // namespace postern
