// SPDX-License-Identifier: Apache-2.0
//
// CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy: their egress half.
//
// A rule's peers and its toPorts must both hold; rules add up. rules.dns under a port says which names
// may be looked up; toFQDNs says whose addresses are opened. Here, as there, having egress or egressDeny
// denies the rest.
#include <algorithm>
#include <array>

#include "base/log.h"
#include "policies/foreign_kinds.h"
#include "policies/kubernetes_fields.h"

namespace postern {
namespace {

constexpr std::string_view kNamespaceKey = "io.kubernetes.pod.namespace";
constexpr std::string_view kNamespaceLabels = "io.cilium.k8s.namespace.labels.";

/// A label key without Cilium's source prefix. Other sources are not what pods have.
std::string plain_key(const YamlField& field, const std::string& key) {
  const auto colon = key.find(':');
  if (colon == std::string::npos) {
    return key;
  }
  const std::string source = key.substr(0, colon);
  if (source != "k8s" && source != "any") {
    field.error("label source \"" + printable(source) + "\" is not known here: use plain keys, or k8s:");
  }
  return key.substr(colon + 1);
}

/// Puts one requirement where it belongs: the pod's labels, its namespace's, or its namespace's name.
void place_requirement(const YamlField& field, LabelRequirement requirement, PodSelector& pods) {
  requirement.key = plain_key(field, requirement.key);
  if (requirement.key == kNamespaceKey) {
    pods.spaces = pods.spaces.value_or(LabelSelector());
    requirement.key = kNamespaceNameLabel;
    pods.spaces->requirements.push_back(std::move(requirement));
  } else if (requirement.key.starts_with(kNamespaceLabels)) {
    pods.spaces = pods.spaces.value_or(LabelSelector());
    requirement.key.erase(0, kNamespaceLabels.size());
    pods.spaces->requirements.push_back(std::move(requirement));
  } else if (requirement.key.starts_with("io.cilium.") || requirement.key.starts_with("reserved.")) {
    field.error("\"" + printable(requirement.key) +
                "\" is a label of Cilium's own, which pods do not have: select by pod or namespace labels");
  } else {
    pods.pods.requirements.push_back(std::move(requirement));
  }
}

/// @param space  the policy's own namespace, which is meant when the selector names none.
PodSelector read_endpoints(const YamlField& selector, const std::string& space) {
  PodSelector pods;
  const LabelSelector read = read_label_selector(selector);
  for (const auto& [key, value] : read.labels) {
    place_requirement(selector, {key, LabelRequirement::Op::kIn, {value}}, pods);
  }
  for (const LabelRequirement& requirement : read.requirements) {
    place_requirement(selector, requirement, pods);
  }
  if (!pods.spaces && !space.empty()) {
    pods.space = space;
  }
  return pods;
}

class RuleReader {
 public:
  RuleReader(const YamlField& rule, bool deny, Policy& policy) : rule_(rule), deny_(deny), policy_(policy) {}

  void read() {
    if (!rule_.only({"toEndpoints", "toFQDNs", "toCIDR", "toCIDRSet", "toEntities", "toServices", "toPorts"})) {
      return;
    }
    ports_ = read_ports_and_dns();
    if (deny_ && rule_["toFQDNs"].present()) {
      rule_["toFQDNs"].error("a name cannot be denied: what is not allowed is denied");
    }
    const bool some_peer =
        std::ranges::any_of(kPeers, [&](const char* peer) { return rule_[peer].type() == YamlField::Type::kList; });
    if (!some_peer && !ports_.empty()) {
      if (rule_["toPorts"].present()) {
        add_peer(PeerRule::Who::kAll, rule_["toPorts"]);
      }  // an empty rule means nobody
      return;
    }
    if (rule_["toFQDNs"].present() &&
        std::ranges::count_if(kPeers, [&](const char* peer) { return rule_[peer].present(); }) > 1) {
      rule_["toFQDNs"].error(
          "does not go together with other peers in one rule: write a rule of its own for the names");
    }
    read_names();
    read_cidrs();
    read_pods();
    read_entities();
    read_services();
  }

 private:
  static constexpr std::array<const char*, 6> kPeers{"toEndpoints", "toFQDNs",    "toCIDR",
                                                     "toCIDRSet",   "toEntities", "toServices"};

