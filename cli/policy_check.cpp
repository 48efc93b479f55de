// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_check.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "cli/text_table.h"
#include "policies/template_links.h"
#include "policies/template_reader.h"
#include "policies/yaml_field.h"

namespace postern {
namespace {

struct CheckOptions {
  std::vector<std::string> paths;
  std::string templates;
  std::string output = "text";
};

bool holds_templates(const SourceText& source) {
  Diagnostics ignored;  // whoever reads the file in earnest reports them
  const auto documents = YamlField::parse(source.text, source.file, ignored);
  return !documents.empty() && documents[0].type() == YamlField::Type::kMap &&
         documents[0]["kind"].type() == YamlField::Type::kScalar && documents[0]["kind"].text() == "AllowlistTemplate";
}

void take(const Diagnostics& diagnostics, CheckReport& report) {
  auto errors = diagnostics.errors();  // the reader finds them field by field; people read from the top
  std::ranges::stable_sort(errors, {}, [](const Diagnostic& error) {
    return std::tie(error.place.file, error.place.line, error.place.column);
  });
  std::ranges::move(errors, std::back_inserter(report.errors));
  std::ranges::copy(diagnostics.warnings(), std::back_inserter(report.warnings));
}

std::size_t count(const PolicyImage& image, RuleKind kind) {
  return static_cast<std::size_t>(std::ranges::count(image.rules, kind, &Rule::kind));
}

std::size_t names_of(const AllowlistTemplate& object) {
  return static_cast<std::size_t>(
      std::ranges::count_if(object.entries, [](const TemplateEntry& entry) { return !entry.cidr; }));
}

std::string plural(std::size_t number, const std::string& word) {
  const bool y = word.ends_with('y');
  return std::to_string(number) + " " + (number == 1 ? word : y ? word.substr(0, word.size() - 1) + "ies" : word + "s");
}

nlohmann::json to_json(const std::vector<Diagnostic>& diagnostics) {
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

void print_json(const CheckReport& report, const std::string& folder) {
  nlohmann::json out{{"ok", report.errors.empty()},         {"templates_from", folder},
                     {"errors", to_json(report.errors)},    {"warnings", to_json(report.warnings)},
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
  }
  for (const auto& [name, object] : report.templates) {
    out["templates"].push_back({{"name", name},
                                {"version", object.version},
                                {"file", object.place.file},
                                {"line", object.place.line},
                                {"names", names_of(object)}});
  }
  // Text of a file may be no UTF-8; a report about it must come out all the same.
  std::printf("%s\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void print_policies(const CheckReport& report) {
  TextTable table({"POLICY", "NAMES", "LOOKUPS", "CIDRS", "DENIES", "INBOUND", "RULES", "FILE"});
  std::size_t right = 0;
  for (const auto& [name, policy] : report.policies.policies) {
    if (policy.image == nullptr) {
      continue;
    }
    ++right;
    const auto cell = [&](RuleKind kind) { return std::to_string(count(*policy.image, kind)); };
    table.add({name, cell(RuleKind::kAllowName), cell(RuleKind::kLookupOnly), cell(RuleKind::kAllowCidr),
               cell(RuleKind::kDenyCidr), cell(RuleKind::kInbound), std::to_string(policy.image->rules.size()),
               policy.place.file + ":" + std::to_string(policy.place.line)});
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

void print_text(const CheckReport& report, const std::string& folder, std::size_t files) {
  for (const Diagnostic& error : report.errors) {
    std::fprintf(stderr, "%s\n", error.to_string().c_str());
  }
  for (const Diagnostic& warning : report.warnings) {
    std::fprintf(stderr, "warning: %s\n", warning.to_string().c_str());
  }
  print_policies(report);
  print_templates(report);
  const std::string from = folder.empty() ? "No templates are installed" : "Templates from " + folder;
  if (report.errors.empty()) {
    std::printf("%s, no errors. %s.\n", plural(files, "file").c_str(), from.c_str());
  } else {
    std::fprintf(stderr, "%s. posternd would refuse these files and keep the policies it has.\n",
                 plural(report.errors.size(), "error").c_str());
  }
}

int check(const CheckOptions& options) {
  if (options.paths.empty()) {
    std::fprintf(stderr, "postern: name at least one policy file or folder: postern policy check FILE...\n");
    return 2;
  }
  const std::string folder = options.templates.empty() ? default_template_folder() : options.templates;
  Diagnostics in_templates;
  const auto known = read_template_folder(folder, in_templates);
  if (!known) {
    std::fprintf(stderr, "postern: --templates: %s\n", known.error().message().c_str());
    return 2;
  }
  Diagnostics unreadable;
  const auto sources = read_sources(options.paths, unreadable);
  CheckReport report = check_files(sources, *known);
  take(in_templates, report);
  take(unreadable, report);
  options.output == "json" ? print_json(report, folder) : print_text(report, folder, sources.size());
  return report.errors.empty() ? 0 : 1;
}

}  // namespace

CheckReport check_files(const std::vector<SourceText>& files, const std::vector<AllowlistTemplate>& known) {
  CheckReport report;
  Diagnostics in_templates;
  std::vector<const SourceText*> policies;
  std::vector<AllowlistTemplate> templates;
  for (const SourceText& source : files) {
    if (holds_templates(source)) {
      Diagnostics of_file;  // each file has a limit of errors of its own
      std::ranges::move(read_templates(source.text, source.file, of_file), std::back_inserter(templates));
      take(of_file, report);
    } else {
      policies.push_back(&source);
    }
  }
  std::set<std::string> checked;
  for (const AllowlistTemplate& object : templates) {
    checked.insert(object.name);
  }
  std::ranges::copy_if(known, std::back_inserter(templates),
                       [&](const AllowlistTemplate& object) { return !checked.contains(object.name); });
  const TemplateSet usable = link_templates(std::move(templates), in_templates);
  take(in_templates, report);
  std::ranges::copy_if(usable, std::inserter(report.templates, report.templates.end()),
                       [&](const auto& object) { return checked.contains(object.first); });
  for (const SourceText* source : policies) {
    Diagnostics diagnostics;
    const std::size_t before = report.policies.policies.size();
    add_policies(source->text, source->file, usable, report.policies, diagnostics);
    if (!diagnostics.failed() && report.policies.policies.size() == before) {
      diagnostics.warn({source->file}, "", "holds no policy");
    }
    take(diagnostics, report);
  }
  return report;
}

void add_policy_command(CLI::App& app, int& exit_status) {
  auto* policy = app.add_subcommand("policy", "Work with policy files; needs no daemon");
  policy->require_subcommand(1);
  auto options = std::make_shared<CheckOptions>();
  auto* command = policy->add_subcommand("check", "Are these policies right, and what do they open");
  command->add_option("FILE", options->paths, "Policy or template files, or folders of them (*.yaml, *.yml)");
  command->add_option("--templates", options->templates, kTemplatesHelp);
  command->add_option("-o,--output", options->output, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  command->footer(
      "Prints an error a line, FILE:LINE:COLUMN: FIELD: what to write instead, and a summary of every policy that is "
      "right.\nExit status: 0 all is right, 1 errors in files, 2 a wrong command line.\n\nExamples:\n"
      "  postern policy check /etc/postern/policies\n  postern policy check --templates allowlists agent.yaml -o json");
  command->callback([options, &exit_status] { exit_status = check(*options); });
}

}  // namespace postern
