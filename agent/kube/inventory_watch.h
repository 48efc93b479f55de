// SPDX-License-Identifier: Apache-2.0
//
// InventoryWatch: what policies may speak of beside names: all pods, nodes, Services and their endpoints, kept in step.
//
// Begun only when a policy speaks of them: on every node it is a watch of the whole cluster. While the server is away
// what is known stays known. Limit: kObjectsMax of a kind; more are refused, counted and logged. Thread: the loop's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/kube/api_client.h"
#include "agent/kube/objects.h"
#include "base/event_loop.h"
#include "policies/inventory.h"

namespace postern {

class InventoryWatch {
 public:
  static constexpr std::size_t kObjectsMax = 200'000;  ///< Kubernetes itself is tested to 150,000 pods.

  /// @param on_change  Objects, known() or trouble() have changed. It may use this, but not destroy it.
  InventoryWatch(EventLoop& loop, ApiClient& client, std::function<void()> on_change);
  InventoryWatch(const InventoryWatch&) = delete;
  InventoryWatch& operator=(const InventoryWatch&) = delete;
  ~InventoryWatch();

  /// Begins, the first time it is called.
  void start();
  bool started() const { return started_; }
  /// All first lists are in. Stays true while the API server is away later.
  bool known() const;
  std::string trouble() const;
  Errc trouble_code() const;

  /// What is known, put together. Cost: a copy of all of it.
  /// @param node  Whose addresses are the sandboxes' own host.  @param pod_ranges  Empty: those that the nodes say.
  Inventory inventory(const std::map<std::string, NamespaceInfo>& namespaces,
                      const std::string& node,
                      const std::vector<Prefix>& pod_ranges) const;

 private:
  struct Feed;
  struct Pieces;
  const Feed* first_in_trouble() const;

  std::function<void()> on_change_;
  std::unique_ptr<Pieces> pieces_;
  std::vector<std::unique_ptr<Feed>> feeds_;
  bool started_ = false;
};

}  // namespace postern
