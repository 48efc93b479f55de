// SPDX-License-Identifier: Apache-2.0
#include "policies/peer_resolver.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_map>

namespace postern {
namespace {

const Prefix kAllV4 = Prefix::parse("0.0.0.0/0").value();
const Prefix kAllV6 = Prefix::parse("::/0").value();

Prefix host(const Address& address) { return {address, 128}; }

/// Addresses with the ports that are opened there.
struct Opening {
  Prefix prefix;
  PortSet ports;
};

class Resolver {
 public:
  explicit Resolver(const Inventory& inventory) : inventory_(inventory) {
    for (const InventoryPod& pod : inventory.pod_list) {
      pods_of_[pod.identity.space].push_back(&pod);
    }
  }

  std::vector<Opening> openings_of(const PeerRule& peer) const {
    switch (peer.who) {
      case PeerRule::Who::kPods:
        return pods(peer);
      case PeerRule::Who::kNodes:
        return nodes(peer);
      case PeerRule::Who::kServices:
        return services(peer);
      case PeerRule::Who::kApiServer:
        return api_server(peer);
      case PeerRule::Who::kHost:
        return each(hosts(inventory_.host), peer.ports);
      case PeerRule::Who::kCluster:
        return each(cluster(), peer.ports);
      case PeerRule::Who::kWorld:
      case PeerRule::Who::kAll:
        return each({kAllV4, kAllV6}, peer.ports);
    }
    return {};
  }

  /// Every prefix that is the cluster's: what "world" leaves out.
  const std::vector<Prefix>& cluster() const {
    if (cluster_.empty()) {
      std::set<Prefix> found(inventory_.services.begin(), inventory_.services.end());
      for (const InventoryService& service : inventory_.service_list) {
        add_hosts(service.cluster_ips, found);
      }
      found.insert(pods_and_nodes().begin(), pods_and_nodes().end());
      cluster_.assign(found.begin(), found.end());
    }
    return cluster_;
  }

  /// What Cilium's toCIDR does not mean.
  const std::vector<Prefix>& pods_and_nodes() const {
    if (pods_and_nodes_.empty()) {
      pods_and_nodes_ = find_pods_and_nodes();
    }
    return pods_and_nodes_;
  }

 private:
  std::vector<Prefix> find_pods_and_nodes() const {
    std::set<Prefix> found(inventory_.pods.begin(), inventory_.pods.end());
    found.insert(inventory_.node_ranges.begin(), inventory_.node_ranges.end());
    add_hosts(inventory_.host, found);
    for (const InventoryPod& pod : inventory_.pod_list) {
      add_hosts(pod.addresses, found);
    }
    for (const InventoryNode& node : inventory_.nodes) {
      add_hosts(node.addresses, found);
    }
    return {found.begin(), found.end()};
  }

  static void add_hosts(const std::vector<Address>& addresses, std::set<Prefix>& found) {
    for (const Address& address : addresses) {
      found.insert(host(address));
    }
  }

  static std::vector<Prefix> hosts(const std::vector<Address>& addresses) {
    std::vector<Prefix> prefixes;
    std::ranges::transform(addresses, std::back_inserter(prefixes), host);
    return prefixes;
  }

  static std::vector<Opening> each(const std::vector<Prefix>& prefixes, const PortSet& ports) {
    std::vector<Opening> openings;
    for (const Prefix& prefix : prefixes) {
      openings.push_back({prefix, ports});
    }
    return openings;
  }

  static void add(const std::vector<Address>& addresses, const PortSet& ports, std::vector<Opening>& openings) {
    for (const Address& address : addresses) {
      openings.push_back({host(address), ports});
    }
  }

  std::vector<Opening> pods(const PeerRule& peer) const {
    if (inventory_.pod_list.empty() && peer.action == PeerRule::Action::kDeny) {
      return each(inventory_.pods, peer.ports);  // which of them is meant is not known: all are
    }
    std::vector<Opening> openings;
    for (const InventoryPod& pod : inventory_.pod_list) {
      if (!pod.host_network && peer.pods.matches(pod.identity)) {
        add(pod.addresses, peer.ports, openings);
      }
    }
    for (const InventoryService& service : inventory_.service_list) {
      if (is_in_front_of(service, peer)) {
        add(service.cluster_ips, translated(service, peer), openings);
      }
    }
    return openings;
  }

