// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster.h"

#include <cstdlib>
#include <set>

#include "api/control.pb.h"
#include "base/log.h"
#include "base/text_files.h"

namespace postern {
namespace {

constexpr const char* kResolvConf = "/etc/resolv.conf";

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody changes it
  return value == nullptr ? "" : value;
}

/// In a pod on the node's network with dnsPolicy Default this is the node's own file.
SearchList node_search_of(const Config& config) {
  if (!config.search.empty()) {
    return config.search;
  }
  const auto text = read_text_file(kResolvConf, YamlField::kFileMax);
  return text ? search_of(*text) : SearchList();
}

}  // namespace

Result<std::unique_ptr<Cluster>> Cluster::make(Parts parts, Listener listener) {
  std::string node = parts.config.kubernetes.node.empty() ? environment("NODE_NAME") : parts.config.kubernetes.node;
  if (node.empty()) {
    return Error(Errc::kInvalid,
                 "which node this is, is not known: set NODE_NAME from the pod's spec.nodeName, or kubernetes.node");
  }
  auto config = find_kube_config(parts.config.kubernetes.kubeconfig);
  if (!config) {
    return std::move(config).error().within("the API server");
  }
  auto client = ApiClient::make(parts.loop, std::move(*config));
  if (!client) {
    return std::move(client).error().within("the API server");
  }
  return std::unique_ptr<Cluster>(new Cluster(parts, std::move(listener), std::move(node), std::move(*client)));
}

Cluster::Cluster(Parts parts, Listener listener, std::string node, std::unique_ptr<ApiClient> client)
    : parts_(parts),
      listener_(std::move(listener)),
      node_(std::move(node)),
      client_(std::move(client)),
      discovery_({parts.loop, parts.gate, parts.sandboxes, parts.policies, parts.config, conditions_},
                 client_->config().space,
                 node_search_of(parts.config)),
      watch_(parts.loop,
             *client_,
             node_,
             {.on_pod = [this](const PodInfo& pod) { on_pod(pod); },
              .on_pod_gone = [this](const std::string&) { discovery_.look_again(); },
              .on_namespace = [this](const NamespaceInfo&) { on_namespaces(); },
              .on_namespace_gone = [this](const std::string&) { on_namespaces(); },
              .on_synced =
                  [this] {
                    spdlog::info("{} pods of {} and {} namespaces are known", watch_.pods().size(), node_,
                                 watch_.namespaces().size());
                    discovery_.look_again();
                  },
              .on_trouble =
                  [this](const Error& error) {
                    trouble_code_ = error.code();
                    refresh_conditions();
                  },
              .on_recovered = [this] { refresh_conditions(); }}),
      dns_(parts.loop, *client_, parts.config, [this] { on_dns(); }),
      policies_({parts.loop, *client_, watch_, parts.config, conditions_, node_},
                {.on_load = [this] { listener_.on_objects(); }, .on_trouble = [this] { refresh_conditions(); }}) {}

Result<> Cluster::start() {
  spdlog::info("node {} of the cluster at {}, by {}", node_, client_->config().server, client_->config().origin);
  POSTERN_RETURN_IF_ERROR(discovery_.start(watch_));
  dns_.start();
  watch_.start();
  policies_.start();
  return {};
}

void Cluster::on_pod(const PodInfo& pod) {
  for (const Sandbox* sandbox : parts_.sandboxes.all()) {
    if (sandbox->pod.uid == pod.uid) {
      listener_.on_sandbox(*sandbox);
    }
  }
  discovery_.look_again();
}

void Cluster::on_namespaces() {
  discovery_.look_again();
  policies_.on_namespaces();
}

void Cluster::on_overrun() {
  if (auto read = discovery_.on_overrun(); !read) {
    spdlog::error("reading this node's interfaces: {}", read.error().message());
  }
}

void Cluster::on_dns() {
  std::string servers;
  for (const Endpoint& upstream : dns_.upstreams()) {
    servers += (servers.empty() ? "" : ", ") + upstream.to_string();
  }
  spdlog::info("asking {} ({})", servers, dns_.source());
  discovery_.set_dns_backends(dns_.backends());
  listener_.on_upstreams(dns_.upstreams());
  refresh_conditions();
}

