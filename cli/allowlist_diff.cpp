// SPDX-License-Identifier: Apache-2.0
//
// `postern allowlist diff`: what opens and what closes between two versions of policies and templates.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/allowlist_parts.h"
#include "cli/policy_check.h"
#include "cli/source_files.h"
#include "cli/text_table.h"
#include "policies/compose.h"
#include "policies/policy_diff.h"

namespace postern {
namespace {

constexpr int kTrouble = 2;  // 1 says that they differ

struct DiffArguments {
  std::string before;
  std::string after;
  std::string templates;
  std::string output;
};

/// Images by what they are of: "policy shop/web", "template tools".
using Images = std::map<std::string, std::shared_ptr<const PolicyImage>>;

/// A template as a policy that takes all of it, with the parameters' defaults.
std::shared_ptr<const PolicyImage> image_of(const AllowlistTemplate& object, const TemplateSet& all) {
  Diagnostics diagnostics;
  const auto entries = compose({{object.name}, {}, {}, {}}, all, diagnostics);
  Policy policy = policy_of(entries, object.name);
  for (NameRule& rule : policy.allow_names) {
    rule.origin.via.clear();
  }
  return compile(policy, {}, diagnostics);
}

std::optional<Images> load(const std::string& path, const std::vector<AllowlistTemplate>& known) {
  Diagnostics unreadable;
  const auto sources = read_sources({path}, unreadable);
  if (print_errors(unreadable)) {
    return std::nullopt;
  }
  const CheckReport report = check_files(sources, known);
  for (const Diagnostic& error : report.errors) {
    std::fprintf(stderr, "%s\n", error.to_string().c_str());
  }
  if (!report.errors.empty()) {
    return std::nullopt;
  }
  Images images;
  for (const auto& [key, policy] : report.policies.policies) {
    images["policy " + key] = policy.image;
  }
  for (const auto& [name, object] : report.templates) {
    images["template " + name] = image_of(object, report.templates);
  }
  return images;
}

struct Changes {
  std::string subject;
  std::vector<PolicyChange> list;
};

std::vector<Changes> compare(const Images& before, const Images& after) {
  std::set<std::string> subjects;
  for (const Images* images : {&before, &after}) {
    for (const auto& [subject, image] : *images) {
      subjects.insert(subject);
    }
  }
  std::vector<Changes> all;
  const auto find = [](const Images& images, const std::string& subject) {
    const auto found = images.find(subject);
    return found == images.end() ? nullptr : found->second.get();
  };
  for (const std::string& subject : subjects) {
    auto changes = diff_images(find(before, subject), find(after, subject));
    if (!changes.empty()) {
      all.push_back({subject, std::move(changes)});
    }
  }
  return all;
}

void print_text(const std::vector<Changes>& all) {
  if (all.empty()) {
    std::printf("Nothing opens and nothing closes.\n");
    return;
  }
  TextTable table({"CHANGE", "KIND", "TARGET", "PORTS", "OF", "ORIGIN"});
  std::size_t opened = 0;
  std::size_t closed = 0;
  for (const Changes& changes : all) {
    for (const PolicyChange& change : changes.list) {
      table.add({change.opens ? "+ opens" : "- closes", std::string(name_of(change.kind)), change.target,
                 change.ports.empty() ? "-" : change.ports.to_string(), changes.subject,
                 change.origin.empty() ? "-" : change.origin});
      ++(change.opens ? opened : closed);
    }
  }
  table.print();
  std::printf("%zu open, %zu close.\n", opened, closed);
}

void print_json(const std::vector<Changes>& all) {
  auto out = nlohmann::json::array();
  for (const Changes& changes : all) {
    for (const PolicyChange& change : changes.list) {
      out.push_back({{"change", change.opens ? "opens" : "closes"},
                     {"kind", name_of(change.kind)},
                     {"target", change.target},
                     {"ports", change.ports.to_string()},
                     {"of", changes.subject},
                     {"origin", change.origin}});
    }
  }
  std::printf("%s\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

int run(const DiffArguments& arguments) {
  const std::string folder = arguments.templates.empty() ? default_template_folder() : arguments.templates;
  Diagnostics diagnostics;
  const auto known = read_template_folder(folder, diagnostics);
  if (!known) {
    std::fprintf(stderr, "postern: --templates: %s\n", known.error().message().c_str());
    return kTrouble;
  }
  const auto before = load(arguments.before, *known);
  const auto after = load(arguments.after, *known);
  if (print_errors(diagnostics) || !before || !after) {
    return kTrouble;
  }
  const auto changes = compare(*before, *after);
  arguments.output == "json" ? print_json(changes) : print_text(changes);
  return changes.empty() ? 0 : 1;
}

}  // namespace

void add_allowlist_diff(CLI::App& parent, int& exit_status) {
  auto arguments = std::make_shared<DiffArguments>();
  auto* command = parent.add_subcommand("diff", "What opens and what closes from one version to another");
  command->add_option("OLD", arguments->before, "Policy or template file, or a folder of them")->required();
  command->add_option("NEW", arguments->after, "The same, as it is to be")->required();
  add_templates_option(*command, arguments->templates);
  add_output_option(*command, arguments->output, {"text", "json"});
  command->footer(
      "Policies and templates are compared by name. A name is new as far as no old pattern covers it on its "
      "ports.\nExit status: 0 nothing changes, 1 something does, 2 the files are wrong or the command line is.\n\n"
      "Example:\n  postern allowlist diff /etc/postern/policies new-policies");
  command->callback([arguments, &exit_status] { exit_status = run(*arguments); });
}

}  // namespace postern
