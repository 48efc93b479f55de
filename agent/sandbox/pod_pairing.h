// SPDX-License-Identifier: Apache-2.0
//
// Which interface is whose pod's, and what follows from it. Pure: the whole world in, steps out.
//
// An interface is a pod's when a sandbox on record says so, when the container runtime's CNI says so,
// or when its other end has the pod's address; never by its name or its order. What is not known yet
// is *held* (denied everything, DNS answered with denials) when it can only be a scoped pod's: the
// interface is young, a scoped pod waits for one, and no pod out of scope does. When both wait,
// nothing is held, because a pod out of scope must never be broken; what decides then is the CNI's
// word, before any container runs, or else the address, as soon as the API server tells it.
//
// Opening is slower to believe than denying. A sandbox on record is its pod's until its interface goes,
// also when the pod is gone: no address and no word of the CNI makes it another's. What is held is let go
// when it is known to be of a pod that has no gate, or when every pod it was held for has another interface;
// never because those pods are gone, and never for the address of a pod that began after the interface
// came, or that has an interface already: addresses are given again, and told by whoever has them.
//
// Asked again after every change; a step already on its way is not in `sandboxes` yet, so the caller
// leaves out the interfaces it is at work on. Opening anything (release) takes a world that is
// `ready`, and a policy that could have selected it; denying does not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/sandbox/pod_scope.h"
#include "agent/sandbox/sandbox.h"

namespace postern {

/// A pod of this node that runs or will, with a network of its own.
struct PairingPod {
  PodRef ref;
  std::vector<Address> addresses;  ///< Empty: not told yet.
  ScopeAnswer scope = ScopeAnswer::kOut;
  std::string policy;               ///< Key of the policies that select it; empty: none does.
  std::string static_uid;           ///< As in PodInfo.
  std::int64_t started_unix_s = 0;  ///< As in PodInfo.
};

/// What the CNI says of an interface.
struct PairingHint {
  PodRef pod;                             ///< The uid may be empty.
  ScopeAnswer scope = ScopeAnswer::kOut;  ///< Of its namespace, for a pod that is not told yet.
};

/// A veth whose other end is in another network namespace.
struct PairingLink {
  std::uint32_t ifindex = 0;
  std::vector<Address> addresses;  ///< Of its other end; empty: none yet.
  std::optional<PairingHint> hint;
  std::int64_t seen_unix_s = 0;  ///< When it came, or was first seen.
  bool young = false;            ///< Came a moment ago.
  bool foreign = false;          ///< Known to be no pod's.
  bool busy = false;             ///< A step for it is on its way.
};

struct PairingSandbox {
  std::uint32_t id = 0;
  std::uint32_t ifindex = 0;
  PodRef pod;
  std::string policy;
  bool held = false;  ///< By a kHold; false with no pod: attached by hand, not ours to change.
  /// Uids of the pods that one held may be of: PairingPlan.suspects of each time since. Empty: not known.
  std::vector<std::string> suspects;
};

struct PairingWorld {
  bool ready = false;   ///< All pods and namespaces are known, and the policies are in force.
  bool strict = false;  ///< What no policy selects stays denied.
  /// There is a policy at all. Without one nothing is known to be left open on purpose: perhaps the
  /// kubelet has not brought the first ConfigMap yet.
  bool any_policy = false;
  std::vector<PairingPod> pods;
  std::vector<PairingLink> links;
  std::vector<PairingSandbox> sandboxes;
};

struct PairingStep {
  enum class Kind {
    kAttach,   ///< The gate for a pod.
    kHold,     ///< The gate for whoever it is, everything denied.
    kTake,     ///< A sandbox that is there becomes this pod's.
    kAssign,   ///< Another policy for a pod's sandbox.
    kRelease,  ///< The gate off.
  };
  Kind kind = Kind::kHold;
  std::uint32_t ifindex = 0;
  std::uint32_t sandbox = 0;       ///< Of kTake, kAssign, kRelease.
  std::optional<std::size_t> pod;  ///< Index into PairingWorld.pods.

  friend bool operator==(const PairingStep&, const PairingStep&) = default;
};

struct PairingPlan {
  std::vector<PairingStep> steps;
  std::size_t in_scope = 0;           ///< Pods.
  std::size_t attached = 0;           ///< Of these, with the gate on now, under their own policy.
  std::size_t unselected = 0;         ///< Of these, selected by no policy.
  std::size_t held = 0;               ///< Interfaces that wait for their pod.
  std::vector<std::uint32_t> open;    ///< Interfaces whose pods are known, and get no gate.
  std::vector<std::size_t> waiting;   ///< Pods in scope without an interface.
  std::vector<std::size_t> suspects;  ///< These, and those whose scope is not known: what is held may be theirs.
  std::vector<std::size_t> lost;      ///< Of these, those whose address is known: they run without the gate.
};

PairingPlan pair_pods(const PairingWorld& world);

}  // namespace postern
