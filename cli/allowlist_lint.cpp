// SPDX-License-Identifier: Apache-2.0
//
// `postern allowlist lint`: what is wrong or odd about templates and policies; with --resolve also names that
// are not there any more.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "base/log.h"
#include "cli/allowlist_parts.h"
#include "cli/name_lookup.h"
#include "cli/policy_check.h"
#include "cli/source_files.h"
#include "policies/list_lint.h"
#include "policies/template_links.h"

namespace postern {
namespace {

struct LintArguments {
  std::vector<std::string> paths;
  std::string templates;
  std::string output;
  std::string server;
  bool resolve = false;
};

/// Everything that is looked at, and what was found out about it.
struct Linted {
  std::vector<LintFinding> findings;
  std::map<std::string, std::vector<std::pair<Place, std::string>>> hosts;  ///< Where each is written, and of what.
  std::size_t lists = 0;
};

void add_host(const NamePattern& pattern, const Place& place, const std::string& subject, Linted& linted) {
  if (pattern.is_exact()) {
    linted.hosts[pattern.text()].emplace_back(place, subject);
  }
}

void look_at(const CheckReport& report, Linted& linted) {
  for (const Diagnostic& error : report.errors) {
    linted.findings.push_back(
        {error.place, "syntax", "", (error.field.empty() ? "" : error.field + ": ") + error.message});
  }
  for (const auto& [name, object] : report.templates) {
    std::ranges::move(lint_template(object), std::back_inserter(linted.findings));
    for (const TemplateEntry& entry : object.entries) {
      const auto pattern = entry.home == name ? pattern_of(entry, object) : std::nullopt;
      if (pattern) {
        add_host(*pattern, entry.place, "template " + name, linted);
      }
    }
  }
  for (const auto& [key, policy] : report.policies.policies) {
    std::ranges::move(lint_policy(*policy.model), std::back_inserter(linted.findings));
    for (const NameRule& rule : policy.model->allow_names) {
      if (rule.origin.via.empty()) {
        add_host(rule.pattern, rule.origin.place, "policy " + key, linted);
      }
    }
  }
  linted.lists = report.templates.size() + report.policies.policies.size();
}

/// Asks for every host. @return false: nobody could be asked, which is said.
bool look_up(const LintArguments& arguments, Linted& linted) {
  std::vector<std::string> names;
  for (const auto& [name, places] : linted.hosts) {
    names.push_back(name);
  }
  LookupOptions options;
  options.server = arguments.server;
  const bool terminal = isatty(STDERR_FILENO) == 1;
  if (terminal) {
    options.progress = [&](std::size_t done) {
      std::fprintf(stderr, "\rlooked up %zu of %zu%s", done, names.size(), done == names.size() ? "\r\033[K" : "");
      std::fflush(stderr);
    };
  }
  const auto answers = look_up_names(names, options);
  if (!answers) {
    std::fprintf(stderr, "postern: --resolve: %s\n", answers.error().message().c_str());
    return false;
  }
  for (const NameAnswer& answer : *answers) {
    if (answer.outcome == NameAnswer::Outcome::kFound) {
      continue;
    }
    const std::string what = answer.outcome == NameAnswer::Outcome::kNoName      ? "does not exist any more"
                             : answer.outcome == NameAnswer::Outcome::kNoAddress ? "has no address"
                                                                                 : "could not be looked up";
    const std::string mend = answer.outcome == NameAnswer::Outcome::kFailed
                                 ? " (" + answer.problem + "): try again, or another --server"
                                 : ": remove it, or write what took its place";
    for (const auto& [place, subject] : linted.hosts.at(answer.name)) {
      linted.findings.push_back({place, "unresolved", subject, "\"" + answer.name + "\" " + what + mend});
    }
  }
  return true;
}

void print_json(const Linted& linted) {
  auto out = nlohmann::json::array();
  for (const LintFinding& finding : linted.findings) {
    out.push_back({{"file", finding.place.file},
                   {"line", finding.place.line},
                   {"column", finding.place.column},
                   {"check", finding.check},
                   {"of", finding.subject},
                   {"message", finding.message}});
  }
  std::printf("%s\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void print_text(const Linted& linted, bool resolved) {
  for (const LintFinding& finding : linted.findings) {
    std::printf("%s: %s: %s%s\n", finding.place.to_string().c_str(), finding.check.c_str(),
                finding.subject.empty() ? "" : (finding.subject + ": ").c_str(), finding.message.c_str());
  }
  std::printf("%s, %s%s: %s.\n", counted(linted.lists, "list").c_str(), counted(linted.hosts.size(), "host").c_str(),
              resolved ? " looked up" : "",
              linted.findings.empty() ? "nothing found" : counted(linted.findings.size(), "finding").c_str());
}

int run(const LintArguments& arguments) {
  const std::string folder = arguments.templates.empty() ? default_template_folder() : arguments.templates;
  std::vector<std::string> paths = arguments.paths;
  if (paths.empty()) {
    paths.push_back(folder);
  }
  Diagnostics ignored;  // of templates that are not looked at; those that are report their own
  Diagnostics unreadable;
  const auto known = read_template_folder(folder, ignored);
  const auto sources = read_sources(paths, unreadable);
  if (!known || folder.empty()) {
    std::fprintf(stderr, "postern: --templates: %s\n",
                 known ? "no templates are installed: name their folder" : known.error().message().c_str());
    return 2;
  }
  Linted linted;
  look_at(check_files(sources, *known), linted);
  for (const Diagnostic& error : unreadable.errors()) {
    linted.findings.push_back({error.place, "syntax", "", error.message});
  }
  if (arguments.resolve && !look_up(arguments, linted)) {
    return 2;
  }
  std::ranges::stable_sort(linted.findings, {}, [](const LintFinding& finding) {
    return std::tie(finding.place.file, finding.place.line, finding.place.column);
  });
  arguments.output == "json" ? print_json(linted) : print_text(linted, arguments.resolve);
  return linted.findings.empty() ? 0 : 1;
}

}  // namespace

void add_allowlist_lint(CLI::App& parent, int& exit_status) {
  auto arguments = std::make_shared<LintArguments>();
  auto* command = parent.add_subcommand("lint", "What is wrong or odd about templates and policies");
  command->add_option("FILE", arguments->paths,
                      "Templates, policies or folders of them. Default: those of --templates");
  command->add_flag("--resolve", arguments->resolve, "Look every host up, and say which do not resolve any more");
  add_server_option(*command, arguments->server);
  add_templates_option(*command, arguments->templates);
  add_output_option(*command, arguments->output, {"text", "json"});
  command->footer(
      "Checks: syntax, duplicate, shadowed (another entry opens as much), public-suffix (anybody can register such "
      "names), user-content (strangers publish there and nothing says so), unresolved.\nExit status: 0 nothing found, "
      "1 something, 2 a wrong command line.\n\nExamples:\n  postern allowlist lint\n  postern allowlist lint "
      "team-services.yaml --resolve");
  command->callback([arguments, &exit_status] { exit_status = run(*arguments); });
}

}  // namespace postern
