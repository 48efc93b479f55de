// SPDX-License-Identifier: Apache-2.0
#include "agent/sandbox/pod_search.h"

#include <algorithm>

namespace postern {
namespace {

void add(SearchList& list, const Result<DnsName>& suffix) {
  if (suffix && !suffix->is_root() && list.size() < kPodSearchMax && std::ranges::find(list, *suffix) == list.end()) {
    list.push_back(*suffix);
  }
}

}  // namespace

SearchList search_of_pod(const PodInfo& pod, const DnsName& cluster_domain, const SearchList& node_search) {
  SearchList list;
  // ClusterFirst on the node's network is Default, by kubelet's rule; ...WithHostNet is there to be the exception.
  const bool cluster = pod.dns_policy == "ClusterFirstWithHostNet" ||
                       ((pod.dns_policy.empty() || pod.dns_policy == "ClusterFirst") && !pod.host_network);
  if (cluster) {
    const std::string domain = cluster_domain.text();
    add(list, DnsName::from_text(pod.space + ".svc." + domain));
    add(list, DnsName::from_text("svc." + domain));
    add(list, cluster_domain);
  }
  if (pod.dns_policy != "None") {
    for (const DnsName& suffix : node_search) {
      add(list, suffix);
    }
  }
  for (const std::string& suffix : pod.searches) {
    add(list, DnsName::from_text(suffix));
  }
  return list;
}

}  // namespace postern
