// SPDX-License-Identifier: Apache-2.0
//
// NetworkPolicy and GKE's FQDNNetworkPolicy as text. Both only allow, and are joined by union; neither
// limits what is looked up. ApplicationNetworkPolicy (render_aws.cpp) is made like them.
#include <algorithm>

#include "policies/never_list.h"
#include "policies/render_job.h"

namespace postern {
namespace {

bool has_names(const Policy& policy) {
  return std::ranges::any_of(policy.allow_names, [](const NameRule& rule) { return !rule.ports.empty(); });
}

/// Kinds of one namespace that only allow. Reported: what they are not for.
bool fits(RenderJob& job) {
  if (is_cluster_wide(job.policy)) {
    job.error = "is for the whole cluster, and this target is for one namespace: write it --to cilium or aws";
    return false;
  }
  if (!job.policy.denies_by_default) {
    job.error = "only denies and leaves the rest open, which this target cannot: write it --to cilium or aws";
    return false;
  }
  for (const NameRule& rule : lookups_of(job.policy)) {
    job.lose("lookups of " + rule.pattern.text(), "there is no rule for lookups there; every name may be looked up");
  }
  return true;
}

YamlOut network_policy(RenderJob& job, YamlOut egress) {
  YamlOut spec = YamlOut::map();
  spec.set("podSelector", selector_out(subject_of(job).pods))
      .set("policyTypes", YamlOut::list_of({"Egress"}).on_one_line())
      .set("egress", std::move(egress));
  YamlOut object = object_head("networking.k8s.io/v1", "NetworkPolicy", job.policy.name, job.policy.space);
  return object.set("spec", std::move(spec));
}

/// The addresses a name had, as far as a name may open them.
void add_hosts(const NameRule& rule, RenderJob& job, YamlOut& peers) {
  const auto closed = [&](const Address& address) {
    const auto inside = [&](const Prefix& range) { return range.contains(address); };
    const bool denied = std::ranges::any_of(job.policy.deny_cidrs, [&](const CidrRule& deny) {
      return deny.prefix.contains(address) && std::ranges::none_of(deny.except, inside) &&
             !rule.ports.and_in(deny.ports).empty();
    });
    return denied || is_never_allowed(address) ||
           (is_private(address) && std::ranges::none_of(job.policy.dns.private_allowed, inside));
  };
  for (const std::string& host : hosts_of(rule, job.options)) {
    const auto known = job.options.resolved->addresses.find(host);
    std::size_t count = 0;
    for (const Address& address :
         known == job.options.resolved->addresses.end() ? std::vector<Address>() : known->second) {
      if (!closed(address)) {
        YamlOut block = YamlOut::map();
        block.set("cidr", YamlOut::text(Prefix{address, 128}.to_string()).comment(host));
        peers.add(YamlOut::map().set("ipBlock", std::move(block)));
        ++count;
      }
    }
    if (count == 0) {
      job.lose(host, "no address of it was found that a name may open");
    }
  }
  if (hosts_of(rule, job.options).empty()) {
    job.lose(rule.pattern.text(),
             "NetworkPolicy knows addresses alone, and a pattern has none: name the hosts, or give "
             "values for its parameters with --param NAME=VALUE");
  }
}

void write_hosts(RenderJob& job, YamlOut& egress) {
  for (const PortGroup<NameRule>& group : names_by_ports(job.policy)) {
    if (job.options.resolved == nullptr) {
      for (const NameRule& rule : group.rules) {
        job.lose(rule.pattern.text(), "NetworkPolicy knows no names: look their addresses up with --resolve");
      }
      continue;
    }
    YamlOut peers = YamlOut::list();
    for (const NameRule& rule : group.rules) {
      add_hosts(rule, job, peers);
    }
    PortsOut ports = network_ports_out(group.ports, "names", job);
    if (peers.empty() || !ports.ok) {
      continue;
    }
    YamlOut rule = YamlOut::map();
    rule.set("to", std::move(peers));
    if (ports.ports) {
      rule.set("ports", std::move(*ports.ports));
    }
    egress.add(std::move(rule));
    job.note("Addresses of names are those of " + job.options.resolved->when +
             ", and whoever has one of them later is open too: look them up again often.");
  }
}

void write_ranges(RenderJob& job, YamlOut& egress) {
  for (const CidrRule& whole : less_denials(job.policy)) {
    if (auto rule = ip_block_rule(whole, job)) {
      egress.add(std::move(*rule));
    }
  }
}

/// A port list of a kind without ranges. Longer ranges are a loss.
PortSet single_ports(const PortSet& ports, RenderJob& job) {
  constexpr int kSinglesMax = 25;
  if (ports.is_all()) {
    return ports;
  }
  PortSet singles;
  for (const PortRange& range : ports.ranges()) {
    const bool whole = range.first <= 1 && range.last == 65535;
    if (range.last - range.first >= kSinglesMax && !whole) {
      PortSet lost;
      lost.add(range);
      job.lose("ports " + lost.to_string(), "a rule for names has single ports there: list those that are needed");
      continue;
    }
    singles.add(range);
  }
  return singles;
}

YamlOut gke_ports(const PortSet& ports, RenderJob& job) {
  YamlOut list = YamlOut::list();
  for (const PortRange& range : ranges_of(ports, "names", job)) {
    const bool whole = range.first == 1 && range.last == 65535;
    for (int port = range.first; port <= (whole ? range.first : range.last); ++port) {
      YamlOut item = YamlOut::map();
      item.set("protocol", YamlOut::text(range.protocol == kProtocolUdp ? "UDP" : "TCP"));
      if (!whole) {
        item.set("port", YamlOut::number(port));
      }
      list.add(item.on_one_line());
    }
  }
  return list;
}

YamlOut gke_rules(RenderJob& job) {
  YamlOut egress = YamlOut::list();
  for (const PortGroup<NameRule>& group : names_by_ports(job.policy)) {
    YamlOut matches = YamlOut::list();
    for (const NameRule& rule : group.rules) {
      if (rule.pattern.is_any()) {
        job.lose("*", "every name at once cannot be written there: name those that are needed");
        continue;
      }
      for (const std::string& text : texts_of(rule, Dialect::kGke, job)) {
        const bool star = text.find('*') != std::string::npos;
        matches.add(
            YamlOut::map().set(star ? "pattern" : "name", YamlOut::text(text)).on_one_line().comment(rule.origin.via));
      }
    }
    const PortSet ports = single_ports(group.ports, job);
    YamlOut rule = YamlOut::map();
    if (matches.empty() || ports.empty()) {
      continue;
    }
    rule.set("matches", std::move(matches));
    if (!ports.is_all()) {
      YamlOut list = gke_ports(ports, job);
      if (list.empty()) {
        continue;
      }
      rule.set("ports", std::move(list));
    }
    egress.add(std::move(rule));
  }
  return egress;
}

}  // namespace

YamlOut dns_rule(RenderJob& job) {
  YamlOut peers = YamlOut::list();
  for (const Prefix& server : job.options.name_servers) {
    peers.add(YamlOut::map().set("ipBlock", YamlOut::map().set("cidr", YamlOut::text(server.to_string()))));
  }
  if (peers.empty()) {
    peers.add(kube_dns_peer());
    job.note("Name servers are taken to be the pods of kube-dns: give their addresses with --dns where they are not.");
  }
  YamlOut rule = YamlOut::map();
  return rule.set("to", std::move(peers)).set("ports", *network_ports_out(dns_ports(), "name servers", job).ports);
}

std::optional<YamlOut> ip_block_rule(const CidrRule& whole, RenderJob& job) {
  const CidrRule cidr = without_never_list(whole);
  YamlOut block = YamlOut::map();
  block.set("cidr", YamlOut::text(cidr.prefix.to_string()));
  YamlOut except = YamlOut::list();
  for (const Prefix& hole : cidr.except) {
    if (hole.contains(cidr.prefix)) {
      return std::nullopt;
    }
    except.add(YamlOut::text(hole.to_string()));
  }
  if (!except.empty()) {
    block.set("except", std::move(except));
  }
  PortsOut ports = network_ports_out(cidr.ports, cidr.prefix.to_string(), job);
  if (!ports.ok) {
    return std::nullopt;
  }
  YamlOut rule = YamlOut::map();
  rule.set("to", YamlOut::list().add(YamlOut::map().set("ipBlock", std::move(block))));
  if (ports.ports) {
    rule.set("ports", std::move(*ports.ports));
  }
  return rule;
}

void write_network_policy(RenderJob& job) {
  if (!fits(job)) {
    return;
  }
  YamlOut egress = YamlOut::list();
  if (has_names(job.policy)) {
    job.note("NetworkPolicy does not limit lookups: any name may be asked for, and data can leave by that.");
    egress.add(dns_rule(job));
  }
  write_hosts(job, egress);
  write_ranges(job, egress);
  job.documents.push_back(network_policy(job, std::move(egress)));
}

void write_gke(RenderJob& job) {
  if (!fits(job)) {
    return;
  }
  if (has_names(job.policy) && !job.policy.deny_cidrs.empty()) {
    for (const PortGroup<NameRule>& group : names_by_ports(job.policy)) {
      for (const NameRule& rule : group.rules) {
        job.lose(rule.pattern.text(),
                 "GKE has no denials, and a name may resolve into a range that the source denies: "
                 "remove its spec.deny, or write it --to cilium");
      }
    }
    std::erase_if(job.policy.allow_names, [](const NameRule& rule) { return !rule.ports.empty(); });
  }
  YamlOut names = gke_rules(job);
  YamlOut egress = YamlOut::list();
  if (!names.empty()) {
    job.note("GKE does not limit lookups: any name may be asked for, and data can leave by that.");
    YamlOut spec = YamlOut::map();
    spec.set("podSelector", selector_out(subject_of(job).pods)).set("egress", std::move(names));
    YamlOut object = object_head("networking.gke.io/v1alpha1", "FQDNNetworkPolicy", job.policy.name, job.policy.space);
    job.documents.push_back(object.set("spec", std::move(spec)));
    egress.add(dns_rule(job));
  }
  write_ranges(job, egress);
  job.documents.push_back(network_policy(job, std::move(egress)));
}

}  // namespace postern
