// SPDX-License-Identifier: Apache-2.0
//
// PodDiscovery's eyes: what the links, the API server, the CNI and the sandboxes on record say, put together for
// pair_pods(), and what a sandbox would be of it. Changes nothing but conditions and suspicions.
#include <algorithm>
#include <iterator>

#include "agent/pod_discovery.h"
#include "agent/pod_names.h"
#include "agent/sandbox/pod_addresses.h"
#include "agent/sandbox/pod_search.h"
#include "agent/setup/steering_namespace.h"

namespace postern {
namespace {

bool has(const std::vector<Address>& addresses, const Address& wanted) {
  return std::ranges::find(addresses, wanted) != addresses.end();
}

std::int64_t unix_s_of(BootNs when) {
  return (static_cast<std::int64_t>(when.ns) + boot_to_unix_ns()) / static_cast<std::int64_t>(kNsPerS);
}

}  // namespace

ScopeAnswer PodDiscovery::scope_of_space(const std::string& name) const {
  const auto found = watch_->namespaces().find(name);
  return scope_of_namespace(name, found == watch_->namespaces().end() ? nullptr : &found->second, parts_.config.scope,
                            own_space_);
}

void PodDiscovery::add_pods(PairingWorld& world) {
  std::vector<std::string> dns_pods;
  for (const auto& [uid, pod] : watch_->pods()) {
    if (pod.host_network || pod.finished) {
      continue;
    }
    PairingPod added{.ref = {uid, pod.space, pod.name},
                     .addresses = pod.addresses,
                     .scope = scope_of_space(pod.space),
                     .policy = "",
                     .static_uid = pod.static_uid,
                     .started_unix_s = pod.started_unix_s};
    if (added.scope == ScopeAnswer::kIn && answers_lookups(pod)) {
      dns_pods.push_back(name_of(added.ref));
      added.scope = ScopeAnswer::kOut;
    }
    if (added.scope == ScopeAnswer::kIn && policies_in_force_) {
      added.policy = parts_.policies.policies().select(identity_of(pod.space, pod.labels));
    }
    world.pods.push_back(std::move(added));
  }
  parts_.conditions.set("DnsPodInScope", "AnswersOurQueries",
                        dns_pods.empty() ? ""
                                         : joined(dns_pods) +
                                               " is in scope and answers the lookups of this node, so it gets no gate "
                                               "(it would ask itself): take its namespace out of scope");
}

/// That opens it: so one with a gate is judged by the addresses that its gate has, not by what is told later.
bool PodDiscovery::answers_lookups(const PodInfo& pod) const {
  const auto all = parts_.sandboxes.all();
  const auto known = std::ranges::find(all, pod.uid, [](const Sandbox* sandbox) { return sandbox->pod.uid; });
  if (known == all.end()) {
    return is_dns_backend(pod, dns_backends_);
  }
  PodInfo gated = pod;
  gated.addresses = (*known)->addresses;
  return is_dns_backend(gated, dns_backends_);
}

const CniResult* PodDiscovery::cni_result_of(const HostLink& link) const {
  return cni_.find(link, [this](const std::string& name) { return links_.has(name); });
}

void PodDiscovery::add_links(PairingWorld& world) {
  const BootNs now = SystemClock().now();
  for (const auto& [ifindex, link] : links_.links()) {
    PairingLink added;
    added.ifindex = ifindex;
    added.addresses = link.addresses;
    added.seen_unix_s = unix_s_of(link.seen);
    added.young = link.announced && (now - link.seen) / kNsPerMs < kYoungMs;
    added.foreign = is_steering_link(link.info);
    added.busy = busy_.contains(ifindex);
    if (const CniResult* result = cni_result_of(link)) {
      added.hint = PairingHint{result->pod, scope_of_space(result->pod.space)};
    }
    world.links.push_back(std::move(added));
  }
}

PairingWorld PodDiscovery::describe_world() {
  PairingWorld world;
  world.ready = watch_->synced() && policies_in_force_;
  world.strict = parts_.config.scope.strict;
  world.any_policy = policies_in_force_ && !parts_.policies.policies().policies.empty();
  add_pods(world);
  add_links(world);
  for (const Sandbox* sandbox : parts_.sandboxes.all()) {
    world.sandboxes.push_back(
        {sandbox->id, sandbox->ifindex, sandbox->pod, sandbox->policy, sandbox->held, suspects_of(sandbox->ifindex)});
  }
  for (const std::uint32_t ifindex : shut_) {
    if (parts_.sandboxes.find_ifindex(ifindex) == nullptr) {
      world.sandboxes.push_back({0, ifindex, {}, "", true, suspects_of(ifindex)});
    }
  }
  return world;
}

std::vector<std::string> PodDiscovery::suspects_of(std::uint32_t ifindex) const {
  const auto found = suspects_.find(ifindex);
  return found == suspects_.end() ? std::vector<std::string>()
                                  : std::vector<std::string>(found->second.begin(), found->second.end());
}

/// Whoever waits while an interface is held may be whose it is, also after it has left the API server's list.
void PodDiscovery::suspect(const PairingWorld& world) {
  for (const PairingSandbox& known : world.sandboxes) {
    if (!known.held) {
      suspects_.erase(known.ifindex);
      continue;
    }
    for (const std::size_t index : plan_.suspects) {
      suspects_[known.ifindex].insert(world.pods[index].ref.uid);
    }
  }
  for (const PairingStep& step : plan_.steps) {
    if (step.kind == PairingStep::Kind::kHold) {
      for (const std::size_t index : plan_.suspects) {
        suspects_[step.ifindex].insert(world.pods[index].ref.uid);
      }
    }
  }
}

bool PodDiscovery::is_anothers(const Address& address, const std::string& uid, std::uint32_t ifindex) const {
  return std::ranges::any_of(watch_->pods(),
                             [&](const auto& each) {
                               return each.first != uid && !each.second.finished && has(each.second.addresses, address);
                             }) ||
         std::ranges::any_of(links_.links(), [&](const auto& each) {
           return each.first != ifindex && has(each.second.addresses, address);
         });
}

Sandbox PodDiscovery::describe_sandbox(const HostLink& link, const PairingPod* pod) const {
  Sandbox sandbox;
  sandbox.interface = link.info.name;
  sandbox.ifindex = link.info.ifindex;
  sandbox.mac = link.peer_mac;
  sandbox.host_mac = link.info.mac;
  sandbox.search = node_search_;
  sandbox.held = pod == nullptr;
  if (pod != nullptr) {
    sandbox.pod = pod->ref;
    sandbox.policy = pod->policy;
    if (const auto found = watch_->pods().find(pod->ref.uid); found != watch_->pods().end()) {
      sandbox.search = search_of_pod(found->second, parts_.config.kubernetes.cluster_domain, node_search_);
    }
  }
  AddressSources told;
  if (const Sandbox* known = parts_.sandboxes.find_ifindex(link.info.ifindex); known != nullptr && !known->held) {
    told.record = known->addresses;
    sandbox.mac = known->mac == Mac() ? link.peer_mac : known->mac;
  }
  if (const CniResult* result = cni_result_of(link)) {
    told.cni = result->addresses;
  }
  told.link = link.addresses;
  told.link_is_ours = link.announced;
  told.link_local = link.link_local;
  if (pod != nullptr) {
    std::ranges::copy_if(pod->addresses, std::back_inserter(told.claimed), [&](const Address& address) {
      return !is_anothers(address, pod->ref.uid, link.info.ifindex);
    });
  }
  sandbox.addresses = choose_addresses(told);
  return sandbox;
}

}  // namespace postern
