// SPDX-License-Identifier: Apache-2.0
//
// Inventory: the cluster, as far as policies speak of it. Selectors, entities and Services resolve
// against this and nothing else: a file in tests and `postern policy check --inventory`, the watch in
// posternd. Plain data; on a machine without a cluster it is empty.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ip.h"
#include "policies/selector.h"

namespace postern {

struct InventoryPod {
  std::string name;
  PodIdentity identity;
  std::vector<Address> addresses;
  bool host_network = false;  ///< Selected by nothing: its addresses are the node's.

  friend bool operator==(const InventoryPod&, const InventoryPod&) = default;
};

struct InventoryNode {
  std::string name;
  Labels labels;
  std::vector<Address> addresses;

  friend bool operator==(const InventoryNode&, const InventoryNode&) = default;
};

struct ServicePort {
  std::uint8_t protocol = 6;  ///< IP protocol number.
  std::uint16_t port = 0;
  std::uint16_t target = 0;  ///< Port of the pods behind it.

  friend bool operator==(const ServicePort&, const ServicePort&) = default;
};

struct InventoryService {
  std::string space;
  std::string name;
  Labels labels;
  Labels selector;                   ///< Of the pods behind it; empty: its endpoints are somebody else's to say.
  std::vector<Address> cluster_ips;  ///< None: a headless Service.
  std::vector<Address> endpoints;    ///< Ready ones.
  std::vector<ServicePort> ports;

  friend bool operator==(const InventoryService&, const InventoryService&) = default;
};

struct Inventory {
  /// False: there may be more than is listed. A policy that speaks of pods, nodes or Services is not compiled by it: what
  /// it denies might be missing, and "world" might be too wide.
  bool whole = true;
  std::vector<Prefix> pods = {};      ///< Ranges that pods have their addresses from.
  std::vector<Prefix> node_ranges = {};  ///< The same, but not what "from: pods" means.
  std::vector<Prefix> services = {};     ///< Ranges of cluster addresses.
  std::vector<Address> host = {};     ///< Addresses of the sandbox's own node.
  std::vector<InventoryPod> pod_list = {};
  std::vector<InventoryNode> nodes = {};
  std::vector<InventoryService> service_list = {};

  friend bool operator==(const Inventory&, const Inventory&) = default;
};

}  // namespace postern
