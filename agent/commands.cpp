// SPDX-License-Identifier: Apache-2.0
#include "agent/commands.h"

#include <sys/utsname.h>

#include <algorithm>
#include <ctime>
#include <sstream>

#include "agent/explain_reply.h"
#include "agent/sandbox/discovery.h"
#include "agent/policy_files.h"
#include "base/log.h"

namespace postern {
namespace {

/// The first line is the error, the rest its details.
void respond_error(const ControlServer::Respond& respond, const Error& error) {
  api::ControlReply reply;
  std::istringstream lines(error.message());
  std::string line;
  std::getline(lines, line);
  reply.set_error(line);
  while (std::getline(lines, line)) {
    reply.add_details(line);
  }
  respond(reply);
}

void log_lines(const char* what, const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    spdlog::error("{}{}", what, line);
  }
}

/// The line that says what is wrong; the one before it says what that means.
std::string first_line(const std::string& text) {
  const std::size_t begin = text.find('\n') == std::string::npos ? 0 : text.find('\n') + 1;
  return text.substr(begin, text.find('\n', begin) - begin);
}

/// Is the policy the sandbox's, alone or together with others?
bool is_part(const std::string& policy, const std::string& key) {
  return ("+" + key + "+").find("+" + policy + "+") != std::string::npos;
}

}  // namespace

Commands::Commands(Parts parts) : parts_(parts), started_(SystemClock().now()) {}

void Commands::handle(const api::ControlRequest& request, const ControlServer::Respond& respond) {
  switch (request.command_case()) {
    case api::ControlRequest::kStatus:
      return status(respond);
    case api::ControlRequest::kReload:
      return reload([respond](const Result<PolicyControl::Change>& change) {
        if (!change) {
          return respond_error(respond, change.error());
        }
        api::ControlReply reply;
        reply.mutable_reload()->set_generation(change->generation);
        reply.mutable_reload()->set_policies(static_cast<std::uint32_t>(change->policies));
        reply.mutable_reload()->set_changed(change->changed);
        reply.mutable_reload()->mutable_warnings()->Assign(change->warnings.begin(), change->warnings.end());
        respond(reply);
      });
    case api::ControlRequest::kSandboxList:
      return list(respond);
    case api::ControlRequest::kSandboxAttach:
      return attach(request.sandbox_attach(), respond);
    case api::ControlRequest::kSandboxDetach:
      return detach(request.sandbox_detach(), respond);
    case api::ControlRequest::kSandboxMode:
      return set_mode(request.sandbox_mode(), respond);
    case api::ControlRequest::kExplain:
      return explain(request.explain(), respond);
    case api::ControlRequest::COMMAND_NOT_SET:
      return respond_error(
          respond,
          {Errc::kInvalid, "posternd does not know this command: are postern and posternd of the same version?"});
  }
}

void Commands::on_change(const Result<PolicyControl::Change>& change, bool of_all) {
  if (change) {
    reload_problem_.clear();
    if (change->changed) {
      last_change_unix_s_ = static_cast<std::uint64_t>(std::time(nullptr));
      spdlog::info("generation {}: {} policies in force", change->generation, change->policies);
    }
    for (const std::string& warning : change->warnings) {
      spdlog::warn("{}", warning);
    }
  } else {
    reload_problem_ = (parts_.dns.started() ? "the last reload was refused, the policies before it are in force: "
                                            : "the policies cannot be read: ") +
                      first_line(change.error().message());
    log_lines("reload refused: ", change.error().message());
  }
  if (cluster_ != nullptr) {
    cluster_->on_policies(change ? "" : first_line(change.error().message()), of_all);
  }
}

void Commands::apply(Result<PolicySet> set, const PolicyControl::OnChange& done) {
  const bool of_all = cluster_ == nullptr || cluster_->policies().objects_known();
  const auto tell = [this, done, of_all](Result<PolicyControl::Change> change) {
    on_change(change, of_all);
    done(std::move(change));
  };
  if (set) {
    cache_ = set->cache;
    apply_(std::move(*set), tell);
  } else {
    tell(Error(set.error().code(), "the policies in force stay:\n" + set.error().message()));
  }
}

void Commands::reload(const PolicyControl::OnChange& done) {
  if (waits_for_objects()) {
    done(Error(Errc::kAgain,
               "the API server has not told its policies yet: they are loaded with these files when it has; `postern "
               "status` says what is wrong with it"));
    return;
  }
  const auto load = [this] {
    return cluster_ == nullptr ? load_policies(parts_.config.policies, parts_.config.templates, {}, nullptr, cache_)
                               : load_policies(parts_.config.policies, parts_.config.templates, cluster_->policies().inventory(),
                                               &cluster_->policies().objects(), cache_);
  };
  auto set = load();
  if (cluster_ != nullptr) {
    cluster_->policies().ask_for_inventory();
  }
  if (cluster_ != nullptr && cluster_->policies().waits_for_inventory()) {
    done(Error(Errc::kAgain,
               "a policy speaks of pods, nodes or Services, and the API server has not told them yet: the policies are "
               "loaded when it has"));
    return;
  }
  apply(std::move(set), done);
}

