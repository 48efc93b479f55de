// SPDX-License-Identifier: Apache-2.0
//
// ClusterWatch: this node's pods and the cluster's namespaces, kept in step with the API server.
//
// A list, then a watch from its resourceVersion, for ever. When the server no longer has that version
// (410) it lists again, and what went away in between is told as gone. While the server is away, what
// is known stays known: a pod whose labels we cannot see keeps its policy. Callbacks come only when
// something Postern reads has changed, and after the table (pods(), namespaces()) has it.
// Limits: kPodsMax, kNamespacesMax; more are refused and counted. Thread: the loop's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/kube/api_client.h"
#include "agent/kube/objects.h"
#include "base/event_loop.h"
#include "base/result.h"

namespace postern {

class ClusterWatch {
 public:
  static constexpr std::size_t kPodsMax = 4'096;  ///< Kubernetes itself advises at most 110 a node.
  static constexpr std::size_t kNamespacesMax = 50'000;

  /// Each may be empty. They may use this ClusterWatch, but not destroy it.
  struct Callbacks {
    std::function<void(const PodInfo& pod)> on_pod;  ///< New, or changed.
    std::function<void(const std::string& uid)> on_pod_gone;
    std::function<void(const NamespaceInfo& space)> on_namespace;
    std::function<void(const std::string& name)> on_namespace_gone;
    std::function<void()> on_synced;                     ///< Once: both first lists have been told.
    std::function<void(const Error& error)> on_trouble;  ///< The first failure, and each one that reads otherwise.
    std::function<void()> on_recovered;                  ///< Both watches run again.
  };

  struct Counters {
    std::uint64_t lists = 0;       ///< Lists completed, first ones included.
    std::uint64_t relists = 0;     ///< Of these, those after a version that was gone.
    std::uint64_t reconnects = 0;  ///< Watches begun after the first ones.
    std::uint64_t failures = 0;    ///< Requests that failed.
    std::uint64_t events = 0;      ///< Watch events, bookmarks included.
    std::uint64_t unreadable = 0;  ///< Objects that could not be read or had no room: logged, left as they were.
  };

  /// @param node  spec.nodeName of the pods to watch (the downward API's spec.nodeName).
  ClusterWatch(EventLoop& loop, ApiClient& client, const std::string& node, Callbacks callbacks);
  ClusterWatch(const ClusterWatch&) = delete;
  ClusterWatch& operator=(const ClusterWatch&) = delete;
  ~ClusterWatch();

  /// Begins; returns at once, also when the API server is away. Callbacks come from the loop.
  void start();

  const std::map<std::string, PodInfo>& pods() const;              ///< By uid.
  const std::map<std::string, NamespaceInfo>& namespaces() const;  ///< By name.
  /// Both first lists are in. Stays true while the API server is away later.
  bool synced() const;
  /// What is wrong now and what to do about it; empty when nothing is.
  std::string trouble() const;
  Counters counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace postern
