// SPDX-License-Identifier: Apache-2.0
#include "agent/policy_control.h"

#include <algorithm>

#include "agent/feed_writer.h"
#include "base/log.h"

namespace postern {

struct PolicyControl::Transition {
  std::shared_ptr<const PolicySet> set;
  std::map<std::uint32_t, std::string> assigned;        // sandboxes whose key is given, not chosen
  std::map<std::uint32_t, std::string> keys;            // the policy key of every sandbox
  Installed next;                                       // images of every key in use
  std::map<std::string, std::shared_ptr<const PolicyImage>> cut_off;  // of keys whose own image has no room
  std::vector<std::shared_ptr<InstalledPolicy>> fresh;  // of these, what was installed for this change
  std::vector<std::uint32_t> moving;                    // sandboxes whose image changes
  std::uint32_t generation = 0;
  bool changed = false;
  OnChange done;
  OperationQueue::Done finished;

  const std::shared_ptr<InstalledPolicy>& next_of(std::uint32_t id) const { return next.at(keys.at(id)); }
  Result<std::shared_ptr<const PolicyImage>> image_for(const std::string& key) const;
};

namespace {

/// An image that allows nothing, for a sandbox whose policy is gone, or that none selects.
std::shared_ptr<const PolicyImage> deny_all(const std::string& key) {
  Policy nothing;
  nothing.name = key;
  nothing.inbound = InboundRules();
  Diagnostics none;
  return compile(nothing, Inventory(), none);
}

/// A policy that is gone denies everything. Policies that do not go together are an error, or deny everything too.
Result<std::shared_ptr<const PolicyImage>> image_for(const PolicySet& set, const std::string& key) {
  if (!set.has(key)) {
    return deny_all(key);
  }
  auto image = set.image_of(key);
  if (!image && set.clashes_alone) {
    spdlog::error("pods under {} are denied everything: {}", key, image.error().message());
    return deny_all(key);
  }
  return image;
}

bool same_policies(const PolicySet& a, const PolicySet& b) {
  return std::ranges::equal(a.policies, b.policies, [](const auto& left, const auto& right) {
    return left.first == right.first && left.second.image->fingerprint == right.second.image->fingerprint;
  });
}

}  // namespace

Result<std::shared_ptr<const PolicyImage>> PolicyControl::Transition::image_for(const std::string& key) const {
  const auto cut = cut_off.find(key);
  return cut == cut_off.end() ? postern::image_for(*set, key) : cut->second;
}

PolicyControl::PolicyControl(EventLoop& loop, Gate& gate, DnsLink& dns, SandboxTable& sandboxes)
    : loop_(loop), gate_(gate), dns_(dns), sandboxes_(sandboxes), installer_(gate, dns) {
  // Generations go on where a posternd before us stopped: its grants and flows are older than ours.
  if (const auto last = gate.generation()) {
    generation_ = *last;
    claimed_ = *last;
  }
}

std::shared_ptr<const PolicyImage> PolicyControl::image_of(const Sandbox& sandbox) const {
  const auto found = installed_.find(sandbox.policy);
  return found == installed_.end() || found->second->id != sandbox.policy_id ? nullptr : found->second->image;
}

std::vector<const InstalledPolicy*> PolicyControl::installed() const {
  std::vector<const InstalledPolicy*> list;
  for (const auto& [name, policy] : installed_) {
    list.push_back(policy.get());
  }
  return list;
}

void PolicyControl::feed(const Sandbox& sandbox, const InstalledPolicy* staged, std::uint32_t staged_generation) {
  auto grants = gate_.open_grants(sandbox.slot);
  if (!grants) {
    spdlog::error("sandbox {}: its grants map: {}", sandbox.id, grants.error().message());
    return;
  }
  // A policy that this posternd did not install means nothing to the workers.
  const bool known = image_of(sandbox) != nullptr;
  const SandboxPolicies policies{.policy = known ? sandbox.policy_id : 0,
                                 .generation = sandbox.generation,
                                 .staged_policy = staged != nullptr ? staged->id : 0,
                                 .staged_generation = staged_generation};
  dns_.put(FeedKind::kSandbox, sandbox.id, sandbox_feed(sandbox, policies), {grants->get()});
}

// ---- a change of policies ----

void PolicyControl::apply(PolicySet set, OnChange done) {
  queue_.run([this, set = std::make_shared<const PolicySet>(std::move(set)),
              done = std::move(done)](OperationQueue::Done finished) {
    auto transition = std::make_shared<Transition>();
    transition->set = set;
    transition->done = done;
    transition->finished = std::move(finished);
    start(transition);
  });
}

void PolicyControl::assign(std::uint32_t id, std::string policy_key, OnChange done) {
  queue_.run([this, id, key = std::move(policy_key), done = std::move(done)](OperationQueue::Done finished) {
    auto transition = std::make_shared<Transition>();
    transition->set = set_;
    transition->assigned[id] = key;
    transition->done = done;
    transition->finished = std::move(finished);
    start(transition);
  });
}

void PolicyControl::choose_keys(Transition& transition) const {
  for (const Sandbox* sandbox : sandboxes_.all()) {
    const auto given = transition.assigned.find(sandbox->id);
    transition.keys[sandbox->id] = given != transition.assigned.end()   ? given->second
                                   : sandbox->pod && selector_ != nullptr ? selector_(*transition.set, *sandbox)
                                                                          : sandbox->policy;
  }
}

void PolicyControl::start(const std::shared_ptr<Transition>& transition) {
  choose_keys(*transition);
  if (auto installed = install_used(*transition); !installed) {
    abandon(transition, std::move(installed).error());
    return;
  }
  transition->changed = inherited_ || !transition->moving.empty() || !same_policies(*set_, *transition->set);
  if (auto claimed = claim_generation(*transition); !claimed) {
    abandon(transition, std::move(claimed).error());
    return;
  }
  for (const std::uint32_t id : transition->moving) {
    feed(*sandboxes_.find_id(id), transition->next_of(id).get(), transition->generation);
  }
  if (transition->moving.empty()) {
    swap(transition);
    return;
  }
  dns_.sync([this, transition](Result<> synced) {
    if (synced) {
      swap(transition);
    } else {
      abandon(transition, std::move(synced).error());
    }
  });
}

/// Workers stamp grants with the number from the moment they hear it. So it is ours in the kernel
/// before that, and a change that fails, or that ends with this process, uses it up: given to the
/// next change too, it would pass the failed one's grants for that one's.
Result<> PolicyControl::claim_generation(Transition& transition) {
  if (transition.changed) {
    POSTERN_RETURN_IF_ERROR(gate_.set_generation(claimed_ + 1));
    ++claimed_;
  }
  transition.generation = claimed_;
  return {};
}

Result<> PolicyControl::install_used(Transition& transition) {
  for (const auto& [id, key] : transition.keys) {
    if (!transition.next.contains(key)) {
      auto image = transition.image_for(key);
      if (!image) {
        return std::move(image).error();
      }
      const auto now = installed_.find(key);
      if (now != installed_.end() && now->second->image->fingerprint == (*image)->fingerprint) {
        transition.next[key] = now->second;
      } else {
        auto installed = installer_.install(*image);
        if (!installed && transition.set->clashes_alone) {
          spdlog::error("pods under {} are denied everything: {}", key, installed.error().message());
          transition.cut_off[key] = deny_all(key);
          installed = installer_.install(transition.cut_off[key]);
        }
        if (!installed) {
          return std::move(installed).error();
        }
        transition.next[key] = *installed;
        transition.fresh.push_back(*installed);
      }
    }
    if (sandboxes_.find_id(id)->policy_id != transition.next.at(key)->id) {
      transition.moving.push_back(id);
    }
  }
  return {};
}

void PolicyControl::abandon(const std::shared_ptr<Transition>& transition, Error error) {
  for (const std::uint32_t id : transition->moving) {
    if (const Sandbox* sandbox = sandboxes_.find_id(id)) {
      feed(*sandbox, nullptr, 0);
    }
  }
  for (const auto& policy : transition->fresh) {
    installer_.remove(*policy);
  }
  transition->done(std::move(error).within("the policies in force stay"));
  transition->finished();
}

void PolicyControl::swap(const std::shared_ptr<Transition>& transition) {
  for (const auto& policy : transition->fresh) {
    auto judged = installer_.judge_names(*policy);
    if (!judged && transition->set->clashes_alone) {
      // A name that was not judged is not allowed: that is this policy's loss, and nobody else's.
      spdlog::error("addresses that pods under {} had are closed until they are looked up again: {}", policy->image->name,
                    judged.error().message());
    } else if (!judged) {
      abandon(transition, std::move(judged).error());
      return;
    }
  }
  if (transition->changed) {
    generation_ = transition->generation;
  }
  for (const std::uint32_t id : transition->moving) {
    if (Sandbox* sandbox = sandboxes_.find_id(id)) {
      swap_sandbox(*sandbox, *transition->next_of(id), generation_);
    }
  }
  keep_keys(transition->keys);
  Installed old = std::exchange(installed_, std::move(transition->next));
  for (auto& [key, policy] : installed_) {
    policy->image = *transition->image_for(key);  // lines may have moved where nothing else did
    listener_.on_policy(*policy);
  }
  for (const std::uint32_t id : transition->moving) {
    if (const Sandbox* sandbox = sandboxes_.find_id(id)) {
      feed(*sandbox, nullptr, 0);
      listener_.on_sandbox(*sandbox);
    }
  }
  for (const auto& [name, policy] : old) {
    const auto now = installed_.find(name);
    if (now == installed_.end() || now->second != policy) {
      forget(policy);
    }
  }
  if (std::exchange(inherited_, false)) {
    std::set<std::uint32_t> ours;
    for (const auto& [name, policy] : installed_) {
      ours.insert(policy->id);
    }
    installer_.forget_inherited(ours);
  }
  set_ = transition->set;
  transition->done(Change{generation_, set_->policies.size(), transition->changed, set_->warnings});
  transition->finished();
}

void PolicyControl::keep_keys(const std::map<std::uint32_t, std::string>& keys) {
  bool changed = false;
  for (const auto& [id, key] : keys) {
    if (Sandbox* sandbox = sandboxes_.find_id(id); sandbox != nullptr && sandbox->policy != key) {
      sandbox->policy = key;
      changed = true;
    }
  }
  if (!changed) {
    return;
  }
  if (auto saved = sandboxes_.save(); !saved) {
    spdlog::error("the list of sandboxes: {}", saved.error().message());
  }
}

void PolicyControl::swap_sandbox(Sandbox& sandbox, const InstalledPolicy& next, std::uint32_t generation) {
  sandbox.policy_id = next.id;
  sandbox.generation = generation;
  if (auto written = sandboxes_.write(sandbox, next.image.get()); !written) {
    // Without an entry the interface drops everything, which is stricter than the policy it would keep.
    spdlog::error("sandbox {} cannot be moved to its new policy and is cut off: {}", sandbox.id, written.error().message());
    static_cast<void>(gate_.sandboxes().erase(sandbox.ifindex));
  }
}

void PolicyControl::forget(const std::shared_ptr<InstalledPolicy>& policy) {
  listener_.on_policy_gone(policy->id);
  dns_.erase(FeedKind::kPolicy, policy->id);
  // Not at once: a packet that is being judged at this moment may still look something up in it.
  loop_.after_ms(kForgetMs, [this, policy] { installer_.remove(*policy); });
}

void PolicyControl::forget_unused() {
  std::erase_if(installed_, [this](const auto& entry) {
    const auto& policy = entry.second;
    const auto uses = [&](const Sandbox* sandbox) { return sandbox->policy_id == policy->id; };
    if (std::ranges::any_of(sandboxes_.all(), uses)) {
      return false;
    }
    forget(policy);
    return true;
  });
}

// ---- sandboxes ----

void PolicyControl::attach(Sandbox sandbox, OnAttached done) {
  queue_.run([this, sandbox = std::move(sandbox), done = std::move(done)](OperationQueue::Done finished) mutable {
    start_attach(std::move(sandbox), done, finished);
  });
}

Result<std::shared_ptr<InstalledPolicy>> PolicyControl::use(const std::string& key) {
  if (const auto found = installed_.find(key); found != installed_.end()) {
    return found->second;
  }
  auto image = image_for(*set_, key);
  if (!image) {
    return std::move(image).error();
  }
  auto installed = installer_.install(*image);
  if (installed) {
    installed_[key] = *installed;
    listener_.on_policy(**installed);
  }
  return installed;
}

void PolicyControl::start_attach(Sandbox sandbox, const OnAttached& done, const OperationQueue::Done& finished) {
  const auto fail = [&](Error error) {
    done(std::move(error));
    finished();
  };
  if (const Sandbox* other = sandboxes_.find_ifindex(sandbox.ifindex)) {
    return fail({Errc::kExists, sandbox.interface + " is sandbox " + std::to_string(other->id) + " already, under policy " +
                                    other->policy + ": detach it first to attach it otherwise"});
  }
  auto policy = use(sandbox.policy);
  if (!policy) {
    return fail(std::move(policy).error());
  }
  sandbox.policy_id = (*policy)->id;
  sandbox.generation = generation_;
  auto added = sandboxes_.add(std::move(sandbox));
  if (!added) {
    forget_unused();
    return fail(std::move(added).error());
  }
  const std::uint32_t id = (*added)->id;
  feed(**added, nullptr, 0);
  // The workers first: from the moment the gate is on, its lookups are answered.
  dns_.sync([this, id, done, finished](const Result<>& synced) {
    if (!synced) {
      spdlog::warn("sandbox {}: {}", id, synced.error().message());
    }
    finish_attach(id, done);
    finished();
  });
}

void PolicyControl::finish_attach(std::uint32_t id, const OnAttached& done) {
  Sandbox* sandbox = sandboxes_.find_id(id);
  Result<> attached = sandboxes_.write(*sandbox, image_of(*sandbox).get());
  if (attached) {
    attached = gate_.attach_sandbox(sandbox->ifindex);
  }
  if (attached) {
    attached = sandboxes_.save();
  }
  if (!attached) {
    static_cast<void>(gate_.detach_sandbox(sandbox->ifindex));
    sandboxes_.remove(id);
    dns_.erase(FeedKind::kSandbox, id);
    forget_unused();
    done(std::move(attached).error());
    return;
  }
  listener_.on_sandbox(*sandbox);
  done(sandbox);
}

void PolicyControl::identify(std::uint32_t id, Sandbox like, std::function<void(Result<>)> done) {
  queue_.run([this, id, like = std::move(like), done = std::move(done)](const OperationQueue::Done& finished) {
    done(start_identify(id, like));
    finished();
  });
}

Result<> PolicyControl::start_identify(std::uint32_t id, const Sandbox& like) {
  Sandbox* sandbox = sandboxes_.find_id(id);
  if (sandbox == nullptr) {
    return Error(Errc::kNotFound, "sandbox " + std::to_string(id) + " is gone");
  }
  POSTERN_RETURN_IF_ERROR(sandboxes_.readdress(*sandbox, like.addresses));
  sandbox->pod = like.pod;
  sandbox->held = like.held;
  sandbox->mac = like.mac;
  sandbox->host_mac = like.host_mac;
  sandbox->link_prefixes = like.link_prefixes;
  sandbox->search = like.search;
  POSTERN_RETURN_IF_ERROR(sandboxes_.write(*sandbox, image_of(*sandbox).get()));
  feed(*sandbox, nullptr, 0);
  listener_.on_sandbox(*sandbox);
  return sandboxes_.save();
}

void PolicyControl::set_mode(std::uint32_t id, SandboxMode mode, std::function<void(Result<>)> done) {
  queue_.run([this, id, mode, done = std::move(done)](const OperationQueue::Done& finished) {
    done(write_mode(id, mode));
    finished();
  });
}

Result<> PolicyControl::write_mode(std::uint32_t id, SandboxMode mode) {
  Sandbox* sandbox = sandboxes_.find_id(id);
  if (sandbox == nullptr) {
    return Error(Errc::kNotFound, "sandbox " + std::to_string(id) + " is gone");
  }
  const SandboxMode before = std::exchange(sandbox->mode, mode);
  if (auto written = sandboxes_.write(*sandbox, image_of(*sandbox).get()); !written) {
    sandbox->mode = before;
    return written;
  }
  listener_.on_sandbox(*sandbox);
  return sandboxes_.save();
}

void PolicyControl::detach(std::uint32_t id, bool interface_gone, std::function<void(Result<>)> done) {
  queue_.run([this, id, interface_gone, done = std::move(done)](const OperationQueue::Done& finished) {
    Result<> detached;
    if (const Sandbox* sandbox = sandboxes_.find_id(id)) {
      detached = gate_.detach_sandbox(sandbox->ifindex);
      if (detached || interface_gone) {
        detached = {};
        sandboxes_.remove(id);
        dns_.erase(FeedKind::kSandbox, id);
        listener_.on_sandbox_gone(id);
        forget_unused();
        detached = sandboxes_.save();
      }
    }
    done(std::move(detached));
    finished();
  });
}

}  // namespace postern
