// SPDX-License-Identifier: Apache-2.0
//
// Reads an Inventory: from Postern's own compact kind, and from the objects that kubectl prints.
//
// Several files and documents add up to one inventory, since a cluster's objects are too many for one
// file. The compact kind is strict. Kubernetes' own objects have hundreds of fields that no policy
// speaks of, so there only those that are read are looked at. Text in, values out; no I/O.
// Limits: those of YamlField a file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policies/diagnostics.h"
#include "policies/inventory.h"

namespace postern {

/// A namespace and a name in it.
using ObjectName = std::pair<std::string, std::string>;

/// What was read so far, with references that only the whole resolves.
struct InventoryDraft {
  /// What is ready behind a Service, from its EndpointSlices.
  struct Endpoints {
    std::vector<Address> addresses = {};
    std::multimap<std::string, std::uint16_t> ports = {};  ///< By the name of the Service's port.
  };
  /// A Service's port whose target is a name: which number it is, the EndpointSlices say.
  struct NamedTarget {
    ObjectName service;
    std::size_t index = 0;  ///< Of the Service's ports.
    std::string port;       ///< Name of the Service's port.
  };

  Inventory inventory = {};
  std::map<std::string, Labels> spaces = {};       ///< Labels of namespaces.
  std::map<ObjectName, Endpoints> endpoints = {};  ///< By Service.
  std::vector<NamedTarget> named_targets = {};
  std::vector<Prefix> node_ranges = {};    ///< Of the nodes' pods; they hold where no document says `ranges.pods`.
  std::map<std::string, Place> seen = {};  ///< "Pod shop/web", so that none is there twice.
};

/// Adds all documents of a file. What is wrong goes to *diagnostics; use the draft only if it did not fail.
void read_inventory(std::string_view text, const std::string& file, InventoryDraft& draft, Diagnostics& diagnostics);

/// Puts the pieces together: labels of namespaces to their pods, endpoints to their Services. A Service
/// whose endpoints nobody said has the addresses of the pods that it selects.
Inventory finish_inventory(InventoryDraft draft);

}  // namespace postern
