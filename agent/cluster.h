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
#include "agent/conditions.h"
#include "agent/kube/api_client.h"
#include "agent/kube/cluster_watch.h"
#include "agent/kube/inventory_watch.h"
#include "agent/kube/policy_watch.h"
#include "agent/object_status.h"
#include "agent/pod_discovery.h"
#include "agent/policy_objects.h"

namespace postern {

namespace api {
class ClusterStatus;
}  // namespace api

class Cluster {
 public:
  /// The least time between two events, so that a policy edited in a loop does not fill etcd.
  static constexpr std::uint64_t kEventEveryMs = 60'000;
  /// Objects that are applied together come one by one: so long they are waited for.
  static constexpr std::uint64_t kGatherMs = 50;
  /// Pods of a whole cluster come and go all the time: so long changes of the inventory are gathered.
  static constexpr std::uint64_t kInventoryGatherMs = 1'000;
  /// An API server that is just starting may forbid what it allows a moment later.
  static constexpr std::uint64_t kRefusalMs = 15'000;

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
  ~Cluster();

  Result<> start();

  void on_link(const LinkInfo& link, BootNs seen) { discovery_.on_link(link, seen); }
  void on_link_removed(std::uint32_t ifindex) { discovery_.on_link_removed(ifindex); }
  void on_overrun();
  /// Policies are in force, or were refused because of this problem and those before stay.
  /// @param of_all  They were loaded when objects_known() held.
  void on_policies(const std::string& problem, bool of_all);
  bool objects_known() const { return objects_known_; }
  /// What policies are compiled against. Not whole until a policy has needed it and the API server has told it.
  const Inventory& inventory();
  /// Whether the policies of the last load have to wait for it: one of them speaks of it, and it is not told yet. When
  /// the API server refuses to tell it nothing waits: such policies are then refused one by one.
  bool waits_for_inventory() const;
  /// Begins to ask for it, if a policy of the last load speaks of it.
  void ask_for_inventory();
  /// Whether there are policy objects to load: the API server has told its own, or a posternd before us left what it
  /// knew. Before that no policies are loaded: a pod would be open, or cut off, because of one that is there and was
  /// not heard of yet.
  bool can_load() const { return objects_known_ || restored_; }
  PolicyObjects& objects() { return objects_; }

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
  void on_objects_state();
  void load_later(bool changed, std::uint64_t after_ms = kGatherMs);
  void on_inventory();
  void note_refusal();
  void on_namespaces();
  void judge_objects();
  void restore_objects();
  void save_objects();
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
  PolicyObjects objects_;
  PolicyWatch policy_watch_;
  ObjectStatus object_status_;
  InventoryWatch inventory_watch_;
  Inventory inventory_;
  bool inventory_stale_ = true;
  std::string inventory_trouble_;
  BootNs inventory_refused_since_;  // 0: it is not refused
  EventLoop::TimerId refusal_timer_ = 0;
  bool objects_known_ = false;  // the API server has told them
  bool restored_ = false;
  bool recorded_ = false;  // also that there are none, by this posternd
  EventLoop::TimerId load_timer_ = 0;
  Errc trouble_code_ = Errc::kIo;  // of the watch's last trouble
  std::string told_problem_;       // the last event
  BootNs told_at_;
};

}  // namespace postern
