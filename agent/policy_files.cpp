// SPDX-License-Identifier: Apache-2.0
#include "agent/policy_files.h"

#include <algorithm>
#include <functional>
#include <iterator>

#include "base/text_files.h"
#include "policies/template_links.h"
#include "policies/template_reader.h"
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
                                const Inventory& inventory,
                                PolicyObjects* objects,
                                std::shared_ptr<PolicyCache> cache) {
  Diagnostics diagnostics;
  std::vector<AllowlistTemplate> unlinked;
  std::string template_texts;
  const auto templates_read = for_each_file(template_folder, [&](const std::string& text, const std::string& file) {
    template_texts += file + "\n" + text;
    std::ranges::move(read_templates(text, file, diagnostics), std::back_inserter(unlinked));
  });
  // Without the folder a policy that uses a template says that there is none of that name.
  if (!templates_read && templates_read.error().code() != Errc::kNotFound) {
    return templates_read.error();
  }
  if (objects != nullptr) {
    template_texts += objects->template_texts();
  }
  const TemplateSet templates = objects != nullptr ? objects->link(std::move(unlinked), diagnostics)
                                                   : link_templates(std::move(unlinked), diagnostics);
  PolicySet set;
  set.inventory = inventory;
  set.cache = std::move(cache);
  set.cache->begin_load(template_texts, inventory);
  const auto policies_read = for_each_file(policy_folder, [&](const std::string& text, const std::string& file) {
    add_policies(text, file, templates, set, diagnostics);
  });
  if (!policies_read && policies_read.error().code() == Errc::kNotFound) {
    return Error(Errc::kNotFound, policies_read.error().message() +
                                      ": make it (an empty one denies everything), or set policies: in postern.yaml");
  }
  POSTERN_RETURN_IF_ERROR(policies_read);
  if (objects != nullptr) {
    objects->add_to(set, templates);
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
