// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/text_table.h"

namespace postern {
namespace {

std::string joined(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) {
    all += (all.empty() ? "" : ", ") + text;
  }
  return all;
}

std::string span(std::uint64_t s) {
  if (s < 120) {
    return std::to_string(s) + " s";
  }
  return s < 7200 ? std::to_string(s / 60) + " min" : s < 172800 ? std::to_string(s / 3600) + " h" : std::to_string(s / 86400) + " d";
}

nlohmann::json to_json(const api::ClusterStatus& cluster) {
  const auto& window = cluster.window();
  nlohmann::json out{
      {"node", cluster.node()},
      {"api_server", cluster.api_server()},
      {"synced", cluster.synced()},
      {"trouble", cluster.trouble()},
      {"enforce", cluster.strict() ? "strict" : "selected"},
      {"policies_known", cluster.policies_known()},
      {"kinds", std::vector<std::string>(cluster.kinds().begin(), cluster.kinds().end())},
      {"kinds_absent", std::vector<std::string>(cluster.kinds_absent().begin(), cluster.kinds_absent().end())},
      {"dns_source", cluster.dns_source()},
      {"cni_results", cluster.cni_results()},
      {"pods",
       {{"in_scope", cluster.pods_in_scope()},
        {"attached", cluster.pods_attached()},
        {"unselected", cluster.pods_unselected()},
        {"waiting", cluster.pods_waiting()}}},
      {"interfaces_held", cluster.interfaces_held()},
      {"discovery_window",
       {{"count", window.count()},
        {"held", window.held()},
        {"let_go", window.let_go()},
        {"last_us", window.last_us()},
        {"max_us", window.max_us()}}},
      {"conditions", nlohmann::json::array()}};
  for (const auto& condition : cluster.conditions()) {
    out["conditions"].push_back({{"type", condition.type()},
                                 {"reason", condition.reason()},
                                 {"message", condition.message()},
                                 {"since_unix_s", condition.since_unix_s()}});
  }
  return out;
}

void print_cluster(const api::ClusterStatus& cluster) {
  std::printf("cluster     node %s, API server %s %s\n", cluster.node().c_str(), cluster.api_server().c_str(),
              !cluster.trouble().empty() ? "in trouble"
              : cluster.synced()         ? "reached, pods known"
                                         : "not heard from yet");
  std::printf("pods        %u in scope: %u attached, %u that no policy selects (%s), %u without an interface\n",
              cluster.pods_in_scope(), cluster.pods_attached(), cluster.pods_unselected(),
              cluster.strict() ? "denied everything" : "open", cluster.pods_waiting());
  if (cluster.kinds_size() > 0) {
    const std::string absent = joined(cluster.kinds_absent());
    std::printf("objects     %s%s%s\n", joined(cluster.kinds()).c_str(),
                cluster.policies_known() ? "" : ": not told by the API server yet",
                absent.empty() ? "" : ("; the API server has no " + absent).c_str());
  }
  const auto& window = cluster.window();
  std::printf("discovery   %llu new interfaces, open for %.1f ms (last) and %.1f ms (most); %llu shut on suspicion, "
              "%llu of these let go, %u shut now\n",
              static_cast<unsigned long long>(window.count()), static_cast<double>(window.last_us()) / 1000,
              static_cast<double>(window.max_us()) / 1000, static_cast<unsigned long long>(window.held()),
              static_cast<unsigned long long>(window.let_go()), cluster.interfaces_held());
}

void print_json(const api::StatusReply& status) {
  nlohmann::json out{{"version", status.version()},
                     {"uptime_s", status.uptime_s()},
                     {"kernel", status.kernel()},
                     {"gate", status.gate()},
                     {"generation", status.generation()},
                     {"dns", {{"connected", status.dns_connected()}, {"steering", status.steering()}, {"workers", status.dns_workers()},
                              {"upstreams", std::vector<std::string>(status.upstreams().begin(), status.upstreams().end())}}},
                     {"observer", {{"connected", status.observer_connected()}}},
                     {"sandboxes", status.sandboxes()},
                     {"locked", status.locked()},
                     {"policies", nlohmann::json::array()},
                     {"problems", std::vector<std::string>(status.problems().begin(), status.problems().end())}};
  for (const auto& policy : status.policies()) {
    out["policies"].push_back({{"name", policy.name()}, {"file", policy.file()}, {"line", policy.line()},
                               {"rules", policy.rules()}, {"sandboxes", policy.sandboxes()}});
  }
  if (status.has_cluster()) {
    out["cluster"] = to_json(status.cluster());
  }
  std::printf("%s\n", out.dump(2).c_str());
}

void print_text(const api::StatusReply& status) {
  std::printf("posternd    %s, up %s, kernel %s\n", status.version().c_str(), span(status.uptime_s()).c_str(), status.kernel().c_str());
  std::printf("gate        %s, generation %u\n", status.gate().c_str(), status.generation());
  if (status.dns_connected() && status.steering()) {
    const std::string source = status.cluster().dns_source();
    std::printf("dns         %u worker(s), asking %s%s\n", status.dns_workers(),
                status.upstreams().empty() ? "nobody" : joined(status.upstreams()).c_str(),
                source.empty() ? "" : (" (" + source + ")").c_str());
  } else {
    std::printf("dns         down\n");
  }
  std::printf("observer    %s\n", status.observer_connected() ? "connected" : "not connected");
  if (status.has_cluster()) {
    print_cluster(status.cluster());
  }
  const std::string locked = status.locked() == 0 ? "" : ", " + std::to_string(status.locked()) + " in lockdown";
  std::printf("sandboxes   %u%s\n", status.sandboxes(), locked.c_str());
  std::printf("policies    %d in %s%s\n", status.policies_size(), status.policy_folder().c_str(),
              status.cluster().kinds_size() > 0 ? " and objects of the cluster" : "");
  if (status.policies_size() > 0) {
    std::printf("\n");
    TextTable table({"POLICY", "RULES", "SANDBOXES", "WRITTEN IN"});
    for (const auto& policy : status.policies()) {
      table.add({policy.name(), std::to_string(policy.rules()), std::to_string(policy.sandboxes()),
                 policy.file() + (policy.line() == 0 ? "" : ":" + std::to_string(policy.line()))});
    }
    table.print();
  }
  for (const auto& condition : status.cluster().conditions()) {
    std::printf("\n%s (%s): %s\n", condition.type().c_str(), condition.reason().c_str(), condition.message().c_str());
  }
  for (const std::string& problem : status.problems()) {
    std::printf("\nproblem: %s\n", problem.c_str());
  }
}

/// A policy that opens less than its author may think is told, but it is nothing to be mended.
bool is_well(const api::StatusReply& status) {
  return status.problems().empty() &&
         std::ranges::all_of(status.cluster().conditions(),
                             [](const api::Condition& condition) { return condition.type() == "NamesNarrowed"; });
}

/// For a supervisor. Ready: it enforces, and sandboxes can resolve. A problem in a policy is not one of the process:
/// the policies before it are in force.
std::string why_not_ready(const api::StatusReply& status) {
  if (status.generation() == 0) {
    return "the first policies are not in force yet";
  }
  return status.dns_connected() && status.steering() ? "" : "sandboxes resolve no name: " + joined(status.problems());
}

void check_status(CliContext& context, const std::string& wanted, const api::StatusReply& status) {
  if (const std::string why = wanted == "ready" ? why_not_ready(status) : ""; !why.empty()) {
    print_error(context, Error(Errc::kAgain, why));
  }
}

}  // namespace

void add_status_command(CLI::App& app, CliContext& context) {
  auto* command = app.add_subcommand("status", "Is the gate up, what does it enforce, and what is wrong");
  auto output = std::make_shared<std::string>("text");
  command->add_option("-o,--output", *output, "text or json")->check(CLI::IsMember({"text", "json"}))->capture_default_str();
  auto check = std::make_shared<std::string>();
  command->add_option("--check", *check,
                      "Print nothing and exit with 0, or say why not: live, posternd answers; ready, it enforces and "
                      "sandboxes resolve names")
      ->check(CLI::IsMember({"live", "ready"}));
  command->callback([&context, output, check] {
    api::ControlRequest request;
    request.mutable_status();
    const auto reply = call_posternd(context.control_socket, request);
    if (!reply) {
      return print_error(context, reply.error());
    }
    if (!check->empty()) {
      return check_status(context, *check, reply->status());
    }
    *output == "json" ? print_json(reply->status()) : print_text(reply->status());
    context.exit_status = is_well(reply->status()) ? 0 : 3;
  });
  command->footer("Exit status: 0 when all is well, 3 when something needs attention, 1 when posternd cannot be asked.");
}

}  // namespace postern
