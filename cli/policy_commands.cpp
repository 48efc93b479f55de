// SPDX-License-Identifier: Apache-2.0
//
// reload and explain: what the policies are, and what they mean for one target.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"

namespace postern {
namespace {

void reload(CliContext& context) {
  api::ControlRequest request;
  request.mutable_reload();
  const auto reply = call_posternd(context.control_socket, request);
  if (!reply) {
    return print_error(context, reply.error());
  }
  const auto& done = reply->reload();
  for (const std::string& warning : done.warnings()) {
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  }
  std::printf("Generation %u, %u policies%s.\n", done.generation(), done.policies(),
              done.changed() ? "" : ", nothing changed");
}

/// All rules, a heading for each layer and the owner where it changes.
void print_rules(const api::ExplainReply& explained) {
  std::printf("%s\n", explained.verdict().c_str());
  std::string layer;
  std::string owner;
  for (const auto& rule : explained.rules()) {
    if (rule.layer() != layer || rule.owner() != owner) {
      layer = rule.layer();
      owner = rule.owner();
      std::printf("\n%s (%s)\n", owner.c_str(), layer.c_str());
    }
    std::printf("  %-44s %s\n", rule.text().c_str(), rule.origin().c_str());
  }
  if (!explained.notes().empty()) {
    std::printf("\n");
  }
  for (const std::string& note : explained.notes()) {
    std::printf("note: %s\n", note.c_str());
  }
}

void print_text(const api::ExplainReply& explained) {
  std::printf("%s: %s\n", explained.allowed() ? "ALLOWED" : "DENIED", explained.verdict().c_str());
  for (const auto& rule : explained.rules()) {
    std::printf("  %s\n      %s\n", rule.text().c_str(), rule.origin().c_str());
  }
  for (const std::string& note : explained.notes()) {
    std::printf("  note: %s\n", note.c_str());
  }
}

void print_json(const api::ExplainReply& explained, bool one_target) {
  nlohmann::json out{{"verdict", explained.verdict()},
                     {"policy", explained.policy()},
                     {"rules", nlohmann::json::array()},
                     {"notes", std::vector<std::string>(explained.notes().begin(), explained.notes().end())}};
  if (one_target) {
    out["allowed"] = explained.allowed();
  }
  for (const auto& rule : explained.rules()) {
    out["rules"].push_back(
        {{"rule", rule.text()}, {"origin", rule.origin()}, {"owner", rule.owner()}, {"layer", rule.layer()}});
  }
  std::printf("%s\n", out.dump(2).c_str());
}

struct ExplainOptions {
  std::string sandbox;
  std::string target;
  std::string output = "text";
};

void explain(CliContext& context, const ExplainOptions& options) {
  api::ControlRequest request;
  request.mutable_explain()->set_sandbox(options.sandbox);
  request.mutable_explain()->set_target(options.target);
  const auto reply = call_posternd(context.control_socket, request);
  if (!reply) {
    return print_error(context, reply.error());
  }
  if (options.output == "json") {
    print_json(reply->explain(), !options.target.empty());
  } else if (options.target.empty()) {
    print_rules(reply->explain());
  } else {
    print_text(reply->explain());
  }
}

}  // namespace

void add_reload_command(CLI::App& app, CliContext& context) {
  auto* command =
      app.add_subcommand("reload", "Load the policy files again; returns when every sandbox is under the new policies");
  command->footer("A file with an error changes nothing: the policies in force stay, and the exit status is 1.");
  command->callback([&context] { reload(context); });
}

void add_explain_command(CLI::App& app, CliContext& context) {
  auto options = std::make_shared<ExplainOptions>();
  auto* command = app.add_subcommand(
      "explain",
      "May this sandbox reach this name or address, and which rule of which file says so; or all it may reach");
  command->add_option("sandbox", options->sandbox, "Interface or id, as `postern sandbox list` shows it")->required();
  command->add_option("target", options->target, "NAME-or-ADDRESS[:PORT[/udp]]; without it every rule, in order");
  command->add_option("-o,--output", options->output, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  command->footer(
      "Examples:\n  postern explain veth1234\n  postern explain veth1234 pypi.org\n  postern explain veth1234 "
      "8.8.8.8:443\n  postern explain 7 "
      "[2001:db8::1]:53/udp");
  command->callback([&context, options] { explain(context, *options); });
}

}  // namespace postern
