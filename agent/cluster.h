// SPDX-License-Identifier: Apache-2.0
//
// Cluster: posternd's side of Kubernetes: the API server, what it tells, and what follows from it.
//
// Only where `kubernetes:` is configured. The API server being away stops nothing: what is attached
// stays so, and `status` says it. Thread: posternd's loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/cluster_dns.h"
#include "agent/cluster_policies.h"
#include "agent/conditions.h"
#include "agent/kube/api_client.h"
#include "agent/kube/cluster_watch.h"
#include "agent/pod_discovery.h"

namespace postern {

namespace api {
class ClusterStatus;
}  // namespace api

class Cluster {
 public:
  /// The least time between two events, so that a policy edited in a loop does not fill etcd.
  static constexpr std::uint64_t kEventEveryMs = 60'000;

  struct Parts {
    EventLoop& loop;
    Gate& gate;
    SandboxTable& sandboxes;
    PolicyControl& policies;
    const Config& config;
  };
  struct Listener {
    std::function<void(const std::vector<Endpoint>&)> on_upstreams;
    /// A pod's labels are others, or known now.
    std::function<void(const Sandbox&)> on_sandbox;
    /// The policy objects are known, for the first time or others than before: the policies are to be loaded.
    std::function<void()> on_objects;
  };

  /// @return invalid or not found, with what to set or mount: no way to the API server is configured.
  static Result<std::unique_ptr<Cluster>> make(Parts parts, Listener listener);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  Result<> start();

  void on_link(const LinkInfo& link, BootNs seen) { discovery_.on_link(link, seen); }
  void on_link_removed(std::uint32_t ifindex) { discovery_.on_link_removed(ifindex); }
  void on_overrun();
  /// Policies are in force, or were refused because of this problem and those before stay.
  /// @param of_all  They were loaded when ClusterPolicies::objects_known() held.
  void on_policies(const std::string& problem, bool of_all);
  /// The policy objects, and what policies speak of.
  ClusterPolicies& policies() { return policies_; }

  /// For PolicyControl::select_with.
  std::string select(const PolicySet& set, const Sandbox& sandbox) const { return discovery_.select(set, sandbox); }
  const Labels* labels_of(const Sandbox& sandbox) const { return discovery_.labels_of(sandbox.pod); }
  const std::vector<Endpoint>& upstreams() const { return dns_.upstreams(); }
  /// For `status`.
  void describe(api::ClusterStatus& status);

 private:
  Cluster(Parts parts, Listener listener, std::string node, std::unique_ptr<ApiClient> client);
  void on_pod(const PodInfo& pod);
  void on_dns();
  void on_namespaces();
  void refresh_conditions();
  std::string narrowed() const;
  void post_refusal(const std::string& problem);

  Parts parts_;
  Listener listener_;
  std::string node_;
  Conditions conditions_;
  std::unique_ptr<ApiClient> client_;
  PodDiscovery discovery_;
  ClusterWatch watch_;
  ClusterDns dns_;
  ClusterPolicies policies_;
  Errc trouble_code_ = Errc::kIo;  // of the watch's last trouble
  std::string told_problem_;       // the last event
  BootNs told_at_;
};

}  // namespace postern