  /// The rule's ports; names under rules.dns are added at once, to resolve.
  PortSet read_ports_and_dns() {
    const auto items = rule_["toPorts"].items();
    if (items.empty()) {
      return PortSet::all();
    }
    PortSet all;
    for (const YamlField& item : items) {
      if (!item.only({"ports", "rules"})) {
        continue;
      }
      const PortSet ports = read_ports(item["ports"]);
      all.add(ports);
      if (item["rules"].present()) {
        read_dns(item["rules"], ports);
      }
    }
    return all;
  }

  static PortSet read_ports(const YamlField& field) {
    PortSet set;
    const auto items = field.items();
    if (items.empty()) {
      return PortSet::all();
    }
    for (const YamlField& item : items) {
      if (!item.only({"port", "endPort", "protocol"})) {
        continue;
      }
      PortRange range{kProtocolTcp, 0, 65535};
      if (item["port"].text_or("0") != "0") {
        const auto first = read_port_number(item["port"]);
        const auto last = item["endPort"].text_or("0") != "0" ? read_port_number(item["endPort"]) : first;
        if (!first || !last) {
          continue;
        }
        if (*last < *first) {
          item["endPort"].error("is less than port: write the higher one here");
          continue;
        }
        range.first = *first;
        range.last = *last;
      }
      const std::string protocol = item["protocol"].text_or("ANY");
      if (protocol != "ANY") {
        if (const auto number = read_protocol(item["protocol"])) {
          range.protocol = *number;
          set.add(range);
        }
        continue;
      }
      set.add(range);
      range.protocol = kProtocolUdp;
      set.add(range);
    }
    return set;
  }

  void read_dns(const YamlField& rules, const PortSet& ports) {
    if (deny_) {
      rules.error("a denial has no rules for what is inside: remove it");
      return;
    }
    if (!rules.only({"dns"})) {
      return;
    }
    if (!ports.contains(kProtocolUdp, 53) && !ports.contains(kProtocolTcp, 53)) {
      rules["dns"].error("stands under ports without 53, where no lookup is answered: put it under port 53");
    }
    for (const YamlField& item : rules["dns"].items()) {
      if (auto pattern = read_name(item)) {
        policy_.allow_names.push_back({std::move(*pattern), PortSet(), {item.place(), ""}, {}});
      }
    }
  }

  static std::optional<NamePattern> read_name(const YamlField& item) {
    if (!item.only({"matchName", "matchPattern"})) {
      return std::nullopt;
    }
    if (item["matchName"].present() == item["matchPattern"].present()) {
      item.error("give either matchName or matchPattern");
      return std::nullopt;
    }
    if (item["matchPattern"].present()) {
      return read_foreign_pattern(item["matchPattern"], Dialect::kCilium);
    }
    auto name = read_foreign_pattern(item["matchName"], Dialect::kCilium);
    if (name && !name->is_exact()) {
      item["matchName"].error("holds a \"*\": write it as matchPattern");
      return std::nullopt;
    }
    return name;
  }

  void read_names() {
    for (const YamlField& item : rule_["toFQDNs"].items()) {
      auto pattern = read_name(item);
      if (pattern && !deny_ && !ports_.empty()) {
        policy_.allow_names.push_back({std::move(*pattern), ports_, {item.place(), ""}, {}});
      }
    }
  }

  void add_cidr(CidrRule rule) {
    rule.ports = ports_;
    rule.outside_cluster = !deny_;  // pods and nodes are meant by selectors and entities, not by address
    (deny_ ? policy_.deny_cidrs : policy_.allow_cidrs).push_back(std::move(rule));
  }

  void read_cidrs() {
    if (ports_.empty()) {
      return;
    }
    for (const YamlField& item : rule_["toCIDR"].items()) {
      if (const auto prefix = read_cidr(item)) {
        add_cidr({*prefix, {}, {}, {item.place(), ""}, {}, false});
      }
    }
    for (const YamlField& item : rule_["toCIDRSet"].items()) {
      if (auto block = read_ip_block(item)) {
        add_cidr(std::move(*block));
      }
    }
  }

  PeerRule& add_peer(PeerRule::Who who, const YamlField& field) {
    PeerRule peer;
    peer.action = deny_ ? PeerRule::Action::kDeny : PeerRule::Action::kAllow;
    peer.who = who;
    peer.ports = ports_;
    peer.origin = {field.place(), ""};
    return policy_.peers.emplace_back(std::move(peer));
  }

