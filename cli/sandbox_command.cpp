// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/text_table.h"

namespace postern {
namespace {

struct AttachOptions {
  std::string interface;
  std::string policy;
  std::vector<std::string> addresses;
  std::string mac;
  std::vector<std::string> search;
};

std::vector<std::string> texts(const google::protobuf::RepeatedPtrField<std::string>& field) {
  return {field.begin(), field.end()};
}

std::string joined(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) {
    all += (all.empty() ? "" : ",") + part;
  }
  return all;
}

nlohmann::json to_json(const api::SandboxReply& sandbox) {
  return {{"id", sandbox.id()},
          {"interface", sandbox.interface()},
          {"policy", sandbox.policy()},
          {"addresses", texts(sandbox.addresses())},
          {"mac", sandbox.mac()},
          {"search", texts(sandbox.search())},
          {"generation", sandbox.generation()},
          {"grants", sandbox.grants()},
          {"flows", sandbox.flows()},
          {"mode", sandbox.mode()},
          {"namespace", sandbox.namespace_()},
          {"pod", sandbox.pod()},
          {"held", sandbox.held()}};
}

std::string pod_of(const api::SandboxReply& sandbox) {
  return sandbox.held() ? "(not known yet)" : sandbox.pod().empty() ? "-" : sandbox.namespace_() + "/" + sandbox.pod();
}

void list(CliContext& context, const std::string& output) {
  api::ControlRequest request;
  request.mutable_sandbox_list();
  const auto reply = call_posternd(context.control_socket, request);
  if (!reply) {
    return print_error(context, reply.error());
  }
  const auto& sandboxes = reply->sandbox_list().sandboxes();
  if (output == "json") {
    auto all = nlohmann::json::array();
    for (const auto& sandbox : sandboxes) {
      all.push_back(to_json(sandbox));
    }
    std::printf("%s\n", all.dump(2).c_str());
    return;
  }
  if (sandboxes.empty()) {
    std::printf("No sandboxes. Attach one: postern sandbox attach --interface IF --policy NAME\n");
    return;
  }
  const bool pods = std::ranges::any_of(sandboxes, [](const auto& each) { return each.held() || !each.pod().empty(); });
  std::vector<std::string> headings = {"ID", "INTERFACE", "POLICY", "MODE", "GRANTS", "FLOWS", "ADDRESSES"};
  if (pods) {
    headings.emplace_back("POD");
  }
  TextTable table(headings);
  for (const auto& sandbox : sandboxes) {
    std::vector<std::string> cells = {std::to_string(sandbox.id()),
                                      sandbox.interface(),
                                      sandbox.policy().empty() ? "-" : sandbox.policy(),
                                      sandbox.mode(),
                                      std::to_string(sandbox.grants()),
                                      std::to_string(sandbox.flows()),
                                      joined(texts(sandbox.addresses()))};
    if (pods) {
      cells.push_back(pod_of(sandbox));
    }
    table.add(cells);
  }
  table.print();
}

void attach(CliContext& context, const AttachOptions& options) {
  api::ControlRequest request;
  auto& attach = *request.mutable_sandbox_attach();
  attach.set_interface(options.interface);
  attach.set_policy(options.policy);
  attach.set_mac(options.mac);
  attach.mutable_addresses()->Assign(options.addresses.begin(), options.addresses.end());
  attach.mutable_search()->Assign(options.search.begin(), options.search.end());
  const auto reply = call_posternd(context.control_socket, request);
  if (!reply) {
    return print_error(context, reply.error());
  }
  const auto& sandbox = reply->sandbox_attach();
  std::printf("Sandbox %u behind %s is under policy %s (%s).\n", sandbox.id(), sandbox.interface().c_str(),
              sandbox.policy().c_str(), joined(texts(sandbox.addresses())).c_str());
}

void detach(CliContext& context, const std::string& sandbox) {
  api::ControlRequest request;
  request.mutable_sandbox_detach()->set_sandbox(sandbox);
  const auto reply = call_posternd(context.control_socket, request);
  if (!reply) {
    return print_error(context, reply.error());
  }
  std::printf("Sandbox %u behind %s is no longer restricted.\n", reply->sandbox_detach().id(),
              reply->sandbox_detach().interface().c_str());
}

void set_mode(CliContext& context, const std::string& sandbox, const std::string& mode) {
  api::ControlRequest request;
  request.mutable_sandbox_mode()->set_sandbox(sandbox);
  request.mutable_sandbox_mode()->set_mode(mode);
  const auto reply = call_posternd(context.control_socket, request);
  if (!reply) {
    return print_error(context, reply.error());
  }
  const auto& changed = reply->sandbox_mode();
  if (changed.mode() == "lockdown") {
    std::printf("Sandbox %u behind %s is locked down: nothing of it passes, live connections neither.\n", changed.id(),
                changed.interface().c_str());
    std::printf("To end it: postern sandbox mode %s enforce\n", changed.interface().c_str());
  } else {
    std::printf("Sandbox %u behind %s is under policy %s again.\n", changed.id(), changed.interface().c_str(),
                changed.policy().empty() ? "none: it is denied everything" : changed.policy().c_str());
  }
}

}  // namespace

