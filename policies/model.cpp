// SPDX-License-Identifier: Apache-2.0
#include "policies/model.h"

#include <algorithm>

#include "policies/never_list.h"

namespace postern {

std::string_view name_of(Family family) {
  switch (family) {
    case Family::kNative:
      return "native";
    case Family::kCilium:
      return "Cilium";
    case Family::kAws:
      return "AWS";
    case Family::kUpstream:
      return "ClusterNetworkPolicy";
    case Family::kGke:
      return "GKE";
    case Family::kNetworkPolicy:
      return "NetworkPolicy";
  }
  return "?";
}

std::string_view name_of(Tier tier) {
  switch (tier) {
    case Tier::kAdmin:
      return "Admin";
    case Tier::kApplication:
      return "Application";
    case Tier::kBaseline:
      return "Baseline";
  }
  return "?";
}

std::string Origin::to_string() const { return via.empty() ? place.to_string() : place.to_string() + " (" + via + ")"; }

std::string PeerRule::to_string() const {
  switch (who) {
    case Who::kPods:
      return pods.to_string();
    case Who::kNodes:
      return "nodes " + nodes.to_string();
    case Who::kServices:
      return "Service " + service_space + "/" + (service_name.empty() ? "by labels" : service_name);
    case Who::kCluster:
      return "entity cluster";
    case Who::kWorld:
      return "entity world";
    case Who::kAll:
      return "every address";
    case Who::kApiServer:
      return "entity kube-apiserver";
    case Who::kHost:
      return "entity host";
  }
  return "a peer";
}

std::string Policy::key() const {
  const std::string path = space.empty() ? name : space + "/" + name;
  return kind == "EgressPolicy" ? path : kind + (group.empty() ? "" : "." + group) + ":" + path;
}

bool Policy::needs_inventory() const {
  const auto apart = [](const CidrRule& rule) {  // what is on the never-list is nobody's in the cluster
    return rule.outside_cluster &&
           std::ranges::none_of(never_list(), [&](const Prefix& entry) { return entry.contains(rule.prefix); });
  };
  return std::ranges::any_of(peers, [](const PeerRule& peer) { return peer.who != PeerRule::Who::kAll; }) ||
         std::ranges::any_of(allow_cidrs, apart) || std::ranges::any_of(deny_cidrs, apart) ||
         std::ranges::any_of(pass_cidrs, apart);
}

}  // namespace postern