void Cluster::on_policies(const std::string& problem, bool of_all) {
  conditions_.set("PoliciesRejected", "Invalid",
                  problem.empty() ? "" : "the policies before stay in force: " + problem);
  if (problem.empty()) {
    told_problem_.clear();
    // By restored objects sandboxes of before are judged. A new pod waits for those that the API server tells.
    if (of_all) {
      policies_.in_force();
      discovery_.policies_in_force();
    }
  } else {
    post_refusal(problem);
  }
}

/// On our own pod, so that `kubectl describe pod` shows it; on the node when we run in none.
void Cluster::post_refusal(const std::string& problem) {
  const BootNs now = SystemClock().now();
  if (problem == told_problem_ || (told_at_ != BootNs() && (now - told_at_) / kNsPerMs < kEventEveryMs)) {
    return;
  }
  told_problem_ = problem;
  told_at_ = now;
  EventNote note;
  note.api_version = "v1";
  note.reason = "PoliciesRejected";
  note.message = "The policies before stay in force: " + problem;
  const std::string pod = environment("POD_NAME");
  note.kind = pod.empty() ? "Node" : "Pod";
  note.name = pod.empty() ? node_ : pod;
  note.space = pod.empty() ? "" : client_->config().space;
  note.uid = pod.empty() ? "" : environment("POD_UID");
  client_->post_event(note, node_, [](const ApiReply& reply) {
    if (!reply.ok()) {
      spdlog::warn("an event for the refused policies: {}", reply.error->message());
    }
  });
}

void Cluster::refresh_conditions() {
  const bool about_pods = !watch_.trouble().empty();
  const std::string trouble = about_pods ? watch_.trouble() : policies_.trouble();
  const Errc code = about_pods ? trouble_code_ : policies_.trouble_code();
  // Denied by an answer of HTTP; a certificate that is not trusted is a server that is not reached.
  const bool denied = code == Errc::kDenied && trouble.find("HTTP ") != std::string::npos;
  const bool service_denied = dns_.forbidden() && dns_.upstreams().empty();
  conditions_.set("ApiServerUnreachable", "NoAnswer",
                  trouble.empty() || denied ? "" : trouble + "; what is attached stays under the policies that it has");
  conditions_.set("PermissionMissing", "Forbidden", denied ? trouble : service_denied ? dns_.trouble() : "");
  conditions_.set("UpstreamUnknown", "NoDnsServer", service_denied ? "" : dns_.trouble());
  conditions_.set("NamesNarrowed", "LessThanWritten", narrowed());
}

/// What the policies in use open less of than they say, as a person who wrote them elsewhere would expect.
std::string Cluster::narrowed() const {
  constexpr std::size_t kNamedMax = 3;
  std::set<std::string> notes;
  for (const InstalledPolicy* policy : parts_.policies.installed()) {
    notes.insert(policy->image->narrowed.begin(), policy->image->narrowed.end());
  }
  std::string text;
  std::size_t named = 0;
  for (const std::string& note : notes) {
    if (++named <= kNamedMax) {
      text += (text.empty() ? "" : "; ") + note;
    }
  }
  return named <= kNamedMax ? text : text + "; and " + std::to_string(named - kNamedMax) + " more: `postern explain`";
}

void Cluster::describe(api::ClusterStatus& status) {
  refresh_conditions();
  status.set_node(node_);
  status.set_api_server(client_->config().server);
  status.set_synced(watch_.synced());
  status.set_trouble(watch_.trouble());
  status.set_strict(parts_.config.scope.strict);
  policies_.describe(status);
  status.set_dns_source(dns_.source());
  status.set_cni_results(discovery_.cni_results_available());
  const PairingPlan& plan = discovery_.plan();
  status.set_pods_in_scope(static_cast<std::uint32_t>(plan.in_scope));
  status.set_pods_attached(static_cast<std::uint32_t>(plan.attached));
  status.set_pods_unselected(static_cast<std::uint32_t>(plan.unselected));
  status.set_pods_waiting(static_cast<std::uint32_t>(plan.waiting.size()));
  status.set_interfaces_held(static_cast<std::uint32_t>(plan.held));
  const DiscoveryWindow& window = discovery_.window();
  auto& told = *status.mutable_window();
  told.set_count(window.count);
  told.set_held(window.held);
  told.set_let_go(window.let_go);
  told.set_last_us(window.last_us);
  told.set_max_us(window.max_us);
  for (const auto& [type, condition] : conditions_.all()) {
    auto& added = *status.add_conditions();
    added.set_type(type);
    added.set_reason(condition.reason);
    added.set_message(condition.message);
    added.set_since_unix_s(condition.since_unix_s);
  }
}

}  // namespace postern
