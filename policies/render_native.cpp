// SPDX-License-Identifier: Apache-2.0
//
// EgressPolicy and ClusterEgressPolicy as text.
#include <algorithm>

#include "policies/native_reader.h"
#include "policies/public_suffix.h"
#include "policies/render_job.h"

namespace postern {
namespace {

YamlOut ports_out(const PortSet& ports) {
  YamlOut list = YamlOut::list();
  if (ports.is_all()) {
    return list.add(YamlOut::text("*")).on_one_line();
  }
  for (const PortRange& range : ports.ranges()) {
    if (range.protocol == kProtocolIcmp) {
      list.add(YamlOut::text("echo"));
      continue;
    }
    const int first = std::max<int>(range.first, 1);
    const std::string suffix = range.protocol == kProtocolUdp ? "/udp" : "";
    if (first == range.last) {
      suffix.empty() ? list.add(YamlOut::number(first)) : list.add(YamlOut::text(std::to_string(first) + suffix));
    } else if (first < range.last) {
      list.add(YamlOut::text(std::to_string(first) + "-" + std::to_string(range.last) + suffix));
    }
  }
  return list.on_one_line();
}

void set_ports(const PortSet& ports, const PortSet& otherwise, YamlOut& rule) {
  if (ports != otherwise) {
    rule.set("ports", ports_out(ports));
  }
}

/// The rule as it names itself in a comment: where a template or another file has it from.
YamlOut with_origin(const std::string& text, const Origin& origin) {
  YamlOut item = YamlOut::text(text);
  return origin.via.empty() ? item : item.comment(origin.via);
}

class NativeWriter {
 public:
  explicit NativeWriter(RenderJob& job) : job_(job), policy_(job.policy) {}

  void write() {
    const bool cluster = is_cluster_wide(policy_);
    YamlOut spec = YamlOut::map();
    if (cluster) {
      write_tier(spec);
    }
    write_subject(cluster, spec);
    YamlOut allow = YamlOut::list();
    write_names(allow);
    write_cidrs(allow);
    if (!allow.empty()) {
      spec.set("allow", allow);
    }
    write_denials(spec);
    write_inbound(spec);
    write_dns(spec);
    if (!policy_.denies_by_default) {
      job_.lose("what no rule speaks of", "the source leaves it open; here it is denied for the pods it selects");
    }
    YamlOut object = object_head(kApiVersion, cluster ? "ClusterEgressPolicy" : "EgressPolicy", object_name(),
                                 cluster ? "" : policy_.space);
    job_.documents.push_back(object.set("spec", std::move(spec)));
  }

 private:
  /// One label of at most 63 bytes, where other kinds have dots and 253.
  std::string object_name() const {
    std::string name = policy_.name.substr(0, 63);
    std::ranges::replace(name, '.', '-');
    while (name.ends_with('-')) {
      name.pop_back();
    }
    return name;
  }

  void write_tier(YamlOut& spec) const {
    if (policy_.tier != Tier::kApplication) {
      spec.set("tier", YamlOut::text(std::string(name_of(policy_.tier))));
    }
    if (policy_.family != Family::kCilium) {
      spec.set("priority", YamlOut::number(policy_.priority));
    }
  }

  void write_subject(bool cluster, YamlOut& spec) {
    if (!policy_.subject) {
      return;
    }
    const PodSelector& subject = *policy_.subject;
    if (cluster && subject.spaces) {
      spec.set("namespaceSelector", selector_out(*subject.spaces));
    } else if (!cluster && subject.spaces) {
      job_.lose("namespaces " + subject.spaces->to_string(), "an EgressPolicy is for its own namespace");
    }
    spec.set("selector", selector_out(subject.pods));
  }

  void write_names(YamlOut& allow) {
    for (const PortGroup<NameRule>& group : names_by_ports(policy_)) {
      YamlOut names = YamlOut::list();
      YamlOut strangers = YamlOut::list();
      for (const NameRule& rule : group.rules) {
        for (const std::string& text : texts_of(rule, Dialect::kNative, job_)) {
          (stranger_zone(rule.pattern) ? strangers : names).add(with_origin(text, rule.origin));
        }
      }
      add_names(std::move(names), group.ports, false, allow);
      add_names(std::move(strangers), group.ports, true, allow);
    }
  }

  static void add_names(YamlOut names, const PortSet& ports, bool strangers, YamlOut& allow) {
    if (names.empty()) {
      return;
    }
    YamlOut rule = YamlOut::map();
    rule.set("names", std::move(names));
    set_ports(ports, PortSet::https(), rule);
    if (strangers) {
      rule.set("risk", YamlOut::text("user-content"));
    }
    allow.add(std::move(rule));
  }

