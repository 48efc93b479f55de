// SPDX-License-Identifier: Apache-2.0
//
// `postern allowlist render`: policies written in another kind; `import`: the same, into native ones.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <memory>
#include <set>

#include "cli/allowlist_parts.h"
#include "cli/name_lookup.h"
#include "cli/policy_check.h"
#include "cli/source_files.h"
#include "policies/policy_reader.h"
#include "policies/render.h"
#include "policies/template_links.h"

namespace postern {
namespace {

struct RenderArguments {
  std::vector<std::string> paths;
  std::string target = "native";
  std::string templates;
  std::vector<std::string> params;
  std::vector<std::string> name_servers;
  bool resolve = false;
  std::string server;
};

/// The policies of all files, and the templates they may use: those among the files and those of --templates.
struct Loaded {
  std::vector<Policy> policies;
  TemplateSet templates;
};

/// Objects of several kinds may share a name; written in one kind they must not.
void tell_apart(std::vector<Policy>& policies) {
  std::set<std::string> taken;
  for (Policy& policy : policies) {
    const std::string name = policy.name;
    for (int number = 2; !taken.insert(policy.space + "/" + policy.name).second; ++number) {
      policy.name = name + "-" + std::to_string(number);
    }
  }
}

std::optional<Loaded> load(const RenderArguments& arguments) {
  const std::string folder = arguments.templates.empty() ? default_template_folder() : arguments.templates;
  Diagnostics diagnostics;
  const auto known = read_template_folder(folder, diagnostics);
  if (!known) {
    std::fprintf(stderr, "postern: --templates: %s\n", known.error().message().c_str());
    return std::nullopt;
  }
  const auto sources = read_sources(arguments.paths, diagnostics);
  if (print_errors(diagnostics)) {
    return std::nullopt;
  }
  CheckReport report = check_files(sources, *known);
  for (const Diagnostic& error : report.errors) {
    std::fprintf(stderr, "%s\n", error.to_string().c_str());
  }
  if (!report.errors.empty()) {
    return std::nullopt;
  }
  Loaded loaded{{}, link_templates(*known, diagnostics)};
  for (const auto& [name, object] : report.templates) {
    loaded.templates[name] = object;
  }
  for (const auto& [key, policy] : report.policies.policies) {
    loaded.policies.push_back(*policy.model);
  }
  std::ranges::stable_sort(loaded.policies, {},
                           [](const Policy& policy) { return std::pair(policy.place.file, policy.place.line); });
  if (loaded.policies.empty()) {
    std::fprintf(stderr, "postern: these files hold no policy: name files with EgressPolicy or another policy kind\n");
    return std::nullopt;
  }
  if (const auto together = check_together(loaded.policies); !together) {
    std::fprintf(stderr, "postern: %s\n", together.error().message().c_str());
    return std::nullopt;
  }
  tell_apart(loaded.policies);
  return loaded;
}

/// Sentences, each said once, with the policies it is about.
class Remarks {
 public:
  void add(const std::string& policy, const std::vector<std::string>& sentences) {
    for (const std::string& sentence : sentences) {
      auto known = std::ranges::find(said_, sentence, &std::pair<std::string, std::vector<std::string>>::first);
      if (known == said_.end()) {
        known = said_.insert(known, {sentence, {}});
      }
      known->second.push_back(policy);
    }
  }

  void print(const char* what) const {
    constexpr std::size_t kNamed = 3;
    for (const auto& [sentence, policies] : said_) {
      std::string who;
      for (std::size_t i = 0; i < std::min(kNamed, policies.size()); ++i) {
        who += (i == 0 ? "" : ", ") + policies[i];
      }
      who += policies.size() > kNamed ? " and " + std::to_string(policies.size() - kNamed) + " more" : "";
      std::fprintf(stderr, "%s: %s: %s\n", what, who.c_str(), sentence.c_str());
    }
  }

  bool empty() const { return said_.empty(); }

