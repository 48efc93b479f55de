// SPDX-License-Identifier: Apache-2.0
#include "policies/inventory_reader.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "policies/inventory_objects.h"
#include "policies/kubernetes_fields.h"
#include "policies/native_reader.h"
#include "policies/yaml_field.h"

namespace postern {
namespace {

void read_ranges(const YamlField& list, std::vector<Prefix>& ranges) {
  for (const YamlField& each : list.items()) {
    if (const auto prefix = read_cidr(each)) {
      ranges.push_back(*prefix);
    }
  }
}

/// Space and name of an entry of pods or services; no name if it cannot be taken.
ObjectName entry_name(const YamlField& entry, const std::string& kind, InventoryDraft& draft) {
  const std::string space = entry["namespace"].text();
  const std::string name = entry["name"].text();
  if (space.empty() || name.empty() || !is_first(entry, kind + " " + space + "/" + name, draft)) {
    return {};
  }
  return {space, name};
}

void read_pod(const YamlField& entry, InventoryDraft& draft) {
  if (!entry.only({"name", "namespace", "labels", "addresses", "hostNetwork"})) {
    return;
  }
  const auto [space, name] = entry_name(entry, "Pod", draft);
  InventoryPod pod{name, {space, {}, read_labels(entry["labels"])}, {}, entry["hostNetwork"].flag_or(false)};
  add_addresses(entry["addresses"], pod.addresses);
  if (!name.empty()) {
    draft.inventory.pod_list.push_back(std::move(pod));
  }
}

void read_node(const YamlField& entry, InventoryDraft& draft) {
  if (!entry.only({"name", "labels", "addresses"})) {
    return;
  }
  InventoryNode node{entry["name"].text(), read_labels(entry["labels"]), {}};
  add_addresses(entry["addresses"], node.addresses);
  if (!node.name.empty() && is_first(entry, "Node " + node.name, draft)) {
    draft.inventory.nodes.push_back(std::move(node));
  }
}

std::optional<ServicePort> read_service_port(const YamlField& entry) {
  if (!entry.only({"port", "target", "protocol"})) {
    return std::nullopt;
  }
  const auto protocol = read_protocol(entry["protocol"]);
  const auto port = read_port_number(entry["port"]);
  const auto target = entry["target"].present() ? read_port_number(entry["target"]) : port;
  if (!protocol || !port || !target) {
    return std::nullopt;
  }
  return ServicePort{*protocol, *port, *target};
}

void read_service(const YamlField& entry, InventoryDraft& draft) {
  if (!entry.only({"name", "namespace", "labels", "selector", "addresses", "endpoints", "ports"})) {
    return;
  }
  InventoryService service;
  std::tie(service.space, service.name) = entry_name(entry, "Service", draft);
  service.labels = read_labels(entry["labels"]);
  service.selector = read_labels(entry["selector"]);
  add_addresses(entry["addresses"], service.cluster_ips);
  for (const YamlField& each : entry["ports"].items()) {
    if (const auto port = read_service_port(each)) {
      service.ports.push_back(*port);
    }
  }
  if (entry["endpoints"].present()) {
    add_addresses(entry["endpoints"], draft.endpoints[{service.space, service.name}].addresses);
  }
  if (!service.name.empty()) {
    draft.inventory.service_list.push_back(std::move(service));
  }
}

void read_compact(const YamlField& document, InventoryDraft& draft) {
  document.only({"apiVersion", "kind", "metadata", "ranges", "host", "namespaces", "pods", "nodes", "services"});
  only_metadata(document["metadata"]);
  const YamlField ranges = document["ranges"];
  ranges.only({"pods", "services"});
  read_ranges(ranges["pods"], draft.inventory.pods);
  read_ranges(ranges["services"], draft.inventory.services);
  add_addresses(document["host"], draft.inventory.host);
  for (const YamlField& entry : document["namespaces"].items()) {
    const std::string name = entry.only({"name", "labels"}) ? entry["name"].text() : "";
    if (!name.empty() && is_first(entry, "Namespace " + name, draft)) {
      draft.spaces[name] = read_labels(entry["labels"]);
    }
  }
  for (const YamlField& entry : document["pods"].items()) {
    read_pod(entry, draft);
  }
  for (const YamlField& entry : document["nodes"].items()) {
    read_node(entry, draft);
  }
  for (const YamlField& entry : document["services"].items()) {
    read_service(entry, draft);
  }
}

void read_document(const YamlField& document, InventoryDraft& draft) {
  if (document.type() != YamlField::Type::kMap) {
    document.error("not an object: begin with apiVersion: " + std::string(kApiVersion) +
                   " and kind: Inventory, or give what kubectl get -o yaml prints");
    return;
  }
  const std::string version = document["apiVersion"].text();
  const std::string kind = document["kind"].text();
  if (version.empty() || kind.empty()) {
    return;  // reported by text(), but for ""
  }
  if (kind == "List" || kind.ends_with("List")) {
    for (const YamlField& item : document["items"].items()) {
      read_document(item, draft);
    }
  } else if (kind == "Inventory" && version == kApiVersion) {
    read_compact(document, draft);
  } else if (kind == "Inventory") {
    document["apiVersion"].error("\"" + printable(version) + "\" is not known: write " + std::string(kApiVersion));
  } else if (!read_cluster_object(document, version, kind, draft)) {
    document["kind"].error("\"" + printable(kind) + "\" of " + printable(version) +
                           " does not belong in an inventory: remove it (known: " + std::string(kApiVersion) +
                           " Inventory, " + cluster_object_kinds() + ", and a List of them)");
  }
}

void sort_unique(std::vector<Prefix>& ranges) {
  std::ranges::sort(ranges);
  ranges.erase(std::unique(ranges.begin(), ranges.end()), ranges.end());
}

std::vector<Address> selected_addresses(const InventoryService& service, const Inventory& inventory) {
  std::vector<Address> addresses;
  for (const InventoryPod& pod : inventory.pod_list) {
    if (pod.identity.space == service.space && LabelSelector{service.selector, {}}.matches(pod.identity.labels)) {
      addresses.insert(addresses.end(), pod.addresses.begin(), pod.addresses.end());
    }
  }
  return addresses;
}

/// The number behind a port's name, if all slices agree. 0 otherwise: then only a rule for every port means it.
std::uint16_t target_of(const std::multimap<std::string, std::uint16_t>& ports, const std::string& name) {
  const auto [begin, end] = ports.equal_range(name);
  const bool agreed = begin != end && std::all_of(begin, end, [first = begin](const auto& each) {
                        return each.second == first->second;
                      });
  return agreed ? begin->second : 0;
}

}  // namespace

void read_inventory(std::string_view text, const std::string& file, InventoryDraft& draft, Diagnostics& diagnostics) {
  for (const YamlField& document : YamlField::parse(text, file, diagnostics)) {
    read_document(document, draft);
  }
}

Inventory finish_inventory(InventoryDraft draft) {
  Inventory& inventory = draft.inventory;
  if (inventory.pods.empty()) {
    inventory.pods = std::move(draft.node_ranges);
  }
  sort_unique(inventory.pods);
  sort_unique(inventory.services);
  for (InventoryPod& pod : inventory.pod_list) {
    if (const auto labels = draft.spaces.find(pod.identity.space); labels != draft.spaces.end()) {
      pod.identity.space_labels = labels->second;
    }
  }
  std::map<ObjectName, InventoryService*> services;
  for (InventoryService& service : inventory.service_list) {
    services[{service.space, service.name}] = &service;
    if (const auto said = draft.endpoints.find({service.space, service.name}); said != draft.endpoints.end()) {
      service.endpoints = said->second.addresses;
    } else if (!service.selector.empty()) {
      service.endpoints = selected_addresses(service, inventory);
    }
    std::ranges::sort(service.endpoints);
    service.endpoints.erase(std::unique(service.endpoints.begin(), service.endpoints.end()), service.endpoints.end());
  }
  for (const InventoryDraft::NamedTarget& named : draft.named_targets) {
    const auto service = services.find(named.service);
    if (const auto said = draft.endpoints.find(named.service);
        service != services.end() && said != draft.endpoints.end()) {
      service->second->ports[named.index].target = target_of(said->second.ports, named.port);
    }
  }
  return std::move(draft.inventory);
}

}  // namespace postern