void Commands::status(const ControlServer::Respond& respond) {
  api::ControlReply reply;
  auto& status = *reply.mutable_status();
  utsname system{};
  ::uname(&system);
  status.set_version(POSTERN_VERSION);
  status.set_kernel(system.release);
  status.set_uptime_s((SystemClock().now() - started_) / kNsPerS);
  status.set_generation(parts_.policies.generation());
  status.set_gate(std::string(parts_.gate.attachment_name()));
  status.set_steering(parts_.dns.ready());
  status.set_dns_connected(parts_.dns.connected());
  status.set_dns_workers(parts_.dns.ready() ? parts_.dns.workers() : 0);
  status.set_observer_connected(parts_.server.observed());
  status.set_sandboxes(static_cast<std::uint32_t>(parts_.sandboxes.size()));
  status.set_locked(static_cast<std::uint32_t>(std::ranges::count(
      parts_.sandboxes.all(), SandboxMode::kLockdown, [](const Sandbox* sandbox) { return sandbox->mode; })));
  status.set_policy_folder(parts_.config.policies);
  status.set_last_change_unix_s(last_change_unix_s_);
  if (cluster_ != nullptr) {
    cluster_->describe(*status.mutable_cluster());
  }
  for (const Endpoint& upstream : cluster_ != nullptr ? cluster_->upstreams() : parts_.config.upstreams) {
    status.add_upstreams(upstream.to_string());
  }
  const auto sandboxes = parts_.sandboxes.all();
  for (const auto& [name, policy] : parts_.policies.policies().policies) {
    auto& added = *status.add_policies();
    added.set_name(name);
    added.set_file(policy.place.file);
    added.set_line(static_cast<std::uint32_t>(policy.place.line));
    added.set_rules(static_cast<std::uint32_t>(policy.image->rules.size()));
    added.set_sandboxes(static_cast<std::uint32_t>(
        std::ranges::count_if(sandboxes, [&key = name](const Sandbox* sandbox) { return is_part(key, sandbox->policy); })));
  }
  if (waits_for_objects() || (!parts_.dns.started() && cluster_ != nullptr && cluster_->policies().waits_for_inventory())) {
    status.add_problems(
        "no policies are in force yet: sandboxes of before go on under theirs, new ones are denied everything, until "
        "the API server has told its policies, and the pods, nodes and Services that they speak of");
  } else if (!parts_.dns.started()) {
    status.add_problems(
        "no policies are in force yet: sandboxes of before go on under theirs, new ones are denied everything, until "
        "the policies are mended");
  } else if (!parts_.dns.connected()) {
    status.add_problems(std::string("postern-dns is not running, so sandboxes resolve no name: ") +
                        (cluster_ != nullptr ? "the log of the pod's container dns says why (kubectl logs -c dns)"
                                             : "start it (systemctl start postern-dns)"));
  } else if (!parts_.dns.ready()) {
    status.add_problems("postern-dns has no sockets, so sandboxes resolve no name: run postern-setup");
  }
  for (const Sandbox* sandbox : sandboxes) {
    if (!sandbox->policy.empty() && !parts_.policies.policies().has(sandbox->policy)) {
      status.add_problems("sandbox " + sandbox->interface + " is denied everything, because its policy " +
                          sandbox->policy + " is in no file of " + parts_.config.policies +
                          (cluster_ != nullptr ? " and no object of the cluster" : ""));
    }
  }
  for (const std::string& problem : parts_.gate_watch.problems(SystemClock().now())) {
    status.add_problems(problem);
  }
  if (!reload_problem_.empty()) {
    status.add_problems(reload_problem_);
  }
  for (const std::string& problem : problems_) {
    status.add_problems(problem);
  }
  respond(reply);
}

api::SandboxReply Commands::describe(const Sandbox& sandbox) {
  api::SandboxReply reply;
  reply.set_id(sandbox.id);
  reply.set_interface(sandbox.interface);
  reply.set_policy(sandbox.policy);
  for (const Address& address : sandbox.addresses) {
    reply.add_addresses(address.to_string());
  }
  reply.set_mac(to_string(sandbox.mac));
  for (const DnsName& suffix : sandbox.search) {
    reply.add_search(suffix.text());
  }
  reply.set_generation(sandbox.generation);
  reply.set_mode(std::string(name_of(sandbox.mode)));
  reply.set_namespace_(sandbox.pod.space);
  reply.set_pod(sandbox.pod.name);
  reply.set_held(sandbox.held);
  const auto counted = [](const auto& map) {
    std::uint32_t count = 0;
    if (map) {
      static_cast<void>(map->for_each([&](const auto&, const auto&) -> Result<> {
        ++count;
        return {};
      }));
    }
    return count;
  };
  reply.set_grants(counted(parts_.gate.grants_of(sandbox.slot)));
  reply.set_flows(counted(parts_.gate.flows_of(sandbox.slot)));
  return reply;
}