 private:
  std::vector<std::pair<std::string, std::vector<std::string>>> said_;
};

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

/// Addresses of every single host that the policies name.
std::optional<ResolvedNames> look_up(const RenderArguments& arguments,
                                     const Loaded& loaded,
                                     const RenderOptions& options) {
  std::vector<std::string> names;
  for (const Policy& policy : loaded.policies) {
    std::ranges::move(names_to_resolve(policy, options), std::back_inserter(names));
  }
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  LookupOptions lookups;
  lookups.server = arguments.server;
  const auto answers = look_up_names(names, lookups);
  if (!answers) {
    std::fprintf(stderr, "postern: --resolve: %s\n", answers.error().message().c_str());
    return std::nullopt;
  }
  ResolvedNames resolved{{}, today()};
  for (const NameAnswer& answer : *answers) {
    resolved.addresses[answer.name] = answer.addresses;
  }
  return resolved;
}

int write(const RenderArguments& arguments, const Loaded& loaded, RenderOptions options) {
  std::optional<ResolvedNames> resolved;
  if (arguments.resolve) {
    resolved = look_up(arguments, loaded, options);
    if (!resolved) {
      return 1;
    }
    options.resolved = &*resolved;
  }
  std::string text;
  Remarks losses;
  Remarks notes;
  for (const Policy& policy : loaded.policies) {
    const auto rendered = render(policy, options);
    if (!rendered) {
      std::fprintf(stderr, "postern: %s\n", rendered.error().message().c_str());
      return 1;
    }
    text += (text.empty() ? "" : "---\n") + rendered->yaml;
    losses.add(policy.name, rendered->losses);
    notes.add(policy.name, rendered->notes);
  }
  if (options.target == RenderTarget::kNative && !reads_back(text)) {
    return 1;
  }
  std::fputs(text.c_str(), stdout);
  losses.print("loss");
  notes.print("note");
  return losses.empty() ? 0 : 3;
}

int run(const RenderArguments& arguments) {
  RenderOptions options;
  options.target = *target_of(arguments.target);
  const auto values = read_params(arguments.params);
  if (!values) {
    return 2;
  }
  options.values = *values;
  for (const std::string& server : arguments.name_servers) {
    const auto prefix = Prefix::parse(server);
    if (!prefix) {
      std::fprintf(stderr, "postern: --dns: %s\n", prefix.error().message().c_str());
      return 2;
    }
    options.name_servers.push_back(*prefix);
  }
  const auto loaded = load(arguments);
  if (!loaded) {
    return 1;
  }
  options.templates = &loaded->templates;
  return write(arguments, *loaded, options);
}

constexpr const char* kExit =
    "Never opens more than the source. What cannot be said stays closed and is a loss: a comment in the output and a "
    "line on stderr.\nExit status: 0 written whole, 1 not written, 2 a wrong command line, 3 written with losses.";

}  // namespace

void add_allowlist_render(CLI::App& parent, int& exit_status) {
  auto arguments = std::make_shared<RenderArguments>();
  auto* command =
      parent.add_subcommand("render", "Write policies in another kind: Cilium's, AWS's, GKE's, NetworkPolicy");
  command->add_option("FILE", arguments->paths, "Policy files of any kind, or folders of them")->required();
  command->add_option("--to", arguments->target, "native, cilium, aws, gke or netpol")
      ->check(CLI::IsMember({"native", "cilium", "aws", "gke", "netpol"}))
      ->required();
  add_param_option(*command, arguments->params);
  command->add_option("--dns", arguments->name_servers, "CIDR of name servers. Default: the pods of kube-dns")
      ->allow_extra_args(false);
  command->add_flag("--resolve", arguments->resolve, "For netpol: look names up, and open the addresses they have now");
  add_server_option(*command, arguments->server);
  add_templates_option(*command, arguments->templates);
  command->footer(std::string(kExit) +
                  "\n\nExamples:\n  postern allowlist render agent.yaml --to cilium >agent.cilium.yaml\n"
                  "  postern allowlist render agent.yaml --to aws --param region=us-west-2,eu-west-1\n"
                  "  postern allowlist render agent.yaml --to netpol --resolve");
  command->callback([arguments, &exit_status] { exit_status = run(*arguments); });
}

void add_allowlist_import(CLI::App& parent, int& exit_status) {
  auto arguments = std::make_shared<RenderArguments>();
  auto* command = parent.add_subcommand("import", "Write policies of other kinds as native ones");
  command->add_option("FILE", arguments->paths, "Policy files of any kind, or folders of them")->required();
  add_templates_option(*command, arguments->templates);
  command->footer(std::string(kExit) + "\n\nExample:\n  postern allowlist import cilium/*.yaml >policies.yaml");
  command->callback([arguments, &exit_status] { exit_status = run(*arguments); });
}

}  // namespace postern
