// SPDX-License-Identifier: Apache-2.0
//
// ClusterNetworkPolicy of networks.k8s.aws and of policy.networking.k8s.io: one shape, two dialects.
//
//   |                    | AWS                               | upstream                          |
//   | ports of a rule    | ports: portNumber, portRange      | protocols: tcp, udp               |
//   | equal priority     | Deny, then Accept, then Pass      | as the rules stand in the object  |
//   | peers              | namespaces, pods, networks, names | those and nodes                   |
#include "base/log.h"
#include "policies/foreign_kinds.h"
#include "policies/kubernetes_fields.h"

namespace postern {
namespace {

constexpr int kPriorityMax = 1000;

class ClusterPolicyReader {
 public:
  ClusterPolicyReader(const YamlField& document, bool aws) : document_(document), aws_(aws) {}

  Policy read() {
    policy_.family = aws_ ? Family::kAws : Family::kUpstream;
    policy_.group = aws_ ? "networking.k8s.aws" : "policy.networking.k8s.io";
    policy_.denies_by_default = false;
    read_object(document_, false, policy_);
    const YamlField spec = document_["spec"];
    if (!spec.present()) {
      spec.error("is missing");
      return policy_;
    }
    spec.only({"tier", "priority", "subject", "ingress", "egress"});
    const std::string tier = spec["tier"].text();
    if (spec["tier"].type() == YamlField::Type::kScalar) {
      spec["tier"].word_or("Admin", {"Admin", "Baseline"});
    }
    policy_.tier = tier == "Baseline" ? Tier::kBaseline : Tier::kAdmin;
    if (spec["priority"].type() == YamlField::Type::kMissing) {
      spec["priority"].error("is missing: write a number from 0 (asked first) to 1000");
    }
    policy_.priority = static_cast<int>(spec["priority"].number_or(0, 0, kPriorityMax));
    read_subject(spec["subject"]);
    if (spec["ingress"].present() && !spec["ingress"].items().empty()) {
      spec["ingress"].warn("is not enforced here: only egress is");
    }
    for (const YamlField& rule : spec["egress"].items()) {
      read_rule(rule);
      ++index_;
    }
    if (!spec["egress"].present() || spec["egress"].items().empty()) {
      spec.warn("says nothing of egress, so it selects no sandbox here");
      policy_.subject.reset();
    }
    offer_ipv6_twins(spec["egress"], policy_);
    return policy_;
  }

 private:
  PodSelector read_pods(const YamlField& field) {
    PodSelector pods;
    field.only({"namespaceSelector", "podSelector"});
    pods.spaces = read_label_selector(field["namespaceSelector"]);
    pods.pods = read_label_selector(field["podSelector"]);
    return pods;
  }

  void read_subject(const YamlField& subject) {
    if (subject.type() == YamlField::Type::kMissing) {
      subject.error("is missing: say for which namespaces or pods");
      return;
    }
    if (!subject.only({"namespaces", "pods"})) {
      return;
    }
    const bool spaces = subject["namespaces"].type() != YamlField::Type::kMissing;
    const bool pods = subject["pods"].type() != YamlField::Type::kMissing;
    if (spaces == pods) {
      subject.error("give either namespaces or pods");
      return;
    }
    if (spaces) {
      policy_.subject.emplace();
      policy_.subject->spaces = read_label_selector(subject["namespaces"]);
    } else {
      policy_.subject = read_pods(subject["pods"]);
    }
  }

  void read_rule(const YamlField& rule) {
    if (!(aws_ ? rule.only({"name", "action", "to", "ports"}) : rule.only({"name", "action", "to", "protocols"}))) {
      return;
    }
    if (rule["name"].text_or("").size() > 100) {
      rule["name"].error("is longer than 100 bytes");
    }
    const std::string action = rule["action"].text();
    if (rule["action"].type() == YamlField::Type::kScalar) {
      rule["action"].word_or("Accept", {"Accept", "Deny", "Pass"});
    }
    action_ = action == "Deny"   ? PeerRule::Action::kDeny
              : action == "Pass" ? PeerRule::Action::kPass
                                 : PeerRule::Action::kAllow;
    const int step = action_ == PeerRule::Action::kDeny ? 0 : action_ == PeerRule::Action::kAllow ? 1 : 2;
    order_ = {policy_.priority, aws_ ? step : index_};
    ports_ = aws_ ? read_aws_ports(rule["ports"]) : read_protocols(rule["protocols"]);
    const auto peers = rule["to"].items();
    if (peers.empty()) {
      rule["to"].error("names no peer: list at least one");
    }
    for (const YamlField& to : peers) {
      read_to(to);
    }
  }

  PortSet read_aws_ports(const YamlField& field) {
    const auto items = field.items();
    if (items.empty()) {
      return PortSet::all();
    }
    PortSet set;
    for (const YamlField& item : items) {
      if (!item.only({"portNumber", "portRange", "namedPort"})) {
        continue;
      }
      if (item["namedPort"].present()) {
        item["namedPort"].error(
            "is a port's name, and each pod may mean another by it: write the number as portNumber");
      } else if (const YamlField range = item["portRange"]; range.present()) {
        range.only({"protocol", "start", "end"});
        add_range(range["protocol"], range["start"], range["end"], set);
      } else if (const YamlField number = item["portNumber"]; number.present()) {
        number.only({"protocol", "port"});
        add_range(number["protocol"], number["port"], number["port"], set);
      } else {
        item.error("names no port: give portNumber or portRange");
      }
    }
    return set;
  }