  void write_cidrs(YamlOut& allow) const {
    std::vector<PortGroup<CidrRule>> groups;  // a hole is one in every range of its rule: such a range stands alone
    std::vector<PortGroup<CidrRule>> whole;
    for (const CidrRule& cidr : policy_.allow_cidrs) {
      if (std::ranges::any_of(cidr.except, [&](const Prefix& hole) { return hole.contains(cidr.prefix); })) {
        continue;  // opens nothing
      }
      if (!cidr.except.empty()) {
        groups.push_back({cidr.ports, {cidr}});
        continue;
      }
      auto group = std::ranges::find(whole, cidr.ports, &PortGroup<CidrRule>::ports);
      if (group == whole.end()) {
        group = whole.insert(whole.end(), {cidr.ports, {}});
      }
      group->rules.push_back(cidr);
    }
    std::ranges::move(whole, std::back_inserter(groups));
    for (const PortGroup<CidrRule>& group : groups) {
      YamlOut cidrs = YamlOut::list();
      YamlOut except = YamlOut::list();
      for (const CidrRule& cidr : group.rules) {
        cidrs.add(with_origin(cidr.prefix.to_string(), cidr.origin));
        for (const Prefix& hole : cidr.except) {
          except.add(YamlOut::text(hole.to_string()));
        }
      }
      YamlOut rule = YamlOut::map();
      rule.set("cidrs", std::move(cidrs));
      if (!except.empty()) {
        rule.set("except", std::move(except));
      }
      set_ports(group.ports, PortSet::https(), rule);
      allow.add(std::move(rule));
    }
  }

  void write_denials(YamlOut& spec) const {
    std::vector<std::pair<PortSet, YamlOut>> groups;
    for (const CidrRule& cidr : policy_.deny_cidrs) {
      auto group = std::ranges::find(groups, cidr.ports, &std::pair<PortSet, YamlOut>::first);
      if (group == groups.end()) {
        group = groups.insert(groups.end(), {cidr.ports, YamlOut::list()});
      }
      for (const Prefix& prefix : prefixes_of(cidr)) {
        group->second.add(with_origin(prefix.to_string(), cidr.origin));
      }
    }
    YamlOut deny = YamlOut::list();
    for (auto& [ports, cidrs] : groups) {
      if (cidrs.empty()) {
        continue;
      }
      YamlOut rule = YamlOut::map();
      rule.set("cidrs", std::move(cidrs));
      set_ports(ports, PortSet::all(), rule);
      deny.add(std::move(rule));
    }
    if (!deny.empty()) {
      spec.set("deny", std::move(deny));
    }
  }

  void write_inbound(YamlOut& spec) const {
    if (!policy_.inbound) {
      return;
    }
    YamlOut inbound = YamlOut::list();
    if (policy_.inbound->from_pods) {
      inbound.add(YamlOut::map().set("from", YamlOut::text("pods")).on_one_line());
    }
    if (policy_.inbound->from_link) {
      inbound.add(YamlOut::map().set("from", YamlOut::text("link")).on_one_line());
    }
    for (const CidrRule& cidr : policy_.inbound->cidrs) {
      YamlOut rule = YamlOut::map();
      rule.set("cidrs", YamlOut::list_of({cidr.prefix.to_string()}).on_one_line());
      set_ports(cidr.ports, PortSet::all(), rule);
      inbound.add(std::move(rule));
    }
    spec.set("inbound", std::move(inbound));
  }

  void write_dns(YamlOut& spec) {
    const DnsOptions otherwise;
    YamlOut dns = YamlOut::map();
    if (policy_.dns.as_written) {
      dns.set("mode", YamlOut::text("as-written"));
    }
    YamlOut lookups = YamlOut::list();
    for (const NameRule& rule : lookups_of(policy_)) {
      if (stranger_zone(rule.pattern)) {
        job_.lose("lookups of " + rule.pattern.text(),
                  "anybody can register such names, and a lookup carries data to "
                  "whoever did: name the hosts");
        continue;
      }
      for (const std::string& text : texts_of(rule, Dialect::kNative, job_)) {
        lookups.add(with_origin(text, rule.origin));
      }
    }
    if (!lookups.empty()) {
      dns.set("allow", std::move(lookups));
    }
    YamlOut ranges = YamlOut::list();
    for (const Prefix& prefix : policy_.dns.private_allowed) {
      ranges.add(YamlOut::text(prefix.to_string()));
    }
    if (!ranges.empty()) {
      dns.set("private", ranges.on_one_line());
    }
    if (policy_.dns.grace_s != otherwise.grace_s) {
      dns.set("grace_s", YamlOut::number(policy_.dns.grace_s));
    }
    if (!policy_.dns.denial_text.empty()) {
      dns.set("text", YamlOut::text(policy_.dns.denial_text));
    }
    if (!dns.empty()) {
      spec.set("dns", std::move(dns));
    }
  }

  RenderJob& job_;
  Policy& policy_;
};

}  // namespace

void write_native(RenderJob& job) { NativeWriter(job).write(); }

}  // namespace postern
