// SPDX-License-Identifier: Apache-2.0
//
// PodDiscovery: puts the gate on the interfaces of scoped pods, and keeps each under its pod's policy.
//
// What the node's links, the API server, the CNI and the policies say goes into pair_pods(); what comes
// out is done here. The programs go on an interface first, which shuts it; its entry in the kernel, with
// a policy and DNS, follows when postern-dns knows of it. What cannot be done is done again after
// kRetryMs, with the interface shut. Thread: posternd's loop.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/conditions.h"
#include "agent/config.h"
#include "agent/kube/cluster_watch.h"
#include "agent/policy_control.h"
#include "agent/sandbox/cni_results.h"
#include "agent/sandbox/discovery_window.h"
#include "agent/netlink/host_links.h"
#include "agent/sandbox/pod_pairing.h"

namespace postern {

class PodDiscovery {
 public:
  static constexpr std::uint64_t kRetryMs = 1'000;
  /// How long after an interface came a pod may still come for it. The API server's word of a new pod
  /// reaches kubelet, which makes the interface, and us at about the same time.
  static constexpr std::uint64_t kYoungMs = 10'000;

  struct Parts {
    EventLoop& loop;
    Gate& gate;
    SandboxTable& sandboxes;
    PolicyControl& policies;
    const Config& config;
    Conditions& conditions;
  };

  PodDiscovery(Parts parts, std::string own_space, SearchList node_search);
  PodDiscovery(const PodDiscovery&) = delete;
  PodDiscovery& operator=(const PodDiscovery&) = delete;
  ~PodDiscovery();

  /// Before this nothing is attached. The watch outlives this.
  Result<> start(const ClusterWatch& watch);
  void on_link(const LinkInfo& link, BootNs seen) { links_.on_link(link, seen); }
  void on_link_removed(std::uint32_t ifindex);
  Result<> on_overrun() { return links_.read_all(); }
  /// Something that pairing depends on has changed.
  void look_again();
  /// Policies are in force, for the first time or others than before.
  void policies_in_force();
  void set_dns_backends(DnsBackends backends);
  /// The key of the policies that are a sandbox's; for PolicyControl::select_with.
  std::string select(const PolicySet& set, const Sandbox& sandbox) const;
  /// Labels of a pod; null: it is not known.
  const Labels* labels_of(const PodRef& pod) const;

  const PairingPlan& plan() const { return plan_; }
  const DiscoveryWindow& window() const { return window_; }
  bool cni_results_available() const { return cni_.available(); }

 private:
  void look();
  PairingWorld describe_world();
  void add_pods(PairingWorld& world);
  void add_links(PairingWorld& world);
  bool answers_lookups(const PodInfo& pod) const;
  const CniResult* cni_result_of(const HostLink& link) const;
  std::vector<std::string> suspects_of(std::uint32_t ifindex) const;
  void suspect(const PairingWorld& world);
  bool is_anothers(const Address& address, const std::string& uid, std::uint32_t ifindex) const;
  ScopeAnswer scope_of_space(const std::string& name) const;
  PodIdentity identity_of(const std::string& space, const Labels& labels) const;
  void run(const PairingStep& step, const PairingWorld& world);
  void shut(const HostLink& link, bool holding);
  void attach(const PairingStep& step, const PairingPod* pod);
  void take(const PairingStep& step, const PairingPod& pod);
  void release(const PairingStep& step);
  void renew_addresses(const PairingWorld& world);
  Sandbox describe_sandbox(const HostLink& link, const PairingPod* pod) const;
  void finish(std::uint32_t ifindex, const char* what, const Result<>& result);
  void report(const PairingWorld& world);
  std::vector<std::string> find_lost(const PairingWorld& world);
  std::vector<std::string> find_held();

  Parts parts_;
  std::string own_space_;
  SearchList node_search_;
  const ClusterWatch* watch_ = nullptr;
  DnsBackends dns_backends_;
  HostLinks links_;
  CniResults cni_;
  bool policies_in_force_ = false;
  EventLoop::TimerId timer_ = 0;
  std::set<std::uint32_t> shut_;                             // programs are on, and there is no entry yet
  std::set<std::uint32_t> busy_;                             // a step is on its way
  std::set<std::uint32_t> measured_;                         // their window is over
  std::map<std::uint32_t, std::string> refused_;             // why a step failed
  std::map<std::uint32_t, std::set<std::string>> suspects_;  // uids of pods that a held interface may be of
  std::map<std::string, BootNs> lost_since_;                 // by pod's uid
  EventLoop::TimerId lost_timer_ = 0;
  EventLoop::TimerId held_timer_ = 0;
  PairingPlan plan_;
  DiscoveryWindow window_;
};

}  // namespace postern
