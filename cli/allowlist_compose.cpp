// SPDX-License-Identifier: Apache-2.0
//
// `postern allowlist compose`: what several templates open together, entry by entry, or as a policy.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/allowlist_parts.h"
#include "cli/text_table.h"
#include "policies/compose.h"

namespace postern {
namespace {

struct ComposeOptions {
  ComposeRequest request;
  std::vector<std::string> params;
  std::string templates;
  std::string name = "composed";
  std::string space;
  std::string output;
};

std::string origins_of(const ComposedEntry& composed) {
  std::string text;
  for (const EntryOrigin& origin : composed.origins) {
    text += (text.empty() ? "" : ", ") + origin.to_string();
  }
  return text;
}

void print_table(const std::vector<ComposedEntry>& entries) {
  TextTable table({"ENTRY", "PORTS", "RISK", "ORIGIN", "PURPOSE"});
  for (const ComposedEntry& composed : entries) {
    const TemplateEntry& entry = composed.entry;
    table.add({entry.text, entry.ports.to_string(), entry.user_content ? "user-content" : "-", origins_of(composed),
               entry.purpose});
  }
  table.print();
  const auto cidrs = static_cast<std::size_t>(
      std::ranges::count_if(entries, [](const ComposedEntry& composed) { return composed.entry.cidr.has_value(); }));
  const auto strangers = static_cast<std::size_t>(
      std::ranges::count_if(entries, [](const ComposedEntry& composed) { return composed.entry.user_content; }));
  std::printf("%s, %s; strangers can put content behind %zu of them.\n",
              counted(entries.size() - cidrs, "name").c_str(), counted(cidrs, "cidr").c_str(), strangers);
}

void print_json(const std::vector<ComposedEntry>& entries) {
  auto out = nlohmann::json::array();
  for (const ComposedEntry& composed : entries) {
    const TemplateEntry& entry = composed.entry;
    auto origins = nlohmann::json::array();
    for (const EntryOrigin& origin : composed.origins) {
      origins.push_back({{"template", origin.template_name},
                         {"group", origin.group},
                         {"home", origin.home},
                         {"file", origin.place.file},
                         {"line", origin.place.line}});
    }
    out.push_back({{entry.cidr ? "cidr" : "name", entry.text},
                   {"ports", entry.ports.to_string()},
                   {"purpose", entry.purpose},
                   {"risk", entry.user_content ? "user-content" : ""},
                   {"source", entry.source},
                   {"checked", entry.checked},
                   {"origins", std::move(origins)}});
  }
  std::printf("%s\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

int run(ComposeOptions& options) {
  const auto values = read_params(options.params);
  if (!values) {
    return 2;
  }
  options.request.values = *values;
  const auto templates = load_templates(options.templates);
  if (!templates) {
    return 1;
  }
  Diagnostics diagnostics;
  const auto entries = compose(options.request, *templates, diagnostics);
  if (print_errors(diagnostics)) {
    return 1;
  }
  if (options.output == "yaml") {
    Policy policy = policy_of(entries, options.name);
    policy.space = options.space;
    return print_policy(policy);
  }
  options.output == "json" ? print_json(entries) : print_table(entries);
  return 0;
}

}  // namespace

void add_allowlist_compose(CLI::App& parent, int& exit_status) {
  auto options = std::make_shared<ComposeOptions>();
  auto* command = parent.add_subcommand("compose", "What templates open together, and where each entry comes from");
  command->add_option("TEMPLATE", options->request.templates, "NAME, or NAME:GROUP,GROUP for some of its groups")
      ->required();
  add_param_option(*command, options->params);
  command->add_option("--except", options->request.except, "Name or pattern to take out, with all that it covers")
      ->allow_extra_args(false);
  command->add_option("--add", options->request.add, "NAME:PORT or CIDR:PORT to put in; without a port 443/tcp")
      ->allow_extra_args(false);
  add_templates_option(*command, options->templates);
  command->add_option("--name", options->name, "Of the policy that -o yaml writes")->capture_default_str();
  command->add_option("--namespace", options->space, "Of that policy");
  add_output_option(*command, options->output, {"text", "json", "yaml"});
  command->footer(
      "-o yaml is an EgressPolicy, ready for /etc/postern/policies or `postern allowlist render`.\n\nExamples:\n"
      "  postern allowlist compose package-registries:python,npm llm-apis --param region=us-west-2\n"
      "  postern allowlist compose git-hosts --except gitlab.com --add git.corp.example:22 -o yaml >agent.yaml");
  command->callback([options, &exit_status] { exit_status = run(*options); });
}

}  // namespace postern