  void read_pods() {
    for (const YamlField& item : rule_["toEndpoints"].items()) {
      add_peer(PeerRule::Who::kPods, item).pods = read_endpoints(item, policy_.space);
    }
  }

  void read_entities() {
    for (const YamlField& item : rule_["toEntities"].items()) {
      const std::string word = item.text();
      if (word == "world" || word == "all" || word == "cluster" || word == "kube-apiserver" || word == "host") {
        add_peer(word == "world"            ? PeerRule::Who::kWorld
                 : word == "all"            ? PeerRule::Who::kAll
                 : word == "cluster"        ? PeerRule::Who::kCluster
                 : word == "kube-apiserver" ? PeerRule::Who::kApiServer
                                            : PeerRule::Who::kHost,
                 item);
      } else if (word == "remote-node") {
        add_peer(PeerRule::Who::kNodes, item);
      } else if (item.type() == YamlField::Type::kScalar && word != "none") {
        item.error("entity \"" + printable(word) +
                   "\" is not known here: write world, cluster, kube-apiserver, host, remote-node or all");
      }
    }
  }

  void read_services() {
    for (const YamlField& item : rule_["toServices"].items()) {
      if (!item.only({"k8sService", "k8sServiceSelector"})) {
        continue;
      }
      PeerRule& peer = add_peer(PeerRule::Who::kServices, item);
      if (const YamlField named = item["k8sService"]; named.present()) {
        named.only({"serviceName", "namespace"});
        peer.service_name = named["serviceName"].text();
        peer.service_space = named["namespace"].text_or(policy_.space);
      } else if (const YamlField selected = item["k8sServiceSelector"]; selected.present()) {
        selected.only({"selector", "namespace"});
        peer.service_labels = read_label_selector(selected["selector"]);
        peer.service_space = selected["namespace"].text_or(policy_.space);
      } else {
        item.error("give k8sService or k8sServiceSelector");
        policy_.peers.pop_back();
      }
    }
  }

  const YamlField& rule_;
  bool deny_;
  Policy& policy_;
  PortSet ports_;
};

/// Sections that another controller enforces are named; what is empty says nothing.
void check_ingress(const YamlField& spec) {
  for (const char* section : {"ingress", "ingressDeny"}) {
    if (spec[section].present() && !spec[section].items().empty()) {
      spec[section].warn("is not enforced here: only egress is");
    }
  }
}

void read_spec(const YamlField& spec, Policy& policy) {
  if (!spec.only(
          {"description", "endpointSelector", "egress", "egressDeny", "ingress", "ingressDeny", "enableDefaultDeny"})) {
    return;
  }
  check_ingress(spec);
  const YamlField rest = spec["enableDefaultDeny"];
  rest.only({"egress", "ingress"});
  policy.denies_by_default = rest["egress"].flag_or(true);
  const bool egress =
      spec["egress"].type() == YamlField::Type::kList || spec["egressDeny"].type() == YamlField::Type::kList;
  if (spec["endpointSelector"].type() == YamlField::Type::kMissing) {
    spec["endpointSelector"].error("is missing: write endpointSelector: {} for every pod");
  } else if (!egress) {
    spec.warn("says nothing of egress, so it selects no sandbox here");
  } else {
    policy.subject = read_endpoints(spec["endpointSelector"], policy.space);
    if (policy.kind == "CiliumNetworkPolicy") {
      policy.subject->space = policy.space;  // whatever its selector says: a tenant's object is for his namespace
    }
  }
  for (const YamlField& rule : spec["egress"].items()) {
    RuleReader(rule, false, policy).read();
  }
  for (const YamlField& rule : spec["egressDeny"].items()) {
    RuleReader(rule, true, policy).read();
  }
  offer_ipv6_twins(spec["egressDeny"], policy);
}

Policy read_cilium(const YamlField& document, bool namespaced) {
  Policy policy;
  policy.family = Family::kCilium;
  read_object(document, namespaced, policy);
  if (document["specs"].present()) {
    document["specs"].error(
        "holds several policies in one object, and each may select other pods: write each as an object with a spec");
  }
  if (!document["spec"].present()) {
    document["spec"].error("is missing");
    return policy;
  }
  read_spec(document["spec"], policy);
  return policy;
}

}  // namespace

Policy read_cilium_policy(const YamlField& document) { return read_cilium(document, true); }

Policy read_cilium_clusterwide_policy(const YamlField& document) { return read_cilium(document, false); }

}  // namespace postern
