// SPDX-License-Identifier: Apache-2.0
//
// NetworkPolicy, and the two kinds whose egress rules are made like its: ApplicationNetworkPolicy
// (which adds domainNames to a peer) and FQDNNetworkPolicy (which has nothing but names).
#include "policies/foreign_kinds.h"
#include "policies/kubernetes_fields.h"

namespace postern {
namespace {

PeerRule to_peer(PeerRule::Who who, const PortSet& ports, const YamlField& field) {
  PeerRule peer;
  peer.who = who;
  peer.ports = ports;
  peer.origin = {field.place(), ""};
  return peer;
}

void read_pods(const YamlField& to, const PortSet& ports, Policy& policy) {
  PeerRule peer = to_peer(PeerRule::Who::kPods, ports, to);
  if (to["namespaceSelector"].type() != YamlField::Type::kMissing) {
    peer.pods.spaces = read_label_selector(to["namespaceSelector"]);
  } else {
    peer.pods.space = policy.space;
  }
  peer.pods.pods = read_label_selector(to["podSelector"]);
  policy.peers.push_back(std::move(peer));
}

void read_domain_names(const YamlField& names, const PortSet& ports, Policy& policy) {
  for (const YamlField& item : names.items()) {
    if (auto pattern = read_foreign_pattern(item, Dialect::kDomainNames)) {
      policy.allow_names.push_back({std::move(*pattern), ports, {item.place(), ""}, {}});
    }
  }
}

void read_to(const YamlField& to, const PortSet& ports, bool domain_names, Policy& policy) {
  if (!(domain_names ? to.only({"podSelector", "namespaceSelector", "ipBlock", "domainNames"})
                     : to.only({"podSelector", "namespaceSelector", "ipBlock"}))) {
    return;
  }
  const bool pods = to["podSelector"].type() != YamlField::Type::kMissing ||
                    to["namespaceSelector"].type() != YamlField::Type::kMissing;
  const int kinds = (pods ? 1 : 0) + (to["ipBlock"].present() ? 1 : 0) + (to["domainNames"].present() ? 1 : 0);
  if (kinds != 1) {
    to.error(
        kinds == 0
            ? "is an empty peer, which means nobody: say whom (podSelector, namespaceSelector, ipBlock), or remove "
              "the whole `to` to mean everybody"
            : "mixes peers of several kinds: write each as an item of its own");
    return;
  }
  if (pods) {
    read_pods(to, ports, policy);
  } else if (to["domainNames"].present()) {
    read_domain_names(to["domainNames"], ports, policy);
  } else if (auto block = read_ip_block(to["ipBlock"])) {
    block->ports = ports;
    policy.allow_cidrs.push_back(std::move(*block));
  }
}

void read_egress(const YamlField& rule, bool domain_names, Policy& policy) {
  if (!rule.only({"ports", "to"})) {
    return;
  }
  const PortSet ports = read_network_ports(rule["ports"]);
  if (ports.empty()) {
    return;  // every port of it was refused
  }
  const auto peers = rule["to"].items();
  if (peers.empty()) {
    policy.peers.push_back(to_peer(PeerRule::Who::kAll, ports, rule));
  }
  for (const YamlField& to : peers) {
    read_to(to, ports, domain_names, policy);
  }
}

/// Pods of its namespace, unless it says nothing of egress.
void read_subject(const YamlField& spec, Policy& policy) {
  const bool egress = is_for_egress(spec);
  if (spec["ingress"].present() && !spec["ingress"].items().empty()) {
    spec["ingress"].warn("is not enforced here: what your network plugin makes of it stays as it is");
  }
  if (!egress) {
    spec.warn("says nothing of egress, so it selects no sandbox here");
    return;
  }
  policy.subject.emplace();
  policy.subject->space = policy.space;
  policy.subject->pods = read_label_selector(spec["podSelector"]);
}

Policy read_like_network_policy(const YamlField& document, Family family, bool domain_names) {
  Policy policy;
  policy.family = family;
  read_object(document, true, policy);
  const YamlField spec = document["spec"];
  if (!spec.present()) {
    spec.error("is missing");
    return policy;
  }
  spec.only({"podSelector", "policyTypes", "ingress", "egress"});
  if (spec["podSelector"].type() == YamlField::Type::kMissing) {
    spec["podSelector"].error("is missing: write podSelector: {} for every pod of the namespace");
  }
  read_subject(spec, policy);
  for (const YamlField& rule : spec["egress"].items()) {
    read_egress(rule, domain_names, policy);
  }
  return policy;
}

}  // namespace

Policy read_network_policy(const YamlField& document) {
  Policy policy = read_like_network_policy(document, Family::kNetworkPolicy, false);
  for (const YamlField& owner : document["metadata"]["ownerReferences"].items()) {
    // The agent-sandbox controller makes one a template that opens the internet. Joined with an
    // allowlist of ours it would open what the allowlist does not.
    policy.stands_alone = policy.stands_alone || owner["kind"].text_or("") == "SandboxTemplate";
  }
  return policy;
}

Policy read_aws_application_policy(const YamlField& document) {
  return read_like_network_policy(document, Family::kAws, true);
}

Policy read_gke_fqdn_policy(const YamlField& document) {
  Policy policy;
  policy.family = Family::kGke;
  read_object(document, true, policy);
  const YamlField spec = document["spec"];
  spec.only({"podSelector", "egress"});
  policy.subject.emplace();
  policy.subject->space = policy.space;
  policy.subject->pods = read_label_selector(spec["podSelector"]);
  for (const YamlField& rule : spec["egress"].items()) {
    if (!rule.only({"matches", "ports"})) {
      continue;
    }
    const PortSet ports = read_network_ports(rule["ports"]);
    for (const YamlField& match : rule["matches"].items()) {
      if (!match.only({"name", "pattern"})) {
        continue;
      }
      if (match["name"].present() == match["pattern"].present()) {
        match.error("give either name or pattern");
        continue;
      }
      const YamlField& field = match["name"].present() ? match["name"] : match["pattern"];
      auto pattern = read_foreign_pattern(field, Dialect::kGke);
      if (pattern && match["name"].present() && !pattern->is_exact()) {
        field.error("holds a \"*\": write it as pattern");
      } else if (pattern && !ports.empty()) {
        policy.allow_names.push_back({std::move(*pattern), ports, {field.place(), ""}, {}});
      }
    }
  }
  return policy;
}

}  // namespace postern
