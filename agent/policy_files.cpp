// SPDX-License-Identifier: Apache-2.0
#include "agent/policy_files.h"

#include <functional>

#include "base/text_files.h"
#include "policies/yaml_field.h"

namespace postern {
namespace {

using EachFile = std::function<void(const std::string& text, const std::string& file)>;

Result<> for_each_file(const std::string& folder, const EachFile& each) {
  auto files = yaml_files_of(folder);
  if (!files) {
    return std::move(files).error();
  }
  for (const std::string& file : *files) {
    auto text = read_text_file(file, YamlField::kFileMax);
    if (!text) {
      return std::move(text).error();
    }
    each(*text, file);
  }
  return {};
}

}  // namespace

Result<PolicySet> load_policies(const std::string& policy_folder,
                                const std::string& template_folder,
                                const Inventory& inventory) {
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
  set.inventory = inventory;
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
