// SPDX-License-Identifier: Apache-2.0
//
// PolicyControl: which policy each sandbox is under, and the way from one to the next.
//
// The order of a change is a contract: the new image is complete in the kernel and with the
// workers; the workers have acknowledged it and decide by it, holding back what it opens anew; the
// names held by then are judged; one write a sandbox swaps it; the workers let go what they held;
// the old image is removed. So what was removed is unreachable once the change is acknowledged, and
// what was kept lives on untouched. A change that fails on the way leaves what was before.
// Thread: posternd's loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/dns_link.h"
#include "agent/operation_queue.h"
#include "agent/policy_installer.h"
#include "agent/sandbox/sandbox_table.h"
#include "policies/policy_set.h"

namespace postern {

class PolicyControl {
 public:
  struct Change {
    std::uint32_t generation = 0;
    std::size_t policies = 0;
    bool changed = false;
    std::vector<std::string> warnings;
  };
  using OnChange = std::function<void(Result<Change>)>;
  using OnAttached = std::function<void(Result<Sandbox*>)>;
  /// What the observer must hear of; set once.
  struct Listener {
    std::function<void(const Sandbox&)> on_sandbox;
    std::function<void(std::uint32_t id)> on_sandbox_gone;
    std::function<void(const InstalledPolicy&)> on_policy;
    std::function<void(std::uint32_t id)> on_policy_gone;
  };

  /// How long a replaced image stays: longer than any packet is being judged.
  static constexpr std::uint64_t kForgetMs = 50;

  /// The policy key of a pod's sandbox under a set of policies; asked at every change of policies.
  using Selector = std::function<std::string(const PolicySet&, const Sandbox&)>;

  PolicyControl(EventLoop& loop, Gate& gate, DnsLink& dns, SandboxTable& sandboxes);

  void listen(Listener listener) { listener_ = std::move(listener); }

  /// Which policies a pod is under. Without one, a sandbox stays under the key that it has.
  void select_with(Selector selector) { selector_ = std::move(selector); }

  /// Puts every sandbox under its policy of this set. Calls back after the swap, or with the error
  /// that left everything as it was. A sandbox whose policy is not in the set is denied everything.
  void apply(PolicySet set, OnChange done);
  /// Puts one sandbox under another policy, in the same order and with the same promise.
  void assign(std::uint32_t id, std::string policy_key, OnChange done);
  /// Puts a new sandbox under its policy and attaches the gate to it.
  void attach(Sandbox sandbox, OnAttached done);
  /// Whose a sandbox is, and its addresses, MACs, link prefixes and search list, are those of `like`
  /// from now on; its policy stays. @return exists: one of the addresses is another sandbox's.
  void identify(std::uint32_t id, Sandbox like, std::function<void(Result<>)> done);
  /// Another mode, in force in the kernel when this calls back.
  void set_mode(std::uint32_t id, SandboxMode mode, std::function<void(Result<>)> done);
  /// Takes the gate off; when the interface is gone already, only cleans up after it.
  void detach(std::uint32_t id, bool interface_gone, std::function<void(Result<>)> done);

  const PolicySet& policies() const { return *set_; }
  std::uint32_t generation() const { return generation_; }
  /// The image that a sandbox is under; null: none, it is denied everything.
  std::shared_ptr<const PolicyImage> image_of(const Sandbox& sandbox) const;
  std::vector<const InstalledPolicy*> installed() const;

 private:
  using Installed = std::map<std::string, std::shared_ptr<InstalledPolicy>>;  // by policy key
  struct Transition;

  void start(const std::shared_ptr<Transition>& transition);
  void choose_keys(Transition& transition) const;
  Result<> claim_generation(Transition& transition);
  Result<> install_used(Transition& transition);
  void swap(const std::shared_ptr<Transition>& transition);
  void abandon(const std::shared_ptr<Transition>& transition, Error error);
  void keep_keys(const std::map<std::uint32_t, std::string>& keys);
  void swap_sandbox(Sandbox& sandbox, const InstalledPolicy& next, std::uint32_t generation);
  void start_attach(Sandbox sandbox, const OnAttached& done, const OperationQueue::Done& finished);
  void finish_attach(std::uint32_t id, const OnAttached& done);
  Result<> start_identify(std::uint32_t id, const Sandbox& like);
  Result<> write_mode(std::uint32_t id, SandboxMode mode);
  void feed(const Sandbox& sandbox, const InstalledPolicy* staged, std::uint32_t staged_generation);
  Result<std::shared_ptr<InstalledPolicy>> use(const std::string& key);
  void forget(const std::shared_ptr<InstalledPolicy>& policy);
  void forget_unused();

  EventLoop& loop_;
  Gate& gate_;
  DnsLink& dns_;
  SandboxTable& sandboxes_;
  PolicyInstaller installer_;
  OperationQueue queue_;
  Listener listener_;
  Selector selector_;
  std::shared_ptr<const PolicySet> set_ = std::make_shared<PolicySet>();
  Installed installed_;
  std::uint32_t generation_ = 0;  // in force
  std::uint32_t claimed_ = 0;     // the highest that a worker may have heard of
  bool inherited_ = true;  // images of a posternd before us may still be in force
};

}  // namespace postern