void Commands::list(const ControlServer::Respond& respond) {
  api::ControlReply reply;
  auto& sandboxes = *reply.mutable_sandbox_list();
  for (const Sandbox* sandbox : parts_.sandboxes.all()) {
    *sandboxes.add_sandboxes() = describe(*sandbox);
  }
  respond(reply);
}

void Commands::attach(const api::SandboxAttachRequest& request, const ControlServer::Respond& respond) {
  AttachWish wish{.interface = request.interface(),
                  .policy = request.policy(),
                  .addresses = {request.addresses().begin(), request.addresses().end()},
                  .mac = request.mac(),
                  .search = {request.search().begin(), request.search().end()}};
  auto policy = parts_.policies.policies().key_of(wish.policy);
  if (!policy) {
    return respond_error(respond, policy.error());
  }
  wish.policy = *policy;
  auto sandbox = discover_sandbox(wish, parts_.config.search);
  if (!sandbox) {
    return respond_error(respond, sandbox.error());
  }
  parts_.policies.attach(std::move(*sandbox), [this, respond](const Result<Sandbox*>& attached) {
    if (!attached) {
      return respond_error(respond, attached.error());
    }
    spdlog::info("sandbox {} behind {} is under policy {}", (*attached)->id, (*attached)->interface,
                 (*attached)->policy);
    api::ControlReply reply;
    *reply.mutable_sandbox_attach() = describe(**attached);
    respond(reply);
  });
}

Error Commands::no_such_sandbox(const std::string& name) const {
  return {Errc::kNotFound,
          "there is no sandbox \"" + printable(name) + "\": `postern sandbox list` shows those there are"};
}

void Commands::detach(const api::SandboxDetachRequest& request, const ControlServer::Respond& respond) {
  const Sandbox* sandbox = parts_.sandboxes.find(request.sandbox());
  if (sandbox == nullptr) {
    return respond_error(respond, no_such_sandbox(request.sandbox()));
  }
  api::ControlReply reply;
  *reply.mutable_sandbox_detach() = describe(*sandbox);
  parts_.policies.detach(sandbox->id, false, [reply, respond](const Result<>& detached) {
    if (!detached) {
      return respond_error(respond, detached.error());
    }
    spdlog::info("sandbox {} behind {} is detached", reply.sandbox_detach().id(), reply.sandbox_detach().interface());
    respond(reply);
  });
}

void Commands::set_mode(const api::SandboxModeRequest& request, const ControlServer::Respond& respond) {
  const Sandbox* sandbox = parts_.sandboxes.find(request.sandbox());
  if (sandbox == nullptr) {
    return respond_error(respond, no_such_sandbox(request.sandbox()));
  }
  const auto mode = parse_mode(request.mode());
  if (!mode) {
    return respond_error(respond, mode.error());
  }
  parts_.policies.set_mode(sandbox->id, *mode, [this, respond, id = sandbox->id](const Result<>& set) {
    const Sandbox* changed = parts_.sandboxes.find_id(id);
    if (!set || changed == nullptr) {
      return respond_error(respond, set ? Error(Errc::kNotFound, "the sandbox is gone") : set.error());
    }
    spdlog::warn("sandbox {} behind {} is in mode {}", id, changed->interface, name_of(changed->mode));
    api::ControlReply reply;
    *reply.mutable_sandbox_mode() = describe(*changed);
    respond(reply);
  });
}

void Commands::explain(const api::ExplainRequest& request, const ControlServer::Respond& respond) {
  const Sandbox* sandbox = parts_.sandboxes.find(request.sandbox());
  if (sandbox == nullptr) {
    return respond_error(respond, no_such_sandbox(request.sandbox()));
  }
  const auto image = parts_.policies.image_of(*sandbox);
  if (!image) {
    return respond_error(
        respond, {Errc::kNotFound, "sandbox " + sandbox->interface + " has no policy and is denied everything"});
  }
  api::ControlReply reply;
  auto& explained = *reply.mutable_explain();
  if (request.target().empty()) {
    explain_all(*sandbox, *image, explained);
    return respond(reply);
  }
  const auto target = Target::parse(request.target());
  if (!target) {
    return respond_error(respond, target.error());
  }
  explain_target(parts_.gate, *sandbox, *image, *target, explained);
  respond(reply);
}

}  // namespace postern
