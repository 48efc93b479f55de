// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_report.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/text_table.h"

namespace postern {
namespace {

std::size_t count(const PolicyImage& image, RuleKind kind) {
  return static_cast<std::size_t>(std::ranges::count(image.rules, kind, &Rule::kind));
}

/// Pods of the inventory that the policy is for.
std::size_t pods_of(const Policy& policy, const Inventory& inventory) {
  return static_cast<std::size_t>(std::ranges::count_if(
      inventory.pod_list, [&](const InventoryPod& pod) { return !pod.host_network && policy.selects(pod.identity); }));
}

std::size_t names_of(const AllowlistTemplate& object) {
  return static_cast<std::size_t>(
      std::ranges::count_if(object.entries, [](const TemplateEntry& entry) { return !entry.cidr; }));
}

void print_policies(const CheckReport& report) {
  std::vector<std::string> headings{"POLICY", "NAMES", "LOOKUPS", "CIDRS", "DENIES", "INBOUND", "RULES", "FILE"};
  if (report.has_inventory) {
    headings.insert(headings.begin() + 1, "PODS");
  }
  TextTable table(std::move(headings));
  std::size_t right = 0;
  for (const auto& [name, policy] : report.policies.policies) {
    if (policy.image == nullptr) {
      continue;
    }
    ++right;
    const PolicyImage& image = *policy.image;  // clang 14 captures no structured binding
    const auto cell = [&](RuleKind kind) { return std::to_string(count(image, kind)); };
    std::vector<std::string> row{name,
                                 cell(RuleKind::kAllowName),
                                 cell(RuleKind::kLookupOnly),
                                 cell(RuleKind::kAllowCidr),
                                 cell(RuleKind::kDenyCidr),
                                 cell(RuleKind::kInbound),
                                 std::to_string(image.rules.size()),
                                 policy.place.file + ":" + std::to_string(policy.place.line)};
    if (report.has_inventory) {
      row.insert(row.begin() + 1, std::to_string(pods_of(*policy.model, report.policies.inventory)));
    }
    table.add(std::move(row));
  }
  if (right > 0) {
    table.print();
  }
}

void print_templates(const CheckReport& report) {
  if (report.templates.empty()) {
    return;
  }
  TextTable table({"TEMPLATE", "GROUPS", "NAMES", "CIDRS", "FILE"});
  for (const auto& [name, object] : report.templates) {
    const std::size_t names = names_of(object);
    table.add({name, std::to_string(object.groups.size()), std::to_string(names),
               std::to_string(object.entries.size() - names),
               object.place.file + ":" + std::to_string(object.place.line)});
  }
  table.print();
}

/// A reader stops at so many errors of one file.
bool some_file_is_full(const std::vector<Diagnostic>& errors) {
  std::map<std::string, std::size_t> counted;
  return std::ranges::any_of(
      errors, [&](const Diagnostic& error) { return ++counted[error.place.file] >= Diagnostics::kMax; });
}

}  // namespace

std::string plural(std::size_t number, const std::string& word) {
  const bool y = word.ends_with('y');
  return std::to_string(number) + " " + (number == 1 ? word : y ? word.substr(0, word.size() - 1) + "ies" : word + "s");
}

void print_check_text(const CheckReport& report, const CheckScope& scope) {
  for (const Diagnostic& error : report.errors) {
    std::fprintf(stderr, "%s\n", error.to_string().c_str());
  }
  for (const Diagnostic& warning : report.warnings) {
    std::fprintf(stderr, "warning: %s\n", warning.to_string().c_str());
  }
  print_policies(report);
  print_templates(report);
  const std::string from =
      scope.templates_from.empty() ? "No templates are installed" : "Templates from " + scope.templates_from;
  if (report.errors.empty()) {
    std::printf("%s, no errors. %s.\n", plural(scope.files, "file").c_str(), from.c_str());
  } else {
    std::fprintf(stderr, "%s%s. posternd would refuse these files and keep the policies it has.\n",
                 plural(report.errors.size(), "error").c_str(),
                 some_file_is_full(report.errors) ? ", and the rest of a file with as many was not judged" : "");
  }
}

void print_check_json(const CheckReport& report, const CheckScope& scope) {
  nlohmann::json out{{"ok", report.errors.empty()},         {"templates_from", scope.templates_from},
                     {"errors", json_of(report.errors)},    {"warnings", json_of(report.warnings)},
                     {"policies", nlohmann::json::array()}, {"templates", nlohmann::json::array()}};
  for (const auto& [name, policy] : report.policies.policies) {
    if (policy.image == nullptr) {
      continue;
    }
    out["policies"].push_back({{"name", name},
                               {"file", policy.place.file},
                               {"line", policy.place.line},
                               {"names", count(*policy.image, RuleKind::kAllowName)},
                               {"lookups", count(*policy.image, RuleKind::kLookupOnly)},
                               {"cidrs", count(*policy.image, RuleKind::kAllowCidr)},
                               {"denies", count(*policy.image, RuleKind::kDenyCidr)},
                               {"inbound", count(*policy.image, RuleKind::kInbound)},
                               {"rules", policy.image->rules.size()}});
    if (report.has_inventory) {
      out["policies"].back()["pods"] = pods_of(*policy.model, report.policies.inventory);
    }
  }
  for (const auto& [name, object] : report.templates) {
    out["templates"].push_back({{"name", name},
                                {"version", object.version},
                                {"file", object.place.file},
                                {"line", object.place.line},
                                {"names", names_of(object)}});
  }
  print_json(out);
}

nlohmann::json json_of(const std::vector<Diagnostic>& diagnostics) {
  auto list = nlohmann::json::array();
  for (const Diagnostic& found : diagnostics) {
    list.push_back({{"file", found.place.file},
                    {"line", found.place.line},
                    {"column", found.place.column},
                    {"field", found.field},
                    {"message", found.message}});
  }
  return list;
}

void print_sarif(const std::vector<SarifResult>& results) {
  std::error_code gone;  // of the working folder: then all paths stay absolute
  print_json(sarif_of(results, std::filesystem::current_path(gone).string()));
}

void print_json(const nlohmann::json& json) {
  std::printf("%s\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace postern
