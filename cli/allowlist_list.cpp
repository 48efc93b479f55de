// SPDX-License-Identifier: Apache-2.0
//
// `postern allowlist list` and `show`: which templates there are, and all that one opens.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "cli/allowlist_parts.h"
#include "cli/text_table.h"

namespace postern {
namespace {

struct ListOptions {
  std::string name;
  std::string templates;
  std::string output;
};

std::size_t names_of(const AllowlistTemplate& object) {
  return static_cast<std::size_t>(
      std::ranges::count_if(object.entries, [](const TemplateEntry& entry) { return !entry.cidr; }));
}

void print_json(const nlohmann::json& out) {
  std::printf("%s\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

nlohmann::json head_of(const AllowlistTemplate& object) {
  nlohmann::json out{{"name", object.name},
                     {"version", object.version},
                     {"purpose", object.purpose},
                     {"file", object.place.file},
                     {"names", names_of(object)},
                     {"cidrs", object.entries.size() - names_of(object)},
                     {"groups", nlohmann::json::array()},
                     {"parameters", nlohmann::json::array()}};
  for (const TemplateGroup& group : object.groups) {
    out["groups"].push_back({{"name", group.name}, {"purpose", group.purpose}});
  }
  for (const TemplateParameter& parameter : object.parameters) {
    out["parameters"].push_back(
        {{"name", parameter.name}, {"purpose", parameter.purpose}, {"default", parameter.fallback}});
  }
  return out;
}

int list(const ListOptions& options) {
  const auto templates = load_templates(options.templates);
  if (!templates) {
    return 1;
  }
  if (options.output == "json") {
    auto out = nlohmann::json::array();
    for (const auto& [name, object] : *templates) {
      out.push_back(head_of(object));
    }
    print_json(out);
    return 0;
  }
  TextTable table({"TEMPLATE", "VERSION", "GROUPS", "NAMES", "CIDRS", "PARAMETERS", "PURPOSE"});
  for (const auto& [name, object] : *templates) {
    std::string parameters;
    for (const TemplateParameter& parameter : object.parameters) {
      parameters += (parameters.empty() ? "" : ",") + parameter.name + "=" + parameter.fallback;
    }
    const std::size_t names = names_of(object);
    table.add({name, object.version, std::to_string(object.groups.size()), std::to_string(names),
               std::to_string(object.entries.size() - names), parameters.empty() ? "-" : parameters, object.purpose});
  }
  table.print();
  return 0;
}

void print_text(const AllowlistTemplate& object) {
  std::printf("%s %s: %s\n", object.name.c_str(), object.version.c_str(), object.purpose.c_str());
  std::printf("from %s\n\n", object.place.to_string().c_str());
  if (!object.parameters.empty()) {
    TextTable parameters({"PARAMETER", "DEFAULT", "PURPOSE"});
    for (const TemplateParameter& parameter : object.parameters) {
      parameters.add({parameter.name, parameter.fallback, parameter.purpose});
    }
    parameters.print();
    std::printf("\n");
  }
  TextTable groups({"GROUP", "ENTRIES", "PURPOSE"});
  for (const TemplateGroup& group : object.groups) {
    groups.add({group.name, std::to_string(std::ranges::count(object.entries, group.name, &TemplateEntry::group)),
                group.purpose});
  }
  groups.print();
  std::printf("\n");
  TextTable entries({"ENTRY", "PORTS", "GROUP", "RISK", "CHECKED", "PURPOSE"});
  for (const TemplateEntry& entry : object.entries) {
    entries.add({entry.text, entry.ports.to_string(), entry.group, entry.user_content ? "user-content" : "-",
                 entry.checked.empty() ? "-" : entry.checked, entry.purpose});
  }
  entries.print();
}

int show(const ListOptions& options) {
  const auto templates = load_templates(options.templates);
  if (!templates) {
    return 1;
  }
  const auto found = templates->find(options.name);
  if (found == templates->end()) {
    std::string known;
    for (const auto& [name, object] : *templates) {
      known += (known.empty() ? "" : ", ") + name;
    }
    std::fprintf(stderr, "postern: there is no template \"%s\": there is %s\n", printable(options.name).c_str(),
                 known.empty() ? "none" : known.c_str());
    return 1;
  }
  const AllowlistTemplate& object = found->second;
  if (options.output == "text") {
    print_text(object);
    return 0;
  }
  nlohmann::json out = head_of(object);
  out["entries"] = nlohmann::json::array();
  for (const TemplateEntry& entry : object.entries) {
    out["entries"].push_back({{entry.cidr ? "cidr" : "name", entry.text},
                              {"ports", entry.ports.to_string()},
                              {"group", entry.group},
                              {"purpose", entry.purpose},
                              {"source", entry.source},
                              {"checked", entry.checked},
                              {"risk", entry.user_content ? "user-content" : ""},
                              {"template", entry.home},
                              {"file", entry.place.file},
                              {"line", entry.place.line}});
  }
  print_json(out);
  return 0;
}

}  // namespace

void add_allowlist_list(CLI::App& parent, int& exit_status) {
  auto options = std::make_shared<ListOptions>();
  auto* command = parent.add_subcommand("list", "Which templates there are");
  add_templates_option(*command, options->templates);
  add_output_option(*command, options->output, {"text", "json"});
  command->callback([options, &exit_status] { exit_status = list(*options); });
}

void add_allowlist_show(CLI::App& parent, int& exit_status) {
  auto options = std::make_shared<ListOptions>();
  auto* command = parent.add_subcommand("show", "What a template opens: its groups, parameters and entries");
  command->add_option("TEMPLATE", options->name, "Name, as `postern allowlist list` shows it")->required();
  add_templates_option(*command, options->templates);
  add_output_option(*command, options->output, {"text", "json"});
  command->callback([options, &exit_status] { exit_status = show(*options); });
}

}  // namespace postern
