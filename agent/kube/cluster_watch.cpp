// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/cluster_watch.h"

#include <utility>

#include "agent/kube/resource_feed.h"

namespace postern {

struct ClusterWatch::State {
  State(EventLoop& loop, ApiClient& client, const std::string& node, Callbacks wanted)
      : callbacks(std::move(wanted)),
        pods(loop, client, "pods", {"/api/v1/pods", "fieldSelector=spec.nodeName%3D" + query_escaped(node)}, kPodsMax),
        namespaces(loop, client, "namespaces", {"/api/v1/namespaces", ""}, kNamespacesMax) {}

  std::string trouble_now() const {
    const std::string& first = pods.trouble();
    const std::string& second = namespaces.trouble();
    return first.empty() || second.empty() || first == second ? (first.empty() ? second : first)
                                                              : first + "; and " + second;
  }

  void on_state() {
    if (!synced && pods.synced() && namespaces.synced()) {
      synced = true;
      call(callbacks.on_synced);
    }
    std::string now = trouble_now();
    if (now == trouble) {
      return;
    }
    trouble = std::move(now);
    if (trouble.empty()) {
      call(callbacks.on_recovered);
    } else {
      call(callbacks.on_trouble,
           Error(pods.trouble().empty() ? namespaces.trouble_code() : pods.trouble_code(), trouble));
    }
  }

  template <typename... Arguments>
  static void call(const std::function<void(Arguments...)>& callback, std::type_identity_t<Arguments>... arguments) {
    if (callback) {
      callback(arguments...);
    }
  }

  Callbacks callbacks;
  ResourceFeed<PodInfo> pods;
  ResourceFeed<NamespaceInfo> namespaces;
  bool synced = false;
  std::string trouble;  // as it was last told
};

ClusterWatch::ClusterWatch(EventLoop& loop, ApiClient& client, const std::string& node, Callbacks callbacks)
    : state_(std::make_unique<State>(loop, client, node, std::move(callbacks))) {}

ClusterWatch::~ClusterWatch() = default;

void ClusterWatch::start() {
  State* state = state_.get();
  const Callbacks& callbacks = state->callbacks;
  state->pods.start({[&](const PodInfo& pod) { State::call(callbacks.on_pod, pod); },
                     [&](const std::string& uid) { State::call(callbacks.on_pod_gone, uid); },
                     [state] { state->on_state(); }});
  state->namespaces.start({[&](const NamespaceInfo& space) { State::call(callbacks.on_namespace, space); },
                           [&](const std::string& name) { State::call(callbacks.on_namespace_gone, name); },
                           [state] { state->on_state(); }});
}

const std::map<std::string, PodInfo>& ClusterWatch::pods() const { return state_->pods.objects(); }
const std::map<std::string, NamespaceInfo>& ClusterWatch::namespaces() const { return state_->namespaces.objects(); }
bool ClusterWatch::synced() const { return state_->synced; }
std::string ClusterWatch::trouble() const { return state_->trouble; }

ClusterWatch::Counters ClusterWatch::counters() const {
  const Counters& a = state_->pods.counters();
  const Counters& b = state_->namespaces.counters();
  return {a.lists + b.lists,       a.relists + b.relists, a.reconnects + b.reconnects,
          a.failures + b.failures, a.events + b.events,   a.unreadable + b.unreadable};
}

}  // namespace postern
