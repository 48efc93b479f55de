// SPDX-License-Identifier: Apache-2.0
//
// `postern allowlist discover`: the hosts that this machine's package managers and container engines use, as a
// policy. Each with the file that says so.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>

#include "base/log.h"
#include "cli/allowlist_parts.h"
#include "cli/discover.h"
#include "cli/text_table.h"
#include "policies/compose.h"
#include "policies/native_reader.h"
#include "policies/never_list.h"

namespace postern {
namespace {

struct Tool {
  const char* name;
  void (*discover)(const MachineView& machine, Discovery& found);
};
constexpr std::array<Tool, 9> kTools{{{"pip", discover_pip},
                                      {"npm", discover_npm},
                                      {"cargo", discover_cargo},
                                      {"go", discover_go},
                                      {"maven", discover_maven},
                                      {"gem", discover_gem},
                                      {"apt", discover_apt},
                                      {"containers", discover_containers},
                                      {"proxy", discover_proxy}}};

struct DiscoverArguments {
  std::string root;
  std::string project;
  std::vector<std::string> only;
  std::string templates;
  std::string name = "discovered";
  std::string output;
};

/// A host and everything that says so.
struct Wanted {
  std::string target;  ///< Name, pattern or address.
  PortSet ports;
  std::vector<std::string> sources;
};

class Collector {
 public:
  Collector(const Discovery& found, const TemplateSet& templates) : found_(found), templates_(templates) {}

  /// @return false: a group that a tool's default needs is missing, which stderr says.
  bool run() {
    for (const FoundHost& host : found_.hosts) {
      take(host);
    }
    for (const FoundDefault& standard : found_.defaults) {
      if (!take_group(standard.group, {}, "", standard.tool + ": " + standard.why)) {
        return false;
      }
    }
    return true;
  }

  std::vector<Wanted>& list() { return list_; }
  std::vector<std::string>& notes() { return notes_; }

 private:
  void add(const std::string& target, const PortSet& ports, const std::string& source) {
    auto known = std::ranges::find_if(
        list_, [&](const Wanted& wanted) { return wanted.target == target && wanted.ports == ports; });
    if (known == list_.end()) {
      known = list_.insert(known, {target, ports, {}});
    }
    if (std::ranges::find(known->sources, source) == known->sources.end()) {
      known->sources.push_back(source);
    }
  }

  void take(const FoundHost& found) {
    const std::string where = found.file + (found.line > 0 ? ":" + std::to_string(found.line) : "");
    const std::string source = found.tool + ": " + where + " (" + found.setting + ")";
    const auto address = Address::parse(found.host.host);
    if (found.host.host == "localhost" || (address && is_never_allowed(*address))) {
      notes_.push_back(source + ": " + found.host.host + " is the machine itself or link-local, which no name opens.");
      return;
    }
    PortSet ports;
    ports.add(PortRange{kProtocolTcp, found.host.port, found.host.port});
    if (!address && !parse_pattern(found.host.host)) {
      notes_.push_back(source + ": \"" + printable(found.host.host) + "\" is not a host name: left out.");
      return;
    }
    add(address ? Prefix{*address, 128}.to_string() : found.host.host, ports, source);
    if (!address) {
      if (!take_companions(found, source)) {
        note_own_host(found.host.host);
      }
    }
  }

  /// A host that no template knows is likely one of the company's, with an address that answers may not have.
  void note_own_host(const std::string& text) {
    const auto host = DnsName::from_text(text);
    const bool known = !host || std::ranges::any_of(templates_, [&](const auto& object) {
      return std::ranges::any_of(object.second.entries,
                                 [&](const TemplateEntry& entry) { return opens(entry, *host); });
    });
    const std::string note = text + ": if its address is private, add the range to the policy's dns.private.";
    if (!known && std::ranges::find(notes_, note) == notes_.end()) {
      notes_.push_back(note);
    }
  }

