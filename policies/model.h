// SPDX-License-Identifier: Apache-2.0
//
// What a policy says, apart from the kind and dialect it was written in: the readers make this, the
// compiler reads it. Plain data.
#pragma once

#include <compare>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "policies/diagnostics.h"
#include "policies/name_pattern.h"
#include "policies/ports.h"
#include "policies/selector.h"

namespace postern {

/// Kinds whose rules are joined by rules of their own. A packet must be allowed by every family that
/// selects the sandbox.
enum class Family { kNative, kCilium, kAws, kUpstream, kGke, kNetworkPolicy };

std::string_view name_of(Family family);  ///< "native", "Cilium", "AWS", ...

/// Which rules are asked first. Namespaced kinds are of the Application tier.
enum class Tier { kAdmin, kApplication, kBaseline };

std::string_view name_of(Tier tier);  ///< "Admin"

/// Where a rule was written, and by which template reference it came into the policy.
struct Origin {
  Place place;
  std::string via;  ///< "template package-registries, agent.yaml:9"; empty when written in the policy itself.

  std::string to_string() const;
};

/// Where a rule stands among those of its tier. Lower ones are asked first. Zero for kinds without such an order.
struct RuleOrder {
  int priority = 0;  ///< 0 to 1000.
  int step = 0;      ///< AWS: Deny 0, Accept 1, Pass 2. Upstream: the rule's place in its object.

  friend constexpr auto operator<=>(const RuleOrder&, const RuleOrder&) = default;
};

struct NameRule {
  NamePattern pattern;
  PortSet ports;  ///< Empty: the name resolves, but its addresses are not opened (dns.allow, rules.dns).
  Origin origin;
  RuleOrder order = {};
};

class NameMatcher;

/// A run of a policy's name rules that it takes of a template, with a matcher that all policies share which take the
/// same. Matches are indices into the run.
struct SharedNames {
  std::string selection;  ///< What is taken: equal for runs with equal patterns, as long as templates stay the same.
  std::size_t first = 0;  ///< Into Policy::allow_names.
  std::size_t count = 0;
  std::shared_ptr<const NameMatcher> matcher;  ///< Null: nobody shares it.
};

struct CidrRule {
  Prefix prefix;
  std::vector<Prefix> except;  ///< Holes in this rule; not denials.
  PortSet ports;
  Origin origin;
  RuleOrder order = {};
  bool outside_cluster = false;  ///< Not for addresses of pods and nodes (Cilium's toCIDR).
};

/// Peers that only the inventory knows the addresses of.
struct PeerRule {
  enum class Action { kAllow, kDeny, kPass };
  enum class Who {
    kPods,       ///< Those that `pods` selects, and the Services in front of only such pods.
    kNodes,      ///< Those whose labels `nodes` selects.
    kServices,   ///< Those that `service_space`, `service_name` or `service_labels` say.
    kCluster,    ///< Every pod, node and Service.
    kWorld,      ///< Every address that is none of the cluster's.
    kAll,        ///< Every address.
    kApiServer,  ///< The endpoints and the cluster addresses of default/kubernetes.
    kHost,       ///< The sandbox's own node.
  };
  Action action = Action::kAllow;
  Who who = Who::kPods;
  PodSelector pods;
  LabelSelector nodes;
  std::string service_space;
  std::string service_name;  ///< Empty: by labels.
  LabelSelector service_labels;
  PortSet ports;
  Origin origin;
  RuleOrder order = {};

  std::string to_string() const;  ///< What people know the peer by: "Service shop/api", "entity host".
};

struct DnsOptions {
  std::vector<Prefix> private_allowed;  ///< Private ranges that answers may point into.
  int grace_s = 120;                    ///< How long a grant outlives the answer's TTL.
  std::string denial_text;              ///< At most 120 bytes, in EDE 15 of a denial.
  bool as_written = false;              ///< Cilium's lone "*" opens all names, also beside toFQDNs.
};

struct InboundRules {
  bool from_pods = false;
  bool from_link = false;  ///< Peers on the prefixes of the sandbox's own link.
  std::vector<CidrRule> cidrs;
};

struct Policy {
  std::string kind = "EgressPolicy";
  std::string group;  ///< API group, for kinds that several groups have; empty for all others.
  std::string name;
  std::string space;  ///< metadata.namespace; empty outside a cluster and for kinds of the whole cluster.
  Place place;

  Family family = Family::kNative;
  Tier tier = Tier::kApplication;
  int priority = 0;  ///< Of the object, 0 to 1000.
  /// Which pods it is for; absent: none.
  std::optional<PodSelector> subject;
  /// What none of its rules speak of is denied. A cluster policy that only denies leaves the rest as it is.
  bool denies_by_default = true;
  /// Never joined with policies of another owner: its family is itself.
  bool stands_alone = false;

  std::vector<NameRule> allow_names;
  std::vector<SharedNames> shared_names;
  std::vector<CidrRule> allow_cidrs;
  std::vector<CidrRule> deny_cidrs;
  std::vector<CidrRule> pass_cidrs;  ///< Skip the rest of the tier.
  std::vector<PeerRule> peers;
  std::optional<InboundRules> inbound;  ///< Absent: pods of the cluster, or the link's own subnet.
  DnsOptions dns;

  /// Unique among policies: "namespace/name" of an EgressPolicy, "Kind:namespace/name" or
  /// "Kind.group:name" of any other.
  std::string key() const;
  bool selects(const PodIdentity& pod) const { return subject && subject->matches(pod); }
  /// Whether its rules speak of pods, nodes or Services that only the whole inventory tells apart.
  bool needs_inventory() const;
};

}  // namespace postern
