// SPDX-License-Identifier: Apache-2.0
#include "policies/policy_union.h"

#include <algorithm>

namespace postern {
namespace {

template <typename T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

/// Who may connect: a policy that does not say means the cluster's pods and the sandbox's own link.
InboundRules inbound_of(const Policy& policy) {
  InboundRules unsaid;
  unsaid.from_pods = true;
  unsaid.from_link = true;
  return policy.inbound.value_or(unsaid);
}

void join_inbound(InboundRules& joined, const InboundRules& other) {
  joined.from_pods = joined.from_pods || other.from_pods;
  joined.from_link = joined.from_link || other.from_link;
  append(joined.cidrs, other.cidrs);
}

void join_dns(DnsOptions& joined, const DnsOptions& other) {
  append(joined.private_allowed, other.private_allowed);
  joined.grace_s = std::max(joined.grace_s, other.grace_s);
  if (joined.denial_text.empty()) {
    joined.denial_text = other.denial_text;
  }
}

}  // namespace

Policy join_policies(const std::vector<const Policy*>& policies) {
  Policy joined = *policies.front();
  joined.inbound = inbound_of(joined);
  for (auto other = policies.begin() + 1; other != policies.end(); ++other) {
    joined.name += "+" + (*other)->name;
    append(joined.allow_names, (*other)->allow_names);
    append(joined.allow_cidrs, (*other)->allow_cidrs);
    append(joined.deny_cidrs, (*other)->deny_cidrs);
    join_inbound(*joined.inbound, inbound_of(**other));
    join_dns(joined.dns, (*other)->dns);
  }
  return joined;
}

}  // namespace postern
