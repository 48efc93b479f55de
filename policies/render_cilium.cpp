// SPDX-License-Identifier: Apache-2.0
//
// CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy as text.
//
// toFQDNs learns only from lookups that a rules.dns lets pass, so the names stand twice. Its denials beat
// every allow, like native ones inside a tier; there are no tiers.
#include <algorithm>

#include "policies/never_list.h"
#include "policies/render_job.h"

namespace postern {
namespace {

constexpr const char* kVersion = "cilium.io/v2";

/// A namespace's labels as Cilium puts them on its pods.
std::string endpoint_key(const std::string& key) {
  return key == kNamespaceNameLabel ? "k8s:io.kubernetes.pod.namespace" : "k8s:io.cilium.k8s.namespace.labels." + key;
}

LabelSelector endpoints_of(const PodSelector& pods) {
  LabelSelector selector = pods.pods;
  if (pods.spaces) {
    for (const auto& [key, value] : pods.spaces->labels) {
      selector.labels[endpoint_key(key)] = value;
    }
    for (LabelRequirement requirement : pods.spaces->requirements) {
      requirement.key = endpoint_key(requirement.key);
      selector.requirements.push_back(std::move(requirement));
    }
  }
  return selector;
}

/// Private ranges, and all that have some inside.
bool may_hold_pods(const Prefix& prefix) {
  const bool wide = prefix.family_bits() < 8;
  return wide || is_private(prefix.address);
}

class CiliumWriter {
 public:
  explicit CiliumWriter(RenderJob& job) : job_(job), policy_(job.policy) {}

  void write() {
    YamlOut spec = YamlOut::map();
    spec.set("endpointSelector", selector_out(endpoints_of(subject_of(job_))));
    write_names();
    write_cidrs();
    if (egress_.empty() && policy_.denies_by_default) {
      egress_.add(YamlOut::map());  // nobody; having the list denies the rest
    }
    if (!egress_.empty()) {
      spec.set("egress", egress_);
    }
    write_denials(spec);
    if (!policy_.denies_by_default) {
      spec.set("enableDefaultDeny", YamlOut::map().set("egress", YamlOut::flag(false)).on_one_line());
    }
    const bool cluster = is_cluster_wide(policy_);
    if (cluster && policy_.tier != Tier::kApplication) {
      job_.note("Cilium has no tiers: every denial beats every allow, of whichever policy.");
    }
    YamlOut object = object_head(kVersion, cluster ? "CiliumClusterwideNetworkPolicy" : "CiliumNetworkPolicy",
                                 policy_.name, cluster ? "" : policy_.space);
    job_.documents.push_back(object.set("spec", spec));
  }

 private:
  /// toPorts, unless every port is open. @return false: nothing is left to open.
  bool set_ports(const PortSet& ports, const std::string& what, YamlOut& rule) {
    if (ports.is_all()) {
      return true;
    }
    YamlOut list = YamlOut::list();
    for (const PortRange& range : ranges_of(ports, what, job_)) {
      const bool whole = range.first == 1 && range.last == 65535;
      YamlOut item = YamlOut::map();
      item.set("port", YamlOut::quoted(whole ? "0" : std::to_string(range.first)));
      if (!whole && range.last != range.first) {
        item.set("endPort", YamlOut::number(range.last));
      }
      item.set("protocol", YamlOut::text(range.protocol == kProtocolUdp ? "UDP" : "TCP"));
      list.add(item.on_one_line());
    }
    if (list.empty()) {
      return false;
    }
    rule.set("toPorts", YamlOut::list().add(YamlOut::map().set("ports", std::move(list))));
    return true;
  }

  static YamlOut match_of(const std::string& text) {
    const bool pattern = text.find('*') != std::string::npos;
    return YamlOut::map().set(pattern ? "matchPattern" : "matchName", YamlOut::text(text)).on_one_line();
  }

  YamlOut matches_of(const std::vector<NameRule>& rules) {
    YamlOut list = YamlOut::list();
    for (const NameRule& rule : rules) {
      for (const std::string& text : texts_of(rule, Dialect::kCilium, job_)) {
        list.add(match_of(text).comment(rule.origin.via));
        deep_ = deep_ || text.starts_with("**.");
      }
    }
    return list;
  }

