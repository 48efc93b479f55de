// SPDX-License-Identifier: Apache-2.0
#include "agent/sandbox/pod_scope.h"

#include <algorithm>

namespace postern {
namespace {

constexpr std::string_view kSystemSpace = "kube-system";

}  // namespace

ScopeAnswer scope_of_namespace(const std::string& name,
                               const NamespaceInfo* space,
                               const ScopeConfig& config,
                               const std::string& own_space) {
  if (name == own_space || config.except.contains(name)) {
    return ScopeAnswer::kOut;
  }
  if (config.namespaces.contains(name)) {
    return ScopeAnswer::kIn;
  }
  if (name == kSystemSpace) {
    return ScopeAnswer::kOut;
  }
  if (space == nullptr) {
    return ScopeAnswer::kUnknown;
  }
  const auto label = space->labels.find(config.label);
  return label != space->labels.end() && label->second != "false" ? ScopeAnswer::kIn : ScopeAnswer::kOut;
}

bool selects(const Labels& wanted, const Labels& labels) {
  return !wanted.empty() && std::ranges::all_of(wanted, [&](const auto& label) {
    const auto found = labels.find(label.first);
    return found != labels.end() && found->second == label.second;
  });
}

bool is_dns_backend(const PodInfo& pod, const DnsBackends& dns) {
  const auto is_upstream = [&](const Address& address) {
    return std::ranges::find(dns.addresses, address) != dns.addresses.end();
  };
  return std::ranges::any_of(pod.addresses, is_upstream) ||
         (!dns.space.empty() && pod.space == dns.space && selects(dns.selector, pod.labels));
}

}  // namespace postern
