// SPDX-License-Identifier: Apache-2.0
#include "agent/sandbox/pod_pairing.h"

#include <algorithm>
#include <map>
#include <set>

namespace postern {
namespace {

using Kind = PairingStep::Kind;

/// startTime is in whole seconds, and a clock may be set a little.
constexpr std::int64_t kClockSlackS = 1;

/// Whose an interface is, as far as it is known.
struct Owner {
  std::optional<std::size_t> pod;
  bool recorded = false;     // a sandbox on record says so; without a pod: that is gone
  bool contested = false;    // several pods have its address
  bool scoped = false;       // of these, or by the CNI's word, one that is or may be in scope
  bool settled_out = false;  // the CNI says: of a namespace out of scope
  bool doubted = false;      // a pod that would open it has its address, and cannot be its owner
};

class Pairing {
 public:
  explicit Pairing(const PairingWorld& world) : world_(world) {
    for (std::size_t i = 0; i < world.pods.size(); ++i) {
      by_uid_[world.pods[i].ref.uid] = i;
    }
    for (const PairingSandbox& sandbox : world.sandboxes) {
      sandboxes_[sandbox.ifindex] = &sandbox;
    }
  }

  PairingPlan run() {
    find_owners();
    count_waiting();
    for (const PairingLink& link : world_.links) {
      decide(link);
    }
    return std::move(plan_);
  }

 private:
  const PairingSandbox* sandbox_on(const PairingLink& link) const {
    const auto found = sandboxes_.find(link.ifindex);
    return found == sandboxes_.end() ? nullptr : found->second;
  }

  std::optional<std::size_t> find_uid(const std::string& uid) const {
    const auto found = by_uid_.find(uid);
    return found == by_uid_.end() ? std::nullopt : std::optional(found->second);
  }

  template <typename Is>
  std::optional<std::size_t> find_named(const PodRef& ref, Is is) const {
    for (std::size_t i = 0; i < world_.pods.size(); ++i) {
      const PairingPod& pod = world_.pods[i];
      if (pod.ref.space == ref.space && pod.ref.name == ref.name && is(pod)) {
        return i;
      }
    }
    return std::nullopt;
  }

  /// The CNI knows a static pod by another uid than the API server does. A name alone decides only where
  /// the runtime tells no uid: one that is made again has the old one's.
  std::optional<std::size_t> find_hinted(const PodRef& ref) const {
    if (const auto found = find_uid(ref.uid)) {
      return found;
    }
    return find_named(ref, [&ref](const PairingPod& pod) { return ref.uid.empty() || pod.static_uid == ref.uid; });
  }

  /// The API server's copy of a static pod may be made again, with another uid, while the pod runs on.
  std::optional<std::size_t> find_recorded(const PodRef& ref, const PairingLink& link) const {
    if (const auto found = find_uid(ref.uid)) {
      return found;
    }
    return find_named(ref, [&link](const PairingPod& pod) {
      return !pod.static_uid.empty() &&
             (link.hint ? link.hint->pod.uid == pod.static_uid : have_one_in_common(pod.addresses, link.addresses));
    });
  }

  static bool have_one_in_common(const std::vector<Address>& some, const std::vector<Address>& others) {
    return std::ranges::find_first_of(some, others) != some.end();
  }

  void find_owners() {
    for (const PairingLink& link : world_.links) {
      Owner& owner = owners_[link.ifindex];
      const PairingSandbox* sandbox = sandbox_on(link);
      if (sandbox != nullptr && !sandbox->pod.uid.empty()) {
        owner.recorded = true;
        owner.pod = find_recorded(sandbox->pod, link);
      }
      if (!owner.recorded && link.hint) {
        owner.pod = find_hinted(link.hint->pod);
        owner.scoped = link.hint->scope == ScopeAnswer::kIn;
        owner.settled_out = !owner.pod && link.hint->scope == ScopeAnswer::kOut;
      }
      if (owner.pod) {
        owned_.insert(*owner.pod);
      }
    }
    std::set<std::size_t> owned = owned_;
    for (const PairingLink& link : world_.links) {
      Owner& owner = owners_[link.ifindex];
      if (!owner.pod && !owner.recorded && !link.foreign && !link.hint) {
        find_by_address(link, owner);
      }
      if (owner.pod) {
        owned.insert(*owner.pod);
      }
    }
    owned_ = std::move(owned);
  }

