// SPDX-License-Identifier: Apache-2.0
//
// ApplicationNetworkPolicy and ClusterNetworkPolicy of networking.k8s.aws as text.
//
//   | source                | allows                                 | denies                               |
//   | of a namespace        | ApplicationNetworkPolicy               | ClusterNetworkPolicy, Admin          |
//   | of the cluster, Admin | ClusterNetworkPolicy, Admin            | the same                             |
//   | other of the cluster  | ClusterNetworkPolicy, Baseline         | Admin; Baseline if the source is     |
//
// A ClusterNetworkPolicy leaves open what it does not speak of, so the last of them denies the rest in the
// Baseline tier, which is asked only where no policy of the namespace is.
#include <algorithm>

#include "policies/render_job.h"

namespace postern {
namespace {

constexpr const char* kVersion = "networking.k8s.aws/v1alpha1";
constexpr std::size_t kPeerItemsMax = 25;
constexpr std::size_t kPeersMax = 100;
constexpr int kLastPriority = 1000;

class AwsWriter {
 public:
  explicit AwsWriter(RenderJob& job) : job_(job), policy_(job.policy), cluster_(is_cluster_wide(policy_)) {}

  void write() {
    for (const NameRule& rule : lookups_of(policy_)) {
      job_.lose("lookups of " + rule.pattern.text(), "there is no rule for lookups alone");
    }
    write_denials();
    cluster_ ? write_cluster() : write_application();
  }

 private:
  static YamlOut ports_out(const std::vector<PortRange>& ranges) {
    YamlOut list = YamlOut::list();
    for (const PortRange& range : ranges) {
      const char* protocol = range.protocol == kProtocolUdp ? "UDP" : "TCP";
      YamlOut inside = YamlOut::map();
      inside.set("protocol", YamlOut::text(protocol));
      if (range.first == range.last) {
        inside.set("port", YamlOut::number(range.first));
      } else {
        inside.set("start", YamlOut::number(range.first)).set("end", YamlOut::number(range.last));
      }
      const char* key = range.first == range.last ? "portNumber" : "portRange";
      list.add(YamlOut::map().set(key, std::move(inside)).on_one_line());
    }
    return list;
  }

  /// One rule of a ClusterNetworkPolicy, or several where the peers are more than one may have.
  void add_rules(const std::string& action, const char* peer, const std::vector<YamlOut>& items, const PortSet& ports) {
    for (std::size_t at = 0; at < items.size();) {
      YamlOut to = YamlOut::list();
      for (std::size_t peers = 0; peers < kPeersMax && at < items.size(); ++peers) {
        YamlOut list = YamlOut::list();
        for (std::size_t count = 0; count < kPeerItemsMax && at < items.size(); ++count) {
          list.add(items[at++]);
        }
        to.add(YamlOut::map().set(peer, std::move(list)));
      }
      YamlOut rule = YamlOut::map();
      rule.set("action", YamlOut::text(action)).set("to", std::move(to));
      if (!ports.is_all()) {
        const auto ranges = ranges_of(ports, "these peers", job_);
        if (ranges.empty()) {
          return;
        }
        rule.set("ports", ports_out(ranges));
      }
      rules_.add(std::move(rule));
    }
  }

  static std::vector<YamlOut> items_of(const std::vector<Prefix>& prefixes) {
    std::vector<YamlOut> items;
    for (const Prefix& prefix : prefixes) {
      items.push_back(YamlOut::text(prefix.to_string()));
    }
    return items;
  }

  /// Writes the rules collected so far, if any.
  void finish(const std::string& suffix, const char* tier, int priority) {
    YamlOut egress = std::exchange(rules_, YamlOut::list());
    if (egress.empty()) {
      return;
    }
    const PodSelector subject = subject_of(job_);
    LabelSelector spaces = subject.spaces.value_or(LabelSelector());
    if (!cluster_) {
      spaces.labels[std::string(kNamespaceNameLabel)] = space();
    }
    YamlOut pods = YamlOut::map();
    pods.set("namespaceSelector", selector_out(spaces)).set("podSelector", selector_out(subject.pods));
    YamlOut spec = YamlOut::map();
    spec.set("tier", YamlOut::text(tier))
        .set("priority", YamlOut::number(priority))
        .set("subject", YamlOut::map().set("pods", std::move(pods)))
        .set("egress", std::move(egress));
    const std::string name = (cluster_ ? "" : space() + "-") + policy_.name + suffix;
    job_.documents.push_back(object_head(kVersion, "ClusterNetworkPolicy", name, "").set("spec", std::move(spec)));
  }

