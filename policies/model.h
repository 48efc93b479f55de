// SPDX-License-Identifier: Apache-2.0
//
// What a policy says, apart from the dialect it was written in: the readers make this, the compiler
// reads it. Plain data.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "policies/diagnostics.h"
#include "policies/dns_name.h"
#include "policies/ports.h"

namespace postern {

/// Where a rule was written, and by which template reference it came into the policy.
struct Origin {
  Place place;
  std::string via;  ///< "template package-registries, agent.yaml:9"; empty when written in the policy itself.

  std::string to_string() const;
};

struct NameRule {
  DnsName pattern;
  PortSet ports;  ///< Empty: the name resolves, but its addresses are not opened (dns.allow).
  Origin origin;
};

struct CidrRule {
  Prefix prefix;
  std::vector<Prefix> except;  ///< Holes in this rule; not denials.
  PortSet ports;
  Origin origin;
};

struct DnsOptions {
  std::vector<Prefix> private_allowed;  ///< Private ranges that answers may point into.
  int grace_s = 120;                    ///< How long a grant outlives the answer's TTL.
  std::string denial_text;              ///< At most 120 bytes, in EDE 15 of a denial.
};

struct InboundRules {
  bool from_pods = false;
  bool from_link = false;  ///< Peers on the prefixes of the sandbox's own link.
  std::vector<CidrRule> cidrs;
};

struct Policy {
  std::string name;
  std::string space;  ///< metadata.namespace; empty outside a cluster.
  /// selector.matchLabels: all of them select a pod, none of them every pod of the namespace. Absent: selects none.
  std::optional<std::map<std::string, std::string>> labels;
  Place place;
  std::vector<NameRule> allow_names;
  std::vector<CidrRule> allow_cidrs;
  std::vector<CidrRule> deny_cidrs;
  std::optional<InboundRules> inbound;  ///< Absent: pods of the cluster, or the link's own subnet.
  DnsOptions dns;
};

}  // namespace postern