  /// May what is sent to the Service's address reach selected pods, and, to allow it, no other?
  bool is_in_front_of(const InventoryService& service, const PeerRule& peer) const {
    if (service.cluster_ips.empty() || service.selector.empty()) {
      return false;
    }
    bool selected = false;
    bool other = false;
    const auto pods = pods_of_.find(service.space);
    if (pods == pods_of_.end()) {
      return false;
    }
    const LabelSelector behind{service.selector, {}};
    for (const InventoryPod* pod : pods->second) {
      if (behind.matches(pod->identity.labels)) {
        (!pod->host_network && peer.pods.matches(pod->identity) ? selected : other) = true;
      }
    }
    return selected && (!other || peer.action != PeerRule::Action::kAllow);
  }

  /// The Service's own ports for target ports that are in the rule's. Whoever makes Services must not make a policy
  /// fail: of more ranges than a rule can have, a denial closes all, and a rule that allows opens none.
  static PortSet translated(const InventoryService& service, const PeerRule& peer) {
    const bool deny = peer.action == PeerRule::Action::kDeny;
    if (peer.ports.is_all()) {
      return peer.ports;
    }
    PortSet own;
    for (const ServicePort& port : service.ports) {
      // 0: the pods behind it do not agree on the number.
      if (peer.ports.contains(port.protocol, port.target) || (port.target == 0 && deny)) {
        own.add(PortRange{port.protocol, port.port, port.port});
      }
    }
    return own.ranges().size() <= PortSet::kRangesMax ? own : deny ? PortSet::all() : PortSet();
  }

  std::vector<Opening> nodes(const PeerRule& peer) const {
    std::vector<Opening> openings;
    for (const InventoryNode& node : inventory_.nodes) {
      if (peer.nodes.matches(node.labels)) {
        add(node.addresses, peer.ports, openings);
      }
    }
    return openings;
  }

  std::vector<Opening> services(const PeerRule& peer) const {
    std::vector<Opening> openings;
    for (const InventoryService& service : inventory_.service_list) {
      const bool meant =
          (peer.service_space.empty() || service.space == peer.service_space) &&
          (peer.service_name.empty() ? peer.service_labels.matches(service.labels) : service.name == peer.service_name);
      if (meant) {
        add(service.endpoints, peer.ports, openings);
        add(service.cluster_ips, translated(service, peer), openings);
      }
    }
    return openings;
  }

  std::vector<Opening> api_server(const PeerRule& peer) const {
    std::vector<Opening> openings;
    for (const InventoryService& service : inventory_.service_list) {
      if (service.space == "default" && service.name == "kubernetes") {
        add(service.endpoints, peer.ports, openings);
        add(service.cluster_ips, peer.ports, openings);
      }
    }
    return openings;
  }

  const Inventory& inventory_;
  mutable std::vector<Prefix> cluster_;                                             // found when first asked for
  mutable std::vector<Prefix> pods_and_nodes_;                                      // likewise
  std::unordered_map<std::string_view, std::vector<const InventoryPod*>> pods_of_;  // by namespace
};

/// Holes that lie in the rule's prefix.
void add_holes(const std::vector<Prefix>& holes, CidrRule& rule) {
  for (const Prefix& hole : holes) {
    if (rule.prefix.contains(hole) && rule.prefix != hole) {
      rule.except.push_back(hole);
    }
  }
}

void add_plain(const std::vector<CidrRule>& cidrs,
               PeerRule::Action action,
               const Resolver& resolver,
               std::vector<ResolvedCidr>& rules) {
  for (const CidrRule& cidr : cidrs) {
    rules.push_back({action, cidr});
    if (cidr.outside_cluster) {
      add_holes(resolver.pods_and_nodes(), rules.back().rule);
    }
  }
}

}  // namespace

std::vector<ResolvedCidr> resolve_cidrs(const Policy& policy, const Inventory& inventory) {
  static const Inventory kNone;
  const Resolver resolver(policy.needs_inventory() ? inventory : kNone);
  std::vector<ResolvedCidr> rules;
  rules.reserve(policy.allow_cidrs.size() + policy.deny_cidrs.size() + policy.pass_cidrs.size());
  add_plain(policy.deny_cidrs, PeerRule::Action::kDeny, resolver, rules);
  add_plain(policy.allow_cidrs, PeerRule::Action::kAllow, resolver, rules);
  add_plain(policy.pass_cidrs, PeerRule::Action::kPass, resolver, rules);
  for (const PeerRule& peer : policy.peers) {
    for (const Opening& opening : resolver.openings_of(peer)) {
      if (opening.ports.empty()) {
        continue;
      }
      CidrRule rule{opening.prefix, {}, opening.ports, peer.origin, peer.order, false};
      if (peer.who == PeerRule::Who::kWorld) {
        add_holes(resolver.cluster(), rule);
      }
      rules.push_back({peer.action, std::move(rule)});
    }
  }
  return rules;
}

}  // namespace postern
