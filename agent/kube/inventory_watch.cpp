// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/inventory_watch.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "agent/kube/resource_feed.h"
#include "policies/inventory_reader.h"

namespace postern {
namespace {

struct ClusterResource {
  const char* plural;
  const char* path;
  const char* head;  ///< Of the object's text: kind and version as the reader of inventories knows them.
  bool may_be_absent = false;
};

// EndpointSlices of before Kubernetes 1.21 read the same. A server that has both versions tells each object twice.
constexpr std::array kResources{
    ClusterResource{"pods", "/api/v1/pods", R"({"apiVersion": "v1", "kind": "Pod",)"},
    ClusterResource{"nodes", "/api/v1/nodes", R"({"apiVersion": "v1", "kind": "Node",)"},
    ClusterResource{"services", "/api/v1/services", R"({"apiVersion": "v1", "kind": "Service",)"},
    ClusterResource{"endpointslices", "/apis/discovery.k8s.io/v1/endpointslices",
                    R"({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",)", true},
    ClusterResource{"endpointslices", "/apis/discovery.k8s.io/v1beta1/endpointslices",
                    R"({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",)", true},
};

void move_to(auto& from, auto& to) { std::ranges::copy(from, std::back_inserter(to)); }

/// A piece is one object. Its references are by name, but for those into its own list.
void add(const InventoryDraft& piece, InventoryDraft& all) {
  move_to(piece.inventory.pod_list, all.inventory.pod_list);
  move_to(piece.inventory.nodes, all.inventory.nodes);
  move_to(piece.inventory.service_list, all.inventory.service_list);
  move_to(piece.named_targets, all.named_targets);
  move_to(piece.node_ranges, all.node_ranges);
  for (const auto& [service, endpoints] : piece.endpoints) {
    auto& known = all.endpoints[service];
    move_to(endpoints.addresses, known.addresses);
    known.ports.insert(endpoints.ports.begin(), endpoints.ports.end());
  }
}

}  // namespace

/// Each object read once, when it changes; an inventory is made of all of them.
struct InventoryWatch::Pieces {
  std::array<std::map<std::string, InventoryDraft>, kResources.size()> by_uid;
};

struct InventoryWatch::Feed {
  using Objects = ResourceFeed<ClusterObject>;

  Feed(EventLoop& loop, ApiClient& client, std::size_t which)
      : index(which),
        objects(loop,
                client,
                kResources[which].plural,
                {kResources[which].path, ""},
                kObjectsMax,
                kResources[which].may_be_absent ? Objects::Kind::kMaybeAbsent : Objects::Kind::kAlwaysThere) {}

  /// @return what is wrong with it; it is then left out, as something that nobody told.
  std::string read(const ClusterObject& object, InventoryDraft& piece) const {
    Diagnostics diagnostics;
    read_inventory(kResources[index].head + object.text.substr(std::min<std::size_t>(1, object.text.size())),
                   kResources[index].plural, piece, diagnostics);
    return diagnostics.failed() ? diagnostics.to_error().message() : "";
  }

  std::size_t index;
  Objects objects;
};

InventoryWatch::InventoryWatch(EventLoop& loop, ApiClient& client, std::function<void()> on_change)
    : on_change_(std::move(on_change)), pieces_(std::make_unique<Pieces>()) {
  for (std::size_t which = 0; which < kResources.size(); ++which) {
    feeds_.push_back(std::make_unique<Feed>(loop, client, which));
  }
}

InventoryWatch::~InventoryWatch() = default;

void InventoryWatch::start() {
  if (std::exchange(started_, true)) {
    return;
  }
  for (const auto& each : feeds_) {
    Feed* feed = each.get();
    auto& pieces = pieces_->by_uid[feed->index];
    feed->objects.start({[this, feed, &pieces](const ClusterObject& object) {
                           InventoryDraft piece;
                           if (const std::string problem = feed->read(object, piece); !problem.empty()) {
                             spdlog::warn("an object of the cluster cannot be read, no policy opens or denies it: {}",
                                          problem);
                             pieces.erase(object.uid);
                           } else {
                             pieces[object.uid] = std::move(piece);
                           }
                           on_change_();
                         },
                         [this, &pieces](const std::string& uid) {
                           pieces.erase(uid);
                           on_change_();
                         },
                         [this] { on_change_(); }});
  }
}

bool InventoryWatch::known() const {
  return started_ && std::ranges::all_of(feeds_, [](const auto& feed) { return feed->objects.synced(); });
}

const InventoryWatch::Feed* InventoryWatch::first_in_trouble() const {
  const auto found = std::ranges::find_if(feeds_, [](const auto& feed) { return !feed->objects.trouble().empty(); });
  return found == feeds_.end() ? nullptr : found->get();
}

std::string InventoryWatch::trouble() const {
  const Feed* feed = first_in_trouble();
  return feed == nullptr ? "" : feed->objects.trouble();
}

Errc InventoryWatch::trouble_code() const {
  const Feed* feed = first_in_trouble();
  return feed == nullptr ? Errc::kIo : feed->objects.trouble_code();
}

Inventory InventoryWatch::inventory(const std::map<std::string, NamespaceInfo>& namespaces,
                                    const std::string& node,
                                    const std::vector<Prefix>& pod_ranges) const {
  InventoryDraft all;
  all.inventory.pods = pod_ranges;
  for (const auto& [name, info] : namespaces) {
    all.spaces[name] = info.labels;
  }
  for (const auto& pieces : pieces_->by_uid) {
    for (const auto& [uid, piece] : pieces) {
      add(piece, all);
    }
  }
  Inventory inventory = finish_inventory(std::move(all));
  if (pod_ranges.empty()) {
    // "from: pods" means what the configuration says, and does not change because some policy speaks of pods.
    inventory.node_ranges = std::exchange(inventory.pods, {});
  }
  for (const InventoryNode& each : inventory.nodes) {
    if (each.name == node) {
      inventory.host = each.addresses;
    }
  }
  inventory.whole = known();
  return inventory;
}

}  // namespace postern
