// SPDX-License-Identifier: Apache-2.0
//
// Readers of other projects' policy kinds: one function a kind, a document in, a policy out. What is
// wrong, or would not be enforced, is reported to the document's diagnostics.
//
// Only what concerns egress is read. Rules for ingress are refused where the object would be taken to
// enforce them, and named in a warning where another controller does.
#pragma once

#include "policies/model.h"
#include "policies/yaml_field.h"

namespace postern {

Policy read_cilium_policy(const YamlField& document);              ///< cilium.io/v2 CiliumNetworkPolicy
Policy read_cilium_clusterwide_policy(const YamlField& document);  ///< cilium.io/v2 CiliumClusterwideNetworkPolicy
Policy read_network_policy(const YamlField& document);             ///< networking.k8s.io/v1 NetworkPolicy
Policy read_aws_application_policy(
    const YamlField& document);                             ///< networking.k8s.aws/v1alpha1 ApplicationNetworkPolicy
Policy read_aws_cluster_policy(const YamlField& document);  ///< networking.k8s.aws/v1alpha1 ClusterNetworkPolicy
Policy read_cluster_network_policy(
    const YamlField& document);                          ///< policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy
Policy read_gke_fqdn_policy(const YamlField& document);  ///< networking.gke.io/v1alpha1 FQDNNetworkPolicy

}  // namespace postern
