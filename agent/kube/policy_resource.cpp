// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/policy_resource.h"

#include <algorithm>
#include <array>

#include "agent/kube/list_watch.h"

namespace postern {
namespace {

constexpr std::string_view kOurGroup = "postern.dev";
constexpr std::string_view kOurVersion = "v1alpha1";

constexpr std::array kResources{
    PolicyResource{"EgressPolicy", "EgressPolicy", kOurGroup, kOurVersion, "egresspolicies", true},
    PolicyResource{"ClusterEgressPolicy", "ClusterEgressPolicy", kOurGroup, kOurVersion, "clusteregresspolicies", true},
    PolicyResource{"AllowlistTemplate", "AllowlistTemplate", kOurGroup, kOurVersion, "allowlisttemplates", true},
    PolicyResource{"CiliumNetworkPolicy", "CiliumNetworkPolicy", "cilium.io", "v2", "ciliumnetworkpolicies"},
    PolicyResource{"CiliumClusterwideNetworkPolicy", "CiliumClusterwideNetworkPolicy", "cilium.io", "v2",
                   "ciliumclusterwidenetworkpolicies"},
    PolicyResource{"NetworkPolicy", "NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies"},
    PolicyResource{"ApplicationNetworkPolicy", "ApplicationNetworkPolicy", "networking.k8s.aws", "v1alpha1",
                   "applicationnetworkpolicies"},
    PolicyResource{"ClusterNetworkPolicy.networking.k8s.aws", "ClusterNetworkPolicy", "networking.k8s.aws", "v1alpha1",
                   "clusternetworkpolicies"},
    PolicyResource{"ClusterNetworkPolicy.policy.networking.k8s.io", "ClusterNetworkPolicy", "policy.networking.k8s.io",
                   "v1alpha2", "clusternetworkpolicies"},
    PolicyResource{"FQDNNetworkPolicy", "FQDNNetworkPolicy", "networking.gke.io", "v1alpha1", "fqdnnetworkpolicies"},
};

}  // namespace

std::string PolicyResource::path_of(const PolicyObject& object) const {
  const std::string space = object.space.empty() ? "" : "/namespaces/" + query_escaped(object.space);
  return "/apis/" + api_version() + space + "/" + std::string(plural) + "/" + query_escaped(object.name);
}

std::string PolicyResource::title_of(const PolicyObject& object) const {
  return std::string(name) + " " + (object.space.empty() ? "" : object.space + "/") + object.name;
}

std::string PolicyResource::text_of(std::string_view text) const {
  // The text is a JSON object with something in it, on lines of its own.
  return "{\n \"apiVersion\": \"" + api_version() + "\",\n \"kind\": \"" + std::string(kind) + "\",\n" +
         std::string(text.substr(std::min<std::size_t>(1, text.size())));
}

std::span<const PolicyResource> policy_resources() { return kResources; }

const PolicyResource* find_policy_resource(std::string_view name) {
  const auto found = std::ranges::find(kResources, name, &PolicyResource::name);
  return found == kResources.end() ? nullptr : &*found;
}

}  // namespace postern
