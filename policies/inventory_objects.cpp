// SPDX-License-Identifier: Apache-2.0
#include "policies/inventory_objects.h"

#include <algorithm>
#include <array>

#include "base/log.h"
#include "policies/kubernetes_fields.h"

namespace postern {
namespace {

constexpr std::uint8_t kProtocolSctp = 132;
constexpr const char* kServiceOfSlice = "kubernetes.io/service-name";

void add_address(const YamlField& field, std::vector<Address>& addresses) {
  const std::string text = field.text();
  if (const auto address = Address::parse(text)) {
    addresses.push_back(*address);
  } else if (field.type() == YamlField::Type::kScalar) {
    field.error("\"" + printable(text.substr(0, 80)) + "\" is not an address: write one as 10.0.0.1 or fd00::1");
  }
}

/// metadata.namespace and metadata.name; no name if the object cannot be taken.
ObjectName name_of(const YamlField& object, const std::string& kind, bool namespaced, InventoryDraft& draft) {
  const YamlField metadata = object["metadata"];
  const std::string name = metadata["name"].text();
  const std::string space = namespaced ? metadata["namespace"].text_or("default") : "";
  const std::string what = kind + " " + (namespaced ? space + "/" : "") + name;
  if (name.empty() || !is_first(object, what, draft)) {
    return {};
  }
  return {space, name};
}

void read_pod(const YamlField& object, InventoryDraft& draft) {
  const auto [space, name] = name_of(object, "Pod", true, draft);
  const YamlField status = object["status"];
  const std::string phase = status["phase"].text_or("");
  if (name.empty() || phase == "Succeeded" || phase == "Failed") {
    return;  // the address of one that has ended may be another's by now
  }
  InventoryPod pod;
  pod.name = name;
  pod.identity = {space, {}, read_labels(object["metadata"]["labels"])};
  pod.host_network = object["spec"]["hostNetwork"].flag_or(false);
  for (const YamlField& each : status["podIPs"].items()) {
    add_address(each["ip"], pod.addresses);
  }
  if (pod.addresses.empty() && status["podIP"].present()) {
    add_address(status["podIP"], pod.addresses);
  }
  draft.inventory.pod_list.push_back(std::move(pod));
}

void read_namespace(const YamlField& object, InventoryDraft& draft) {
  const std::string name = name_of(object, "Namespace", false, draft).second;
  if (!name.empty()) {
    draft.spaces[name] = read_labels(object["metadata"]["labels"]);
  }
}

void read_node(const YamlField& object, InventoryDraft& draft) {
  InventoryNode node;
  node.name = name_of(object, "Node", false, draft).second;
  if (node.name.empty()) {
    return;
  }
  node.labels = read_labels(object["metadata"]["labels"]);
  for (const YamlField& each : object["status"]["addresses"].items()) {
    const std::string type = each["type"].text();
    if (type == "InternalIP" || type == "ExternalIP") {
      add_address(each["address"], node.addresses);
    }
  }
  for (const YamlField& range : object["spec"]["podCIDRs"].items()) {
    if (const auto prefix = read_cidr(range)) {
      draft.node_ranges.push_back(*prefix);
    }
  }
  draft.inventory.nodes.push_back(std::move(node));
}

std::uint8_t protocol_of(const YamlField& field) {
  const std::string word = field.word_or("TCP", {"TCP", "UDP", "SCTP"});
  return word == "UDP" ? kProtocolUdp : word == "SCTP" ? kProtocolSctp : kProtocolTcp;
}

void read_service_ports(const YamlField& ports, InventoryService& service, InventoryDraft& draft) {
  for (const YamlField& each : ports.items()) {
    ServicePort port;
    port.protocol = protocol_of(each["protocol"]);
    port.port = static_cast<std::uint16_t>(each["port"].number_or(0, 1, 65535));
    const YamlField target = each["targetPort"];
    const std::string text = target.text_or("");
    if (text.empty()) {
      port.target = port.port;
    } else if (std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; })) {
      port.target = static_cast<std::uint16_t>(target.number_or(0, 1, 65535));
    } else {
      draft.named_targets.push_back({{service.space, service.name}, service.ports.size(), each["name"].text_or("")});
    }
    service.ports.push_back(port);
  }
}