  std::string space() {
    if (policy_.space.empty()) {
      job_.note("The source has no namespace; the ClusterNetworkPolicy is for pods of the namespace default.");
    }
    return policy_.space.empty() ? "default" : policy_.space;
  }

  bool asked_by_priority() const { return policy_.family == Family::kAws || policy_.family == Family::kUpstream; }

  void write_denials() {
    if (!policy_.allow_names.empty() || !policy_.allow_cidrs.empty()) {
      // What Postern never opens by a name or a wide range, metadata services above all.
      add_rules("Deny", "networks", items_of(never_opened(policy_)), PortSet::all());
    }
    for (const CidrRule& cidr : policy_.deny_cidrs) {
      if (!cidr.ports.is_all() && cidr.ports.contains(kProtocolIcmp, 0)) {
        job_.error = "denies echo to " + cidr.prefix.to_string() + ", which AWS cannot: deny all of its ports";
        return;
      }
      add_rules("Deny", "networks", items_of(prefixes_of(cidr)), cidr.ports);
    }
    const bool baseline = policy_.tier == Tier::kBaseline;
    finish("-deny", baseline ? "Baseline" : "Admin", asked_by_priority() ? policy_.priority : 0);
  }

  std::vector<YamlOut> domain_names(const std::vector<NameRule>& rules) {
    std::vector<YamlOut> items;
    for (const NameRule& rule : rules) {
      for (const std::string& text : texts_of(rule, Dialect::kDomainNames, job_)) {
        items.push_back(YamlOut::text(text).comment(rule.origin.via));
      }
    }
    return items;
  }

  void write_cluster() {
    for (const PortGroup<NameRule>& group : names_by_ports(policy_)) {
      add_rules("Accept", "domainNames", domain_names(group.rules), group.ports);
    }
    for (const CidrRule& cidr : policy_.allow_cidrs) {
      add_rules("Accept", "networks", items_of(prefixes_of(cidr)), cidr.ports);
    }
    const bool admin = policy_.tier == Tier::kAdmin;
    if (policy_.tier == Tier::kApplication && !rules_.empty()) {
      job_.lose("all allows",
                "they are in the Baseline tier, which is asked only for pods that no policy of their "
                "namespace selects");
    }
    finish("", admin ? "Admin" : "Baseline", std::min(policy_.priority, kLastPriority - 1));
    if (policy_.denies_by_default) {
      add_rules("Deny", "networks", items_of({Prefix::parse("0.0.0.0/0").value(), Prefix::parse("::/0").value()}),
                PortSet::all());
      finish("-rest", "Baseline", kLastPriority);
    }
  }

  void write_application() {
    if (!policy_.denies_by_default) {
      return;
    }
    YamlOut egress = YamlOut::list();
    bool names = false;
    for (const PortGroup<NameRule>& group : names_by_ports(policy_)) {
      YamlOut list = YamlOut::list();
      for (YamlOut& item : domain_names(group.rules)) {
        list.add(std::move(item));
      }
      PortsOut ports = network_ports_out(group.ports, "names", job_);
      if (list.empty() || !ports.ok) {
        continue;
      }
      YamlOut rule = YamlOut::map();
      rule.set("to", YamlOut::list().add(YamlOut::map().set("domainNames", std::move(list))));
      if (ports.ports) {
        rule.set("ports", std::move(*ports.ports));
      }
      egress.add(std::move(rule));
      names = true;
    }
    if (names) {
      egress.add(dns_rule(job_));
    }
    for (const CidrRule& cidr : policy_.allow_cidrs) {
      if (auto rule = ip_block_rule(cidr, job_)) {
        egress.add(std::move(*rule));
      }
    }
    YamlOut spec = YamlOut::map();
    spec.set("podSelector", selector_out(subject_of(job_).pods))
        .set("policyTypes", YamlOut::list_of({"Egress"}).on_one_line())
        .set("egress", std::move(egress));
    YamlOut object = object_head(kVersion, "ApplicationNetworkPolicy", policy_.name, policy_.space);
    job_.documents.insert(job_.documents.begin(), object.set("spec", std::move(spec)));
  }

  RenderJob& job_;
  Policy& policy_;
  bool cluster_;
  YamlOut rules_ = YamlOut::list();
};

}  // namespace

void write_aws(RenderJob& job) { AwsWriter(job).write(); }

}  // namespace postern