  void write_names() {
    YamlOut peers = YamlOut::list();
    std::vector<NameRule> resolved;
    for (const PortGroup<NameRule>& group : names_by_ports(policy_)) {
      YamlOut rule = YamlOut::map();
      YamlOut ports = YamlOut::map();
      YamlOut names = matches_of(group.rules);
      if (!names.empty() && set_ports(group.ports, "names", ports)) {
        std::ranges::copy(group.rules, std::back_inserter(resolved));
        rules_.emplace_back(std::move(names), group.ports);
      }
    }
    std::ranges::copy(lookups_of(policy_), std::back_inserter(resolved));
    write_lookups(std::move(resolved));
    for (auto& [names, ports] : rules_) {
      YamlOut rule = YamlOut::map();
      rule.set("toFQDNs", std::move(names));
      set_ports(ports, "names", rule);
      egress_.add(std::move(rule));
    }
    if (deep_) {
      job_.note("A Cilium that does not know \"**.\" reads it as one label; deeper names then stay closed.");
    }
  }

  /// Lookups go to the name servers alone, and only of these names.
  void write_lookups(std::vector<NameRule> resolved) {
    std::vector<NameRule> once;
    for (NameRule& rule : resolved) {
      if (std::ranges::find(once, rule.pattern, &NameRule::pattern) == once.end()) {
        rule.origin.via.clear();
        once.push_back(std::move(rule));
      }
    }
    YamlOut names = matches_of(once);
    if (names.empty()) {
      return;
    }
    YamlOut ports = YamlOut::list();
    for (const char* protocol : {"UDP", "TCP"}) {
      ports.add(
          YamlOut::map().set("port", YamlOut::quoted("53")).set("protocol", YamlOut::text(protocol)).on_one_line());
    }
    YamlOut inside = YamlOut::map();
    inside.set("ports", std::move(ports)).set("rules", YamlOut::map().set("dns", std::move(names)));
    YamlOut rule = YamlOut::map();
    if (job_.options.name_servers.empty()) {
      LabelSelector servers;
      servers.labels["k8s:io.kubernetes.pod.namespace"] = "kube-system";
      servers.labels["k8s-app"] = "kube-dns";
      rule.set("toEndpoints", YamlOut::list().add(selector_out(servers)));
    } else {
      YamlOut cidrs = YamlOut::list();
      for (const Prefix& server : job_.options.name_servers) {
        cidrs.add(YamlOut::text(server.to_string()));
      }
      rule.set("toCIDR", std::move(cidrs));
    }
    egress_.add(rule.set("toPorts", YamlOut::list().add(std::move(inside))));
  }

  static YamlOut cidr_of(const Prefix& prefix, const std::vector<Prefix>& except) {
    YamlOut item = YamlOut::map();
    item.set("cidr", YamlOut::text(prefix.to_string()));
    if (!except.empty()) {
      YamlOut holes = YamlOut::list();
      for (const Prefix& hole : except) {
        holes.add(YamlOut::text(hole.to_string()));
      }
      item.set("except", holes.on_one_line());
    }
    return item;
  }

  void write_cidrs() {
    for (const CidrRule& cidr : policy_.allow_cidrs) {
      YamlOut rule = YamlOut::map();
      rule.set("toCIDRSet", YamlOut::list().add(cidr_of(cidr.prefix, cidr.except)));
      if (set_ports(cidr.ports, cidr.prefix.to_string(), rule)) {
        egress_.add(std::move(rule));
        wide_ = true;
        if (!cidr.outside_cluster && may_hold_pods(cidr.prefix)) {
          job_.lose("pods and nodes in " + cidr.prefix.to_string(), "Cilium's CIDRs mean none; select them by labels");
        }
      }
    }
  }

  void write_denials(YamlOut& spec) {
    YamlOut deny = YamlOut::list();
    for (const CidrRule& cidr : policy_.deny_cidrs) {
      YamlOut rule = YamlOut::map();
      rule.set("toCIDRSet", YamlOut::list().add(cidr_of(cidr.prefix, cidr.except)));
      if (!cidr.ports.is_all() && cidr.ports.contains(kProtocolIcmp, 0)) {
        job_.error =
            "denies echo to " + cidr.prefix.to_string() + ", which is not written for Cilium: deny all of its ports";
        return;
      }
      set_ports(cidr.ports, cidr.prefix.to_string(), rule);
      deny.add(std::move(rule));
    }
    if (wide_ || !rules_.empty()) {
      // What Postern never opens by a name or a wide range, metadata services above all.
      YamlOut cidrs = YamlOut::list();
      for (const Prefix& prefix : never_opened(policy_)) {
        cidrs.add(YamlOut::text(prefix.to_string()));
      }
      deny.add(YamlOut::map().set("toCIDR", std::move(cidrs)));
    }
    if (!deny.empty()) {
      spec.set("egressDeny", std::move(deny));
    }
  }

  RenderJob& job_;
  Policy& policy_;
  YamlOut egress_ = YamlOut::list();
  std::vector<std::pair<YamlOut, PortSet>> rules_;
  bool wide_ = false;
  bool deep_ = false;
};

}  // namespace

void write_cilium(RenderJob& job) { CiliumWriter(job).write(); }

}  // namespace postern
