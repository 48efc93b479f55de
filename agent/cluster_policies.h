// SPDX-License-Identifier: Apache-2.0
//
// ClusterPolicies: the policies of a cluster's API server, and the pods, nodes and Services that policies speak of.
//
// Says when policies are to be loaded, and what by; whoever loads them says when they are in force. Nothing is loaded
// before the API server has told all of its objects, or a posternd before left them on record. Thread: posternd's loop.
#pragma once

#include <functional>
#include <string>

#include "agent/conditions.h"
#include "agent/config.h"
#include "agent/kube/api_client.h"
#include "agent/kube/cluster_watch.h"
#include "agent/kube/inventory_watch.h"
#include "agent/kube/policy_watch.h"
#include "agent/object_status.h"
#include "agent/policy_objects.h"

namespace postern {

namespace api {
class ClusterStatus;
}  // namespace api

class ClusterPolicies {
 public:
  /// Objects that are applied together come one by one: so long they are waited for.
  static constexpr std::uint64_t kGatherMs = 50;
  /// Pods of a whole cluster come and go all the time: so long changes of the inventory are gathered.
  static constexpr std::uint64_t kInventoryGatherMs = 1'000;
  /// An API server that is just starting may forbid what it allows a moment later.
  static constexpr std::uint64_t kRefusalMs = 15'000;

  struct Parts {
    EventLoop& loop;
    ApiClient& client;
    const ClusterWatch& watch;  ///< Whose namespaces have labels.
    const Config& config;
    Conditions& conditions;
    std::string node;
  };
  struct Listener {
    std::function<void()> on_load;     ///< Policies are to be loaded, for the first time or because some are others.
    std::function<void()> on_trouble;  ///< trouble() may have changed.
  };

  ClusterPolicies(Parts parts, Listener listener);
  ClusterPolicies(const ClusterPolicies&) = delete;
  ClusterPolicies& operator=(const ClusterPolicies&) = delete;
  ~ClusterPolicies();

  void start();
  /// A namespace is new, gone, or has other labels.
  void on_namespaces();
  /// What was loaded last, when objects_known() held, is in force.
  void in_force();

  bool objects_known() const { return objects_known_; }
  /// Whether there are objects to load: the API server has told its own, or a posternd before us left what it knew.
  /// Before that no policies are loaded: a pod would be open, or cut off, because of one that is there and was not
  /// heard of yet.
  bool can_load() const { return objects_known_ || restored_; }
  PolicyObjects& objects() { return objects_; }

  /// What policies are compiled against. Not whole until a policy has needed it and the API server has told it.
  const Inventory& inventory();
  /// Whether the policies of the last load have to wait for it: one of them speaks of it, and it is not told yet. When
  /// the API server refuses to tell it, for kRefusalMs, nothing waits: such policies are then refused one by one.
  bool waits_for_inventory() const;
  /// Begins to ask for it, if a policy of the last load speaks of it.
  void ask_for_inventory();

  /// With the API server, about any of this; empty: none.
  std::string trouble() const;
  Errc trouble_code() const;
  void describe(api::ClusterStatus& status) const;

 private:
  void on_objects_state();
  void load_later(bool changed, std::uint64_t after_ms = kGatherMs);
  void on_inventory();
  void note_refusal();
  void judge_objects();
  void restore_objects();
  void save_objects();

  Parts parts_;
  Listener listener_;
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
};

}  // namespace postern