  /// Hosts that a known registry sends its clients to: the others of its group. @return is it a known one?
  bool take_companions(const FoundHost& found, const std::string& source) {
    const auto host = DnsName::from_text(found.host.host);
    std::map<std::string, std::vector<std::string>> values;
    std::smatch region;
    static const std::regex kEcr(R"(\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com$)");
    if (std::regex_search(found.host.host, region, kEcr)) {
      values["region"] = {region[1].str()};
    }
    for (const char* name : {"package-registries", "container-registries"}) {
      const auto object = templates_.find(name);
      if (!host || object == templates_.end() || found.tool == "apt" || found.tool == "proxy") {
        continue;
      }
      for (const TemplateGroup& group : object->second.groups) {
        if (holds(object->second, group.name, values, *host)) {
          return take_group(object->first + ":" + group.name, values, found.host.host, source);
        }
      }
    }
    return false;
  }

  bool holds(const AllowlistTemplate& object,
             const std::string& group,
             const std::map<std::string, std::vector<std::string>>& values,
             const DnsName& host) const {
    Diagnostics ignored;
    const auto entries = compose({{object.name + ":" + group}, values_of(object, values), {}, {}}, templates_, ignored);
    return std::ranges::any_of(entries, [&](const ComposedEntry& composed) { return opens(composed.entry, host); });
  }

  static bool opens(const TemplateEntry& entry, const DnsName& host) {
    const auto pattern = entry.cidr ? Result<NamePattern>(NamePattern::any()) : parse_pattern(entry.text);
    return !entry.cidr && pattern && pattern->matches(host.wire());
  }

  /// Those values whose parameters the template has.
  static std::map<std::string, std::vector<std::string>> values_of(
      const AllowlistTemplate& object, const std::map<std::string, std::vector<std::string>>& values) {
    std::map<std::string, std::vector<std::string>> known;
    for (const TemplateParameter& parameter : object.parameters) {
      if (const auto given = values.find(parameter.name); given != values.end()) {
        known.insert(*given);
      }
    }
    return known;
  }

  /// @param host  what was configured; entries that open it are left out, since it stands for itself. Empty: none is.
  bool take_group(const std::string& group,
                  const std::map<std::string, std::vector<std::string>>& values,
                  const std::string& host,
                  const std::string& source) {
    Diagnostics diagnostics;
    const auto object = templates_.find(group.substr(0, group.find(':')));
    const auto given = object == templates_.end() ? values : values_of(object->second, values);
    const auto entries = compose({{group}, given, {}, {}}, templates_, diagnostics);
    if (print_errors(diagnostics)) {
      return false;
    }
    const auto asked = DnsName::from_text(host.empty() ? "." : host);
    for (const ComposedEntry& composed : entries) {
      if (host.empty() || !asked || !opens(composed.entry, *asked)) {
        add(composed.entry.text, composed.entry.ports,
            source + ", " + composed.origins[0].to_string() + (host.empty() ? "" : " goes with it"));
      }
    }
    return true;
  }

  const Discovery& found_;
  const TemplateSet& templates_;
  std::vector<Wanted> list_;
  std::vector<std::string> notes_;
};

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) {
    all += (all.empty() ? "" : "; ") + text;
  }
  return all;
}

Policy policy_of(const std::vector<Wanted>& list, const std::string& name) {
  Policy policy;
  policy.name = name;
  for (const Wanted& wanted : list) {
    Origin origin;
    origin.via = joined(wanted.sources);
    if (const auto prefix = Prefix::parse(wanted.target)) {
      policy.allow_cidrs.push_back({*prefix, {}, wanted.ports, origin, {}, false});
    } else if (const auto pattern = parse_pattern(wanted.target)) {
      policy.allow_names.push_back({*pattern, wanted.ports, origin, {}});
    }
  }
  return policy;
}