  /// A pod that has an interface already may still tell the address of one that is gone: where
  /// several pods claim an address, those without an interface come first.
  void find_by_address(const PairingLink& link, Owner& owner) const {
    std::vector<std::size_t> matches;
    for (std::size_t i = 0; i < world_.pods.size(); ++i) {
      if (have_one_in_common(world_.pods[i].addresses, link.addresses)) {
        matches.push_back(i);
      }
    }
    owner.doubted = std::erase_if(matches, [&](std::size_t i) { return is_not_of(i, link); }) > 0;
    if (matches.size() > 1 && std::ranges::any_of(matches, [this](std::size_t i) { return !owned_.contains(i); })) {
      std::erase_if(matches, [this](std::size_t i) { return owned_.contains(i); });
    }
    if (matches.size() == 1) {
      owner.pod = matches[0];
      return;
    }
    owner.contested = !matches.empty();
    owner.scoped =
        std::ranges::any_of(matches, [this](std::size_t i) { return world_.pods[i].scope != ScopeAnswer::kOut; });
  }

  /// Whether an interface is open once it is this pod's.
  bool opens(const PairingPod& pod) const {
    const bool unselected = pod.policy.empty() && world_.ready && world_.any_policy && !world_.strict;
    return pod.scope == ScopeAnswer::kOut || (pod.scope == ScopeAnswer::kIn && unselected);
  }

  /// A pod that has the address of an interface and would open it, but has another, or began too late for this one.
  bool is_not_of(std::size_t index, const PairingLink& link) const {
    const PairingPod& pod = world_.pods[index];
    if (!opens(pod)) {
      return false;
    }
    const bool too_late =
        pod.started_unix_s != 0 && link.seen_unix_s != 0 && pod.started_unix_s > link.seen_unix_s + kClockSlackS;
    return too_late || owned_.contains(index) || std::ranges::any_of(world_.links, [&](const PairingLink& other) {
             return other.ifindex != link.ifindex && !other.foreign && !other.hint && sandbox_on(other) == nullptr &&
                    have_one_in_common(pod.addresses, other.addresses);
           });
  }

  void count_waiting() {
    for (std::size_t i = 0; i < world_.pods.size(); ++i) {
      const PairingPod& pod = world_.pods[i];
      const bool has_link = owned_.contains(i);
      if (pod.scope == ScopeAnswer::kIn) {
        ++plan_.in_scope;
        plan_.unselected += pod.policy.empty() && world_.any_policy ? 1 : 0;
        if (!has_link) {
          plan_.waiting.push_back(i);
          if (!pod.addresses.empty()) {
            plan_.lost.push_back(i);
          }
        }
      }
      if (pod.scope != ScopeAnswer::kOut && !has_link) {
        plan_.suspects.push_back(i);
      }
      // In doubt about a pod's scope nothing new is held, and nothing that is held is let go.
      may_be_scoped_ = may_be_scoped_ || (pod.scope != ScopeAnswer::kOut && !has_link);
      scoped_waits_ = scoped_waits_ || (pod.scope == ScopeAnswer::kIn && !has_link);
      // A pod out of scope whose address is known is found by it, so only one without waits for just any interface.
      other_waits_ = other_waits_ || (pod.scope != ScopeAnswer::kIn && !has_link && pod.addresses.empty());
    }
  }

  void decide(const PairingLink& link) {
    const PairingSandbox* sandbox = sandbox_on(link);
    const bool by_hand = sandbox != nullptr && !sandbox->held && sandbox->pod.uid.empty();
    const Owner& owner = owners_[link.ifindex];
    if (owner.pod && world_.pods[*owner.pod].scope == ScopeAnswer::kIn && sandbox != nullptr && !sandbox->held) {
      ++plan_.attached;
    }
    plan_.held += sandbox != nullptr && sandbox->held ? 1 : 0;
    if (link.busy || by_hand) {
      return;
    }
    if (link.foreign) {
      release_held(link, sandbox);
    } else if (owner.pod) {
      decide_owned(link, sandbox, *owner.pod);
    } else {
      decide_unowned(link, sandbox, owner);
    }
  }

