// SPDX-License-Identifier: Apache-2.0
//
// The search list that kubelet writes into a pod's resolv.conf, by the pod's own words. Pure.
//
// Denials depend on it (policies/denial.h): a name below a suffix of the pod's own must not exist.
// https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
#pragma once

#include <vector>

#include "agent/kube/objects.h"
#include "policies/denial.h"

namespace postern {

/// kubelet's own limit of a resolv.conf (MaxDNSSearchPaths).
inline constexpr std::size_t kPodSearchMax = 32;

/// @param node_search  of the node's own resolv.conf.
/// Suffixes of dnsConfig that are no names are left out: no lookup below them can be made.
SearchList search_of_pod(const PodInfo& pod, const DnsName& cluster_domain, const SearchList& node_search);

}  // namespace postern
