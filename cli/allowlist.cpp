// SPDX-License-Identifier: Apache-2.0
#include "cli/allowlist.h"

#include <cstdio>

#include "base/log.h"
#include "cli/allowlist_parts.h"
#include "cli/source_files.h"
#include "policies/policy_set.h"
#include "policies/render.h"
#include "policies/template_links.h"

namespace postern {

std::optional<TemplateSet> load_templates(const std::string& option) {
  const std::string folder = option.empty() ? default_template_folder() : option;
  if (folder.empty()) {
    std::fprintf(stderr, "postern: no templates are installed: name their folder with --templates\n");
    return std::nullopt;
  }
  Diagnostics diagnostics;
  auto read = read_template_folder(folder, diagnostics);
  if (!read) {
    std::fprintf(stderr, "postern: --templates: %s\n", read.error().message().c_str());
    return std::nullopt;
  }
  TemplateSet linked = link_templates(std::move(*read), diagnostics);
  return print_errors(diagnostics) ? std::nullopt : std::optional(std::move(linked));
}

bool print_errors(const Diagnostics& diagnostics) {
  for (const Diagnostic& error : diagnostics.errors()) {
    std::fprintf(stderr, "%s%s\n", error.place.file.empty() ? "postern: " : "", error.to_string().c_str());
  }
  return diagnostics.failed();
}

bool reads_back(const std::string& yaml) {
  Diagnostics diagnostics;
  PolicySet set;
  add_policies(yaml, "the policy", {}, set, diagnostics);
  return !print_errors(diagnostics);
}

int print_policy(const Policy& policy) {
  const auto rendered = render(policy, {});
  if (!rendered) {
    std::fprintf(stderr, "postern: %s\n", rendered.error().message().c_str());
    return 1;
  }
  if (!reads_back(rendered->yaml)) {
    return 1;
  }
  std::fputs(rendered->yaml.c_str(), stdout);
  return 0;
}

std::string counted(std::size_t number, const std::string& word) {
  return std::to_string(number) + " " + word + (number == 1 ? "" : "s");
}

void add_templates_option(CLI::App& command, std::string& folder) {
  command.add_option("--templates", folder, kTemplatesHelp);
}

void add_output_option(CLI::App& command, std::string& output, const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : &word == &words.back() ? " or " : ", ") + word;
  }
  output = words.front();
  command.add_option("-o,--output", output, text)->check(CLI::IsMember(words))->capture_default_str();
}

void add_server_option(CLI::App& command, std::string& server) {
  command.add_option("--server", server, "Name server to look names up at, ADDRESS[:PORT]. Default: /etc/resolv.conf");
}

void add_param_option(CLI::App& command, std::vector<std::string>& given) {
  command
      .add_option("--param", given,
                  "NAME=VALUE of a template's parameter; several values, or NAME=A,B, for each of them")
      ->allow_extra_args(false);
}

std::optional<ParameterValues> read_params(const std::vector<std::string>& given) {
  ParameterValues values;
  for (const std::string& each : given) {
    const std::size_t equals = each.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == each.size()) {
      std::fprintf(stderr, "postern: --param %s: write NAME=VALUE, as in region=eu-west-1\n", printable(each).c_str());
      return std::nullopt;
    }
    auto& list = values[each.substr(0, equals)];
    for (std::size_t at = equals + 1; at <= each.size();) {
      const std::size_t end = std::min(each.find(',', at), each.size());
      list.push_back(each.substr(at, end - at));
      at = end + 1;
    }
  }
  return values;
}

void add_allowlist_command(CLI::App& app, int& exit_status) {
  auto* allowlist = app.add_subcommand(
      "allowlist", "Put allowlists together, check them and write them in other kinds; needs no daemon");
  allowlist->require_subcommand(1);
  add_allowlist_list(*allowlist, exit_status);
  add_allowlist_show(*allowlist, exit_status);
  add_allowlist_compose(*allowlist, exit_status);
  add_allowlist_render(*allowlist, exit_status);
  add_allowlist_import(*allowlist, exit_status);
  add_allowlist_lint(*allowlist, exit_status);
  add_allowlist_diff(*allowlist, exit_status);
  add_allowlist_discover(*allowlist, exit_status);
}

}  // namespace postern
