// SPDX-License-Identifier: Apache-2.0
#include "agent/pod_discovery.h"

#include <algorithm>
#include <cassert>

#include "agent/pod_names.h"
#include "agent/sandbox/discovery.h"
#include "agent/setup/steering_namespace.h"
#include "base/log.h"

namespace postern {
namespace {

using Kind = PairingStep::Kind;

/// A pod whose address is known for this long, and no interface with it, is told of.
constexpr std::uint64_t kLostMs = 5'000;
/// So is an interface that is held this long.
constexpr std::uint64_t kHeldMs = 30'000;

}  // namespace

PodDiscovery::PodDiscovery(Parts parts, std::string own_space, SearchList node_search)
    : parts_(parts),
      own_space_(std::move(own_space)),
      node_search_(std::move(node_search)),
      links_(parts.loop, [this] { look(); }),
      cni_(parts.loop, parts.config.kubernetes.cni_results, [this] { look(); }) {}

PodDiscovery::~PodDiscovery() {
  parts_.loop.cancel(timer_);
  parts_.loop.cancel(lost_timer_);
  parts_.loop.cancel(held_timer_);
}

Result<> PodDiscovery::start(const ClusterWatch& watch) {
  watch_ = &watch;
  cni_.start();
  POSTERN_RETURN_IF_ERROR(links_.read_all());
  // A posternd before us may have ended between shutting an interface and writing its entry.
  for (const auto& [ifindex, link] : links_.links()) {
    // The steering link has a program in the same place, which is not for us to take off.
    if (!is_steering_link(link.info) && parts_.sandboxes.find_ifindex(ifindex) == nullptr &&
        parts_.gate.has_sandbox_programs(ifindex)) {
      shut_.insert(ifindex);
    }
  }
  return {};
}

void PodDiscovery::on_link_removed(std::uint32_t ifindex) {
  links_.on_removed(ifindex);
  if (shut_.erase(ifindex) > 0) {
    static_cast<void>(parts_.gate.detach_sandbox(ifindex));
  }
  measured_.erase(ifindex);
  refused_.erase(ifindex);
  suspects_.erase(ifindex);
  look_again();
}

void PodDiscovery::look_again() {
  if (timer_ == 0) {
    timer_ = parts_.loop.after_ms(0, [this] {
      timer_ = 0;
      look();
    });
  }
}

void PodDiscovery::policies_in_force() {
  policies_in_force_ = true;
  look_again();
}

void PodDiscovery::set_dns_backends(DnsBackends backends) {
  dns_backends_ = std::move(backends);
  look_again();
}

std::string PodDiscovery::select(const PolicySet& set, const Sandbox& sandbox) const {
  const Labels* labels = labels_of(sandbox.pod);
  // What is not known any more, or not yet, keeps what it has.
  return labels == nullptr ? sandbox.policy : set.select(identity_of(sandbox.pod.space, *labels));
}

PodIdentity PodDiscovery::identity_of(const std::string& space, const Labels& labels) const {
  const auto found = watch_->namespaces().find(space);
  return {space, found == watch_->namespaces().end() ? Labels() : found->second.labels, labels};
}

const Labels* PodDiscovery::labels_of(const PodRef& pod) const {
  if (watch_ == nullptr || pod.uid.empty()) {
    return nullptr;
  }
  const auto found = watch_->pods().find(pod.uid);
  return found == watch_->pods().end() ? nullptr : &found->second.labels;
}

// ---- what follows ----

void PodDiscovery::look() {
  if (watch_ == nullptr) {
    return;
  }
  const PairingWorld world = describe_world();
  plan_ = pair_pods(world);
  suspect(world);
  for (const PairingStep& step : plan_.steps) {
    run(step, world);
  }
  measured_.insert(plan_.open.begin(), plan_.open.end());
  renew_addresses(world);
  report(world);
}

void PodDiscovery::run(const PairingStep& step, const PairingWorld& world) {
  const PairingPod* pod = step.pod ? &world.pods[*step.pod] : nullptr;
  assert(pod != nullptr || (step.kind != Kind::kTake && step.kind != Kind::kAssign));  // those are about a pod
  switch (step.kind) {
    case Kind::kHold:
      return attach(step, nullptr);
    case Kind::kAttach:
      return attach(step, pod);
    case Kind::kTake:
      return step.sandbox == 0 ? attach(step, pod) : take(step, *pod);
    case Kind::kAssign:
      busy_.insert(step.ifindex);
      return parts_.policies.assign(step.sandbox, pod->policy, [this, ifindex = step.ifindex](const auto& assigned) {
        finish(ifindex, "another policy", assigned ? Result<>() : Result<>(assigned.error()));
      });
    case Kind::kRelease:
      return release(step);
  }
}

void PodDiscovery::shut(const HostLink& link, bool holding) {
  const std::uint32_t ifindex = link.info.ifindex;
  if (shut_.contains(ifindex)) {
    return;
  }
  if (auto attached = parts_.gate.attach_sandbox(ifindex); !attached) {
    spdlog::error("shutting {}: {}", link.info.name, attached.error().message());
    return;  // the attachment proper comes next, and is tried again
  }
  shut_.insert(ifindex);
  if (link.announced && measured_.insert(ifindex).second) {
    window_.add(SystemClock().now() - link.seen, holding);
  }
}

void PodDiscovery::attach(const PairingStep& step, const PairingPod* pod) {
  const HostLink& link = links_.links().at(step.ifindex);
  busy_.insert(step.ifindex);
  shut(link, pod == nullptr);
  Sandbox sandbox = describe_sandbox(link, pod);
  if (auto prefixes = read_link_prefixes(sandbox); !prefixes) {
    return finish(step.ifindex, "the gate", prefixes);
  }
  const std::string whose = pod == nullptr ? "" : name_of(pod->ref);
  parts_.policies.attach(std::move(sandbox), [this, ifindex = step.ifindex, whose](const Result<Sandbox*>& attached) {
    if (attached) {
      const std::string& key = (*attached)->policy;
      spdlog::info("sandbox {} behind {} is {}", (*attached)->id, (*attached)->interface,
                   whose.empty() ? "denied everything until its pod is known"
                                 : "pod " + whose + ", under " + (key.empty() ? "no policy" : key));
    }
    finish(ifindex, "the gate", attached ? Result<>() : Result<>(attached.error()));
  });
}

/// Whose it is first, which changes nothing of what it may; then the policy.
void PodDiscovery::take(const PairingStep& step, const PairingPod& pod) {
  busy_.insert(step.ifindex);
  Sandbox sandbox = describe_sandbox(links_.links().at(step.ifindex), &pod);
  if (auto prefixes = read_link_prefixes(sandbox); !prefixes) {
    return finish(step.ifindex, "its pod", prefixes);
  }
  const std::uint32_t ifindex = step.ifindex;
  const std::string key = pod.policy;
  spdlog::info("sandbox {} behind {} is pod {}, under {}", step.sandbox, sandbox.interface, name_of(pod.ref),
               key.empty() ? "no policy" : key);
  parts_.policies.identify(step.sandbox, sandbox, [this, ifindex, key, id = step.sandbox](const Result<>& identified) {
    if (!identified) {
      return finish(ifindex, "its pod", identified);
    }
    parts_.policies.assign(id, key, [this, ifindex](const auto& assigned) {
      finish(ifindex, "its policy", assigned ? Result<>() : Result<>(assigned.error()));
    });
  });
}

void PodDiscovery::release(const PairingStep& step) {
  // Labels and scope are not what ends a lockdown: a tenant may be able to change them.
  if (const Sandbox* locked = parts_.sandboxes.find_id(step.sandbox);
      locked != nullptr && locked->mode == SandboxMode::kLockdown) {
    return;
  }
  busy_.insert(step.ifindex);
  const std::uint32_t ifindex = step.ifindex;
  const auto done = [this, ifindex](const Result<>& released) {
    if (released) {
      shut_.erase(ifindex);
      measured_.insert(ifindex);
    }
    finish(ifindex, "letting it go", released);
  };
  const Sandbox* sandbox = parts_.sandboxes.find_id(step.sandbox);
  if (sandbox == nullptr) {
    ++window_.let_go;
    return done(parts_.gate.detach_sandbox(ifindex));
  }
  window_.let_go += sandbox->held ? 1 : 0;
  spdlog::info("sandbox {} behind {} is let go: {}", sandbox->id, sandbox->interface,
               sandbox->held ? "no pod in scope" : "out of scope, or no policy selects it");
  parts_.policies.detach(step.sandbox, false, done);
}

/// Addresses come one by one. What is known does not change: pod_addresses.h.
void PodDiscovery::renew_addresses(const PairingWorld& world) {
  for (const PairingSandbox& known : world.sandboxes) {
    const auto link = links_.links().find(known.ifindex);
    const Sandbox* sandbox = parts_.sandboxes.find_id(known.id);
    const bool by_hand = !known.held && known.pod.uid.empty();
    if (link == links_.links().end() || sandbox == nullptr || by_hand || busy_.contains(known.ifindex)) {
      continue;
    }
    const auto pod = std::ranges::find(world.pods, known.pod, &PairingPod::ref);
    if (!known.held && pod == world.pods.end()) {
      continue;
    }
    Sandbox now = describe_sandbox(link->second, known.held ? nullptr : &*pod);
    if (now.addresses.empty() || (now.addresses == sandbox->addresses && now.mac == sandbox->mac &&
                                  now.host_mac == sandbox->host_mac && now.search == sandbox->search)) {
      continue;
    }
    busy_.insert(known.ifindex);
    now.link_prefixes = sandbox->link_prefixes;
    parts_.policies.identify(known.id, now, [this, ifindex = known.ifindex](const Result<>& renewed) {
      finish(ifindex, "its addresses", renewed);
    });
  }
}

void PodDiscovery::finish(std::uint32_t ifindex, const char* what, const Result<>& result) {
  const auto link = links_.links().find(ifindex);
  if (result || link == links_.links().end()) {
    busy_.erase(ifindex);
    refused_.erase(ifindex);
    if (parts_.sandboxes.find_ifindex(ifindex) != nullptr) {
      shut_.erase(ifindex);
    }
    return look_again();
  }
  refused_[ifindex] = std::string(what) + " of " + link->second.info.name + ": " + result.error().message();
  // A failed attachment takes its programs off again. In scope that must not open it.
  if (shut_.contains(ifindex)) {
    static_cast<void>(parts_.gate.attach_sandbox(ifindex));
  }
  parts_.loop.after_ms(kRetryMs, [this, ifindex] {
    busy_.erase(ifindex);
    look_again();
  });
}

std::vector<std::string> PodDiscovery::find_lost(const PairingWorld& world) {
  const BootNs now = SystemClock().now();
  std::map<std::string, BootNs> still;
  std::vector<std::string> lost;
  for (const std::size_t index : plan_.lost) {
    const PodRef& pod = world.pods[index].ref;
    const auto known = lost_since_.find(pod.uid);
    const BootNs since = known == lost_since_.end() ? now : known->second;
    still[pod.uid] = since;
    if ((now - since) / kNsPerMs >= kLostMs) {
      lost.push_back(name_of(pod));
    }
  }
  lost_since_ = std::move(still);
  parts_.loop.cancel(lost_timer_);
  if (lost.size() < lost_since_.size()) {
    lost_timer_ = parts_.loop.after_ms(kLostMs, [this] { look_again(); });
  }
  return lost;
}

std::vector<std::string> PodDiscovery::find_held() {
  std::vector<std::string> held;
  for (const Sandbox* sandbox : parts_.sandboxes.all()) {
    const auto link = links_.links().find(sandbox->ifindex);
    if (!sandbox->held || link == links_.links().end()) {
      continue;
    }
    if ((SystemClock().now() - link->second.seen) / kNsPerMs >= kHeldMs) {
      held.push_back(sandbox->interface);
    } else {
      parts_.loop.cancel(held_timer_);
      held_timer_ = parts_.loop.after_ms(kHeldMs, [this] { look_again(); });
    }
  }
  return held;
}

void PodDiscovery::report(const PairingWorld& world) {
  // Told as soon as the namespace is labelled, not when somebody wonders why his pod does not start.
  const bool none = plan_.in_scope != 0 && policies_in_force_ && !world.any_policy;
  parts_.conditions.set("NoPolicies", "FolderEmpty",
                        none
                            ? "there is no policy in " + parts_.config.policies +
                                  " and no policy object, so new pods in scope are denied everything until the first "
                                  "one comes: apply an EgressPolicy, or the ConfigMap postern-policies (the kubelet may "
                                  "take a minute to bring it), or take the label postern.dev/enforce off the namespace"
                            : "");
  const auto lost = find_lost(world);
  parts_.conditions.set("PodWithoutGate", "NoInterfaceFound",
                        lost.empty() ? ""
                                     : joined(lost) +
                                           " is in scope and has no gate: no veth of this node leads to its address "
                                           "(only veths are found; a pod that ran in gVisor before posternd did is "
                                           "found when it is made again)");
  const auto held = find_held();
  parts_.conditions.set("InterfaceHeld", "PodUnknown",
                        held.empty()
                            ? ""
                            : joined(held) +
                                  " is denied everything, because it is not known yet which pod's it is, or "
                                  "under which policy: if it is nobody's in scope, `postern sandbox detach` it");
  parts_.conditions.set("SandboxRefused", "TryingAgain",
                        refused_.empty() ? "" : refused_.begin()->second + "; it stays shut, and is tried again");
}

}  // namespace postern