void read_service(const YamlField& object, InventoryDraft& draft) {
  InventoryService service;
  std::tie(service.space, service.name) = name_of(object, "Service", true, draft);
  if (service.name.empty()) {
    return;
  }
  service.labels = read_labels(object["metadata"]["labels"]);
  const YamlField spec = object["spec"];
  service.selector = read_labels(spec["selector"]);
  auto cluster_ips = spec["clusterIPs"].items();
  if (cluster_ips.empty() && spec["clusterIP"].present()) {
    cluster_ips.push_back(spec["clusterIP"]);
  }
  for (const YamlField& each : cluster_ips) {
    if (const std::string text = each.text(); text != "None" && !text.empty()) {  // headless; ExternalName
      add_address(each, service.cluster_ips);
    }
  }
  read_service_ports(spec["ports"], service, draft);
  draft.inventory.service_list.push_back(std::move(service));
}

void read_endpoint_slice(const YamlField& object, InventoryDraft& draft) {
  const auto [space, name] = name_of(object, "EndpointSlice", true, draft);
  const YamlField service = object["metadata"]["labels"][kServiceOfSlice];
  const std::string type = object["addressType"].text_or("IPv4");
  if (name.empty() || !service.present() || (type != "IPv4" && type != "IPv6")) {
    return;  // of no Service, or names (FQDN), which are not the addresses a policy opens
  }
  InventoryDraft::Endpoints& endpoints = draft.endpoints[{space, service.text()}];
  for (const YamlField& each : object["endpoints"].items()) {
    // Whoever does not say is ready: discovery.k8s.io/v1, EndpointConditions.
    if (each["conditions"]["ready"].flag_or(true)) {
      add_addresses(each["addresses"], endpoints.addresses);
    }
  }
  for (const YamlField& each : object["ports"].items()) {
    if (const auto number = each["port"].number_or(0, 1, 65535); number != 0) {
      endpoints.ports.emplace(each["name"].text_or(""), static_cast<std::uint16_t>(number));
    }
  }
}

void read_service_range(const YamlField& object, InventoryDraft& draft) {
  if (name_of(object, "ServiceCIDR", false, draft).second.empty()) {
    return;
  }
  for (const YamlField& each : object["spec"]["cidrs"].items()) {
    if (const auto prefix = read_cidr(each)) {
      draft.inventory.services.push_back(*prefix);
    }
  }
}

struct ObjectReader {
  std::string_view version;
  std::string_view kind;
  void (*read)(const YamlField& object, InventoryDraft& draft);
};

constexpr std::array kReaders{
    ObjectReader{"v1", "Pod", read_pod},
    ObjectReader{"v1", "Namespace", read_namespace},
    ObjectReader{"v1", "Node", read_node},
    ObjectReader{"v1", "Service", read_service},
    ObjectReader{"discovery.k8s.io/v1", "EndpointSlice", read_endpoint_slice},
    ObjectReader{"networking.k8s.io/v1", "ServiceCIDR", read_service_range},
};

}  // namespace

bool read_cluster_object(const YamlField& object,
                         const std::string& version,
                         const std::string& kind,
                         InventoryDraft& draft) {
  const auto reader = std::ranges::find_if(
      kReaders, [&](const ObjectReader& each) { return each.kind == kind && each.version == version; });
  if (reader == kReaders.end()) {
    return false;
  }
  reader->read(object, draft);
  return true;
}

std::string cluster_object_kinds() {
  std::string text;
  for (const ObjectReader& each : kReaders) {
    text += (text.empty() ? "" : ", ") + std::string(each.version) + " " + std::string(each.kind);
  }
  return text;
}

Labels read_labels(const YamlField& labels) {
  Labels read;
  for (const auto& [key, value] : labels.entries()) {
    read[key] = value.text();
  }
  return read;
}

void add_addresses(const YamlField& list, std::vector<Address>& addresses) {
  for (const YamlField& each : list.items()) {
    add_address(each, addresses);
  }
}

bool is_first(const YamlField& object, const std::string& what, InventoryDraft& draft) {
  const auto [known, added] = draft.seen.emplace(what, object.place());
  if (!added) {
    object.error(printable(what) + " is there already, at " + known->second.to_string() + ": remove one");
  }
  return added;
}

}  // namespace postern