  void decide_owned(const PairingLink& link, const PairingSandbox* sandbox, std::size_t index) {
    const PairingPod& pod = world_.pods[index];
    if (pod.scope == ScopeAnswer::kOut) {
      release_held(link, sandbox);
      plan_.open.push_back(link.ifindex);
    }
    const bool decidable = world_.ready && (world_.any_policy || world_.strict);
    if (pod.scope != ScopeAnswer::kIn || !decidable) {
      // Denying takes no more knowledge than that it is in scope. A pod that runs already goes on as
      // it is for the moment: perhaps no policy selects it, and it must not be cut off by a restart of ours.
      if (pod.scope == ScopeAnswer::kIn && sandbox == nullptr && link.young) {
        add(Kind::kHold, link, sandbox, index);
      } else if (pod.scope == ScopeAnswer::kOut && sandbox != nullptr && !sandbox->held && world_.ready) {
        add(Kind::kRelease, link, sandbox, std::nullopt);
      }
      return;
    }
    if (pod.policy.empty() && !world_.strict) {
      plan_.open.push_back(link.ifindex);
      if (sandbox != nullptr) {
        add(Kind::kRelease, link, sandbox, std::nullopt);
      }
    } else if (sandbox == nullptr) {
      add(Kind::kAttach, link, sandbox, index);
    } else if (sandbox->pod != pod.ref) {
      add(Kind::kTake, link, sandbox, index);
    } else if (sandbox->policy != pod.policy) {
      add(Kind::kAssign, link, sandbox, index);
    }
  }

  void decide_unowned(const PairingLink& link, const PairingSandbox* sandbox, const Owner& owner) {
    if (owner.recorded) {
      return;  // its pod is gone or finished: what is left of it stays shut until the interface goes
    }
    if (owner.settled_out) {
      release_held(link, sandbox);
      return;
    }
    const bool guess = !owner.contested && scoped_waits_ && !other_waits_;
    if (sandbox == nullptr) {
      if (link.young && (owner.scoped || guess)) {
        add(Kind::kHold, link, sandbox, std::nullopt);
      }
      return;
    }
    if (world_.ready && !owner.scoped && !owner.contested && !owner.doubted && !may_be_scoped_ &&
        have_other_interfaces(sandbox->suspects)) {
      add(Kind::kRelease, link, sandbox, std::nullopt);
    }
  }

  /// Whether all of these pods are known to be somewhere else, or out of scope now. One that is gone may have had this.
  bool have_other_interfaces(const std::vector<std::string>& uids) const {
    return !uids.empty() && std::ranges::all_of(uids, [this](const std::string& uid) {
      const auto found = find_uid(uid);
      return found && (owned_.contains(*found) || world_.pods[*found].scope == ScopeAnswer::kOut);
    });
  }

  /// What was held by mistake is let go at once, whatever else is not known.
  void release_held(const PairingLink& link, const PairingSandbox* sandbox) {
    if (sandbox != nullptr && sandbox->held) {
      add(Kind::kRelease, link, sandbox, std::nullopt);
    }
  }

  void add(Kind kind, const PairingLink& link, const PairingSandbox* sandbox, std::optional<std::size_t> pod) {
    plan_.steps.push_back({kind, link.ifindex, sandbox != nullptr ? sandbox->id : 0, pod});
  }

  const PairingWorld& world_;
  std::map<std::string, std::size_t> by_uid_;
  std::map<std::uint32_t, const PairingSandbox*> sandboxes_;  // by ifindex
  std::map<std::uint32_t, Owner> owners_;                     // by ifindex
  std::set<std::size_t> owned_;                               // pods with an interface
  bool scoped_waits_ = false;
  bool may_be_scoped_ = false;
  bool other_waits_ = false;
  PairingPlan plan_;
};

}  // namespace

PairingPlan pair_pods(const PairingWorld& world) { return Pairing(world).run(); }

}  // namespace postern
