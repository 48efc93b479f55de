// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_check.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <memory>
#include <set>

#include "cli/policy_report.h"
#include "cli/policy_test.h"
#include "policies/inventory_reader.h"
#include "policies/peer_resolver.h"
#include "policies/policy_test.h"
#include "policies/template_links.h"
#include "policies/template_reader.h"

namespace postern {
namespace {

struct CheckOptions {
  std::vector<std::string> paths;
  std::vector<std::string> inventory;
  std::string templates;
  std::string output = "text";
};

/// A selector that means nobody is as often a slip of the pen as it is meant.
void warn_of_nobody(CheckReport& report) {
  Diagnostics diagnostics;
  for (const auto& [name, policy] : report.policies.policies) {
    for (const PeerRule& peer : policy.model->peers) {
      Policy alone;
      alone.peers = {peer};
      if (!peer.ports.empty() && resolve_cidrs(alone, report.policies.inventory).empty()) {
        diagnostics.warn(peer.origin.place, "", "nothing in the inventory is meant by this: " + peer.to_string());
      }
    }
  }
  report.take(diagnostics);
}

void add_inventory(const SourceText& source, InventoryDraft& inventory, CheckReport& report) {
  Diagnostics of_file;
  read_inventory(source.text, source.file, inventory, of_file);
  report.has_inventory = true;
  report.take(of_file);
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
  const auto cluster = read_sources(options.inventory, unreadable);
  CheckReport report = check_files(sources, *known, cluster);
  report.take(in_templates);
  report.take(unreadable);
  const CheckScope scope{folder, sources.size()};
  if (options.output == "sarif") {
    print_sarif(sarif_results(report.errors, report.warnings));
  } else {
    options.output == "json" ? print_check_json(report, scope) : print_check_text(report, scope);
  }
  return report.errors.empty() ? 0 : 1;
}

}  // namespace

CheckReport check_files(const std::vector<SourceText>& files,
                        const std::vector<AllowlistTemplate>& known,
                        const std::vector<SourceText>& cluster) {
  CheckReport report;
  InventoryDraft inventory;
  for (const SourceText& source : cluster) {
    add_inventory(source, inventory, report);
  }
  Diagnostics in_templates;
  std::vector<const SourceText*> policies;
  std::vector<AllowlistTemplate> templates;
  for (const SourceText& source : files) {
    const std::string kind = kind_of(source);
    if (kind == "AllowlistTemplate") {
      Diagnostics of_file;  // each file has a limit of errors of its own
      std::ranges::move(read_templates(source.text, source.file, of_file), std::back_inserter(templates));
      report.take(of_file);
    } else if (kind == "PolicyTest") {
      Diagnostics of_file;
      read_policy_tests(source.text, source.file, of_file);
      report.take(of_file);
    } else if (kind == "Inventory") {
      if (std::ranges::find(cluster, source.file, &SourceText::file) == cluster.end()) {
        add_inventory(source, inventory, report);
      }
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
  report.take(in_templates);
  std::ranges::copy_if(usable, std::inserter(report.templates, report.templates.end()),
                       [&](const auto& object) { return checked.contains(object.first); });
  report.policies.inventory = finish_inventory(std::move(inventory));
  for (const SourceText* source : policies) {
    Diagnostics diagnostics;
    const std::size_t before = report.policies.policies.size();
    add_policies(source->text, source->file, usable, report.policies, diagnostics);
    if (!diagnostics.failed() && report.policies.policies.size() == before) {
      diagnostics.warn({source->file}, "", "holds no policy");
    }
    report.take(diagnostics);
  }
  if (report.has_inventory) {
    warn_of_nobody(report);
  }
  return report;
}

void add_policy_command(CLI::App& app, int& exit_status) {
  auto* policy = app.add_subcommand("policy", "Work with policy files; needs no daemon");
  policy->require_subcommand(1);
  auto options = std::make_shared<CheckOptions>();
  auto* command = policy->add_subcommand("check", "Are these policies right, and what do they open");
  command->add_option("FILE", options->paths,
                      "Policy, template, inventory or test files, or folders of them (*.yaml, *.yml; not folders below)");
  command->add_option("--inventory", options->inventory, kInventoryHelp)->type_name("FILE")->allow_extra_args(false);
  command->add_option("--templates", options->templates, kTemplatesHelp);
  command->add_option("-o,--output", options->output, "text, json or sarif")
      ->check(CLI::IsMember({"text", "json", "sarif"}))
      ->capture_default_str();
  command->footer(
      "Prints an error a line, FILE:LINE:COLUMN: FIELD: what to write instead, and a summary of every policy that is "
      "right.\nExit status: 0 all is right, 1 errors in files, 2 a wrong command line.\n\nExamples:\n"
      "  postern policy check /etc/postern/policies\n  postern policy check --templates allowlists agent.yaml -o json\n"
      "  kubectl get pods,namespaces,nodes,services,endpointslices -A -o yaml > cluster.yaml\n"
      "  postern policy check --inventory cluster.yaml agent.yaml");
  command->callback([options, &exit_status] { exit_status = check(*options); });
  add_policy_test_command(*policy, exit_status);
}

}  // namespace postern