void print_json(const std::vector<Wanted>& list, const std::vector<std::string>& notes) {
  nlohmann::json out{{"hosts", nlohmann::json::array()}, {"notes", notes}};
  for (const Wanted& wanted : list) {
    out["hosts"].push_back({{"host", wanted.target}, {"ports", wanted.ports.to_string()}, {"sources", wanted.sources}});
  }
  std::printf("%s\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void print_table(const std::vector<Wanted>& list) {
  TextTable table({"HOST", "PORTS", "SOURCE"});
  for (const Wanted& wanted : list) {
    table.add({wanted.target, wanted.ports.to_string(), printable(joined(wanted.sources))});
  }
  table.print();
}

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> variables;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string text(*at);
    if (const std::size_t equals = text.find('='); equals != std::string::npos) {
      variables[text.substr(0, equals)] = text.substr(equals + 1);
    }
  }
  return variables;
}

int run(const DiscoverArguments& arguments) {
  std::error_code failed;
  for (const std::string& folder : {arguments.root, arguments.root + arguments.project}) {
    if (!folder.empty() && !std::filesystem::is_directory(folder, failed)) {
      std::fprintf(stderr, "postern: %s is not a folder: --root is another machine's \"/\", --project a path in it\n",
                   printable(folder).c_str());
      return 2;
    }
  }
  const auto templates = load_templates(arguments.templates);
  if (!templates) {
    return 1;
  }
  const MachineView machine(arguments.root, arguments.project, environment());
  Discovery found;
  for (const Tool& tool : kTools) {
    if (arguments.only.empty() || std::ranges::find(arguments.only, tool.name) != arguments.only.end()) {
      tool.discover(machine, found);
    }
  }
  Collector collector(found, *templates);
  if (!collector.run()) {
    return 1;
  }
  std::vector<std::string> notes = found.notes;
  std::ranges::move(collector.notes(), std::back_inserter(notes));
  if (collector.list().empty()) {
    notes.emplace_back("No tool was found that uses a host: the policy opens nothing.");
  }
  for (const std::string& note : notes) {
    std::fprintf(stderr, "note: %s\n", printable(note).c_str());
  }
  if (arguments.output == "json") {
    print_json(collector.list(), notes);
    return 0;
  }
  if (arguments.output == "text") {
    print_table(collector.list());
    return 0;
  }
  return print_policy(policy_of(collector.list(), arguments.name));
}

}  // namespace

void add_allowlist_discover(CLI::App& parent, int& exit_status) {
  auto arguments = std::make_shared<DiscoverArguments>();
  auto* command = parent.add_subcommand(
      "discover", "The hosts that this machine's package managers and container engines use, as a policy");
  command->add_option("--root", arguments->root, "Look at another machine's files, whose / is this folder");
  command->add_option("--project", arguments->project, "Folder with a configuration of its own (.npmrc, .cargo)");
  std::vector<std::string> names;
  for (const Tool& tool : kTools) {
    names.emplace_back(tool.name);
  }
  command->add_option("--only", arguments->only, "These tools alone")
      ->check(CLI::IsMember(names))
      ->allow_extra_args(false);
  add_templates_option(*command, arguments->templates);
  command->add_option("--name", arguments->name, "Of the policy")->capture_default_str();
  add_output_option(*command, arguments->output, {"yaml", "text", "json"});
  command->footer(
      "Reads the files of pip, uv, npm, Yarn, cargo, rustup, Go, Maven, gem, Bundler, apt, Docker, podman, containerd "
      "and "
      "k3s, and this process's environment. Runs nothing and asks nobody. A tool that is there and not configured uses "
      "its default registry. Credentials are not read out of the files.\n\nExamples:\n"
      "  postern allowlist discover >agent.yaml\n  postern allowlist discover --only pip --only apt -o text\n"
      "  postern allowlist discover --root /srv/images/agent");
  command->callback([arguments, &exit_status] { exit_status = run(*arguments); });
}

}  // namespace postern