  static void add_range(const YamlField& protocol, const YamlField& first, const YamlField& last, PortSet& set) {
    const auto number = read_protocol(protocol);
    const auto from = read_port_number(first);
    const auto to = read_port_number(last);
    if (from && to && *to < *from) {
      last.error("is less than where the range begins: write the higher one here");
    } else if (number && from && to) {
      set.add(PortRange{*number, *from, *to});
    }
  }

  static PortSet read_protocols(const YamlField& field) {
    const auto items = field.items();
    if (items.empty()) {
      return PortSet::all();
    }
    PortSet set;
    for (const YamlField& item : items) {
      if (!item.only({"tcp", "udp", "sctp", "destinationNamedPort"})) {
        continue;
      }
      if (item["destinationNamedPort"].present()) {
        item["destinationNamedPort"].error("is a port's name, and each pod may mean another by it: write the number");
      }
      if (item["sctp"].type() != YamlField::Type::kMissing) {
        item["sctp"].error("SCTP cannot be enforced by port: write tcp or udp");
      }
      read_protocol_ports(item["tcp"], kProtocolTcp, set);
      read_protocol_ports(item["udp"], kProtocolUdp, set);
    }
    return set;
  }

  static void read_protocol_ports(const YamlField& field, std::uint8_t protocol, PortSet& set) {
    if (field.type() == YamlField::Type::kMissing || !field.only({"destinationPort"})) {
      return;
    }
    const YamlField port = field["destinationPort"];
    if (!port.present()) {
      set.add(PortRange{protocol, 0, 65535});
      return;
    }
    port.only({"number", "range"});
    const YamlField range = port["range"];
    if (range.present()) {
      range.only({"start", "end"});
    }
    const auto first = read_port_number(range.present() ? range["start"] : port["number"]);
    const auto last = range.present() ? read_port_number(range["end"]) : first;
    if (first && last && *last < *first) {
      range["end"].error("is less than start: write the higher one here");
    } else if (first && last) {
      set.add(PortRange{protocol, *first, *last});
    }
  }

  void read_to(const YamlField& to) {
    if (!(aws_ ? to.only({"namespaces", "pods", "networks", "domainNames"})
               : to.only({"namespaces", "pods", "nodes", "networks", "domainNames"}))) {
      return;
    }
    int kinds = 0;
    for (const char* kind : {"namespaces", "pods", "nodes", "networks", "domainNames"}) {
      kinds += to[kind].type() != YamlField::Type::kMissing ? 1 : 0;
    }
    if (kinds != 1) {
      to.error(kinds == 0 ? "is an empty peer: say whom (namespaces, pods, networks or domainNames)"
                          : "mixes peers of several kinds: write each as an item of its own");
      return;
    }
    if (ports_.empty()) {
      return;  // every port of it was refused
    }
    for (const YamlField& item : to["networks"].items()) {
      if (const auto prefix = read_cidr(item)) {
        auto& rules = action_ == PeerRule::Action::kAllow  ? policy_.allow_cidrs
                      : action_ == PeerRule::Action::kDeny ? policy_.deny_cidrs
                                                           : policy_.pass_cidrs;
        rules.push_back({*prefix, {}, ports_, {item.place(), ""}, order_, false});
      }
    }
    for (const YamlField& item : to["domainNames"].items()) {
      if (action_ != PeerRule::Action::kAllow) {
        item.error("a name can only be accepted: its addresses are not all known, so a denial would not hold");
      } else if (auto pattern = read_foreign_pattern(item, Dialect::kDomainNames)) {
        policy_.allow_names.push_back({std::move(*pattern), ports_, {item.place(), ""}, order_});
      }
    }
    read_peer(to);
  }

  void read_peer(const YamlField& to) {
    PeerRule peer;
    peer.action = action_;
    peer.ports = ports_;
    peer.origin = {to.place(), ""};
    peer.order = order_;
    if (to["namespaces"].type() != YamlField::Type::kMissing) {
      peer.pods.spaces = read_label_selector(to["namespaces"]);
    } else if (to["pods"].type() != YamlField::Type::kMissing) {
      peer.pods = read_pods(to["pods"]);
    } else if (to["nodes"].type() != YamlField::Type::kMissing) {
      peer.who = PeerRule::Who::kNodes;
      peer.nodes = read_label_selector(to["nodes"]);
    } else {
      return;
    }
    policy_.peers.push_back(std::move(peer));
  }

  const YamlField& document_;
  bool aws_;
  Policy policy_;
  int index_ = 0;
  PeerRule::Action action_ = PeerRule::Action::kAllow;
  RuleOrder order_;
  PortSet ports_;
};

}  // namespace

Policy read_aws_cluster_policy(const YamlField& document) { return ClusterPolicyReader(document, true).read(); }

Policy read_cluster_network_policy(const YamlField& document) { return ClusterPolicyReader(document, false).read(); }

}  // namespace postern