void add_sandbox_command(CLI::App& app, CliContext& context) {
  auto* sandbox = app.add_subcommand("sandbox", "List, attach, detach and lock down sandboxes");
  sandbox->require_subcommand(1);

  auto output = std::make_shared<std::string>("text");
  auto* list_command = sandbox->add_subcommand("list", "The sandboxes of this node, with their policies");
  list_command->add_option("-o,--output", *output, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  list_command->callback([&context, output] { list(context, *output); });

  auto options = std::make_shared<AttachOptions>();
  auto* attach_command = sandbox->add_subcommand(
      "attach", "Put the gate on an interface: from then on only what the policy allows gets out");
  attach_command
      ->add_option("--interface", options->interface,
                   "The sandbox's interface on this node: the host end of its veth, or its tap")
      ->required();
  attach_command->add_option("--policy", options->policy, "Name of an EgressPolicy (metadata.name)")->required();
  attach_command->add_option(
      "--address", options->addresses,
      "An address of the sandbox; repeat for more. Default: read from the other end of the veth");
  attach_command->add_option("--mac", options->mac,
                             "The sandbox's MAC address. Default: read from the other end of the veth");
  attach_command->add_option(
      "--search", options->search,
      "A search suffix of the sandbox's resolv.conf; repeat for more. Default: dns.search of the configuration");
  attach_command->footer(
      "Example:\n  postern sandbox attach --interface veth1234 --policy reference-agent --search corp.example");
  attach_command->callback([&context, options] { attach(context, *options); });

  auto name = std::make_shared<std::string>();
  auto* detach_command =
      sandbox->add_subcommand("detach", "Take the gate off an interface: the sandbox is unrestricted from then on");
  detach_command->add_option("sandbox", *name, "Interface or id, as `postern sandbox list` shows it")->required();
  detach_command->callback([&context, name] { detach(context, *name); });

  auto mode = std::make_shared<std::string>();
  auto* mode_command = sandbox->add_subcommand("mode", "Lock a sandbox down at once, or put it under its policy again");
  mode_command->add_option("sandbox", *name, "Interface or id, as `postern sandbox list` shows it")->required();
  mode_command->add_option("mode", *mode, "enforce or lockdown")->required()->check(CLI::IsMember({"enforce", "lockdown"}));
  mode_command->footer(
      "lockdown drops every packet of the sandbox in both directions, also those of live connections, lookups and the "
      "node's probes.\nIt outlives posternd and changes of labels, scope and policies, and ends with the interface.\n\n"
      "Example:\n  postern sandbox mode veth1234 lockdown");
  mode_command->callback([&context, name, mode] { set_mode(context, *name, *mode); });
}

}  // namespace postern
