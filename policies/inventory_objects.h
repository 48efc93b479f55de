// SPDX-License-Identifier: Apache-2.0
//
// Kubernetes' own objects as parts of an inventory, as `kubectl get -o yaml` prints them: Pod, Namespace,
// Node, Service, EndpointSlice, ServiceCIDR, and a List of them. Fields that are not read are not looked at.
#pragma once

#include <string>

#include "policies/inventory_reader.h"
#include "policies/yaml_field.h"

namespace postern {

/// @return whether there is such a kind in this version; if not, nothing was read or reported.
bool read_cluster_object(const YamlField& object,
                         const std::string& version,
                         const std::string& kind,
                         InventoryDraft& draft);

/// "Pod, Namespace, ...": for messages.
std::string cluster_object_kinds();

/// Pieces that the compact kind shares.
Labels read_labels(const YamlField& labels);
void add_addresses(const YamlField& list, std::vector<Address>& addresses);
/// Reports, and says no, if there is one already.
bool is_first(const YamlField& object, const std::string& what, InventoryDraft& draft);

}  // namespace postern
