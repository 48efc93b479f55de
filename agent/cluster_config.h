// SPDX-License-Identifier: Apache-2.0
//
// The parts of postern.yaml that speak of a Kubernetes cluster: `kubernetes:` and `scope:`.
//
// Cluster mode is on when `kubernetes:` is there, empty or not: posternd then finds the pods of its
// node by itself. Read strictly, as all of the configuration (config.h). Limits: kNamespacesListedMax,
// kPodCidrsMax.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/ip.h"
#include "policies/dns_name.h"
#include "policies/yaml_field.h"

namespace postern {

inline constexpr std::size_t kNamespacesListedMax = 1000;
inline constexpr std::size_t kPodCidrsMax = 64;

/// Which pods are Postern's business.
struct ScopeConfig {
  std::string label = "postern.dev/enforce";  ///< Of a namespace; its value must not be "false".
  std::set<std::string> namespaces;           ///< In scope without the label.
  std::set<std::string> except;               ///< Out of scope, whatever else is said.
  bool strict = false;                        ///< A pod that no policy selects stays denied.
};

struct KubernetesConfig {
  bool on = false;
  std::string kubeconfig;  ///< Empty: the pod's service account.
  std::string node;        ///< Empty: $NODE_NAME.
  DnsName cluster_domain = *DnsName::from_text("cluster.local");
  std::string kubelet_config = "/var/lib/kubelet/config.yaml";  ///< Read for clusterDNS, if it is there.
  std::string cni_results = "/var/lib/cni/results";             ///< Of the container runtime's CNI, if it is there.
  std::vector<Prefix> pod_cidrs;                                ///< For `inbound: [{from: pods}]`.
  std::vector<std::string> kinds;  ///< Policy objects to read, names as PolicyResource has them; default: the native ones.
};

/// A path that is there is taken; one that is not absolute is an error.
void read_absolute_path(const YamlField& field, std::string& path);

ScopeConfig read_scope(const YamlField& scope);
KubernetesConfig read_kubernetes(const YamlField& kubernetes);
/// `kinds:`, the policy objects that are read of the API server.
std::vector<std::string> read_kinds(const YamlField& kinds);

}  // namespace postern
