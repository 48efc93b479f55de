// SPDX-License-Identifier: Apache-2.0
#include "policies/policy_union.h"

#include <algorithm>
#include <tuple>

namespace postern {
namespace {

template <typename T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

std::string joined_name(const std::vector<const Policy*>& policies) {
  std::string name;
  for (const Policy* policy : policies) {
    name += (name.empty() ? "" : "+") + policy->name;
  }
  return name;
}

InboundRules joined_inbound(const std::vector<const Policy*>& policies) {
  InboundRules joined;
  bool said = false;
  for (const Policy* policy : policies) {
    if (policy->family != Family::kNative) {
      continue;
    }
    said = true;
    if (!policy->inbound) {
      joined.from_pods = joined.from_link = true;
      continue;
    }
    joined.from_pods = joined.from_pods || policy->inbound->from_pods;
    joined.from_link = joined.from_link || policy->inbound->from_link;
    append(joined.cidrs, policy->inbound->cidrs);
  }
  if (!said) {
    joined.from_pods = joined.from_link = true;
  }
  return joined;
}

DnsOptions joined_dns(std::vector<const Policy*> policies) {
  std::ranges::stable_sort(policies, {},
                           [](const Policy* policy) { return std::tuple(policy->tier, policy->priority); });
  DnsOptions joined = policies.empty() ? DnsOptions() : policies.front()->dns;
  for (const Policy* other : policies) {
    if (other == policies.front()) {
      continue;
    }
    append(joined.private_allowed, other->dns.private_allowed);
    joined.grace_s = std::max(joined.grace_s, other->dns.grace_s);
    joined.as_written = joined.as_written || other->dns.as_written;
    if (joined.denial_text.empty()) {
      joined.denial_text = other->dns.denial_text;
    }
  }
  return joined;
}

}  // namespace postern
