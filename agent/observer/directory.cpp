// SPDX-License-Identifier: Apache-2.0
#include "agent/observer/directory.h"

#include "agent/observer/hubble_words.h"
#include "api/observer_feed.pb.h"
#include "base/log.h"

namespace postern {
namespace {

/// Keeps the newest kGoneMax of those that are gone; one that came back is not removed.
template <typename Entries>
void forget_oldest(std::deque<std::uint32_t>& gone, Entries& entries) {
  while (gone.size() > Directory::kGoneMax) {
    const auto found = entries.find(gone.front());
    if (found != entries.end() && found->second.gone) {
      entries.erase(found);
    }
    gone.pop_front();
  }
}

template <typename Entries>
std::vector<std::uint32_t> living(const Entries& entries) {
  std::vector<std::uint32_t> ids;
  for (const auto& [id, entry] : entries) {
    if (!entry.gone) {
      ids.push_back(id);
    }
  }
  return ids;
}

}  // namespace

void Directory::begin() {
  for (const std::uint32_t id : living(sandboxes_)) {
    retire_sandbox(id);
  }
  for (const std::uint32_t id : living(policies_)) {
    retire_policy(id);
  }
}

void Directory::apply(const api::ObserverUpdate& update) {
  switch (update.change_case()) {
    case api::ObserverUpdate::kNode:
      node_ = printable(update.node().name());
      return;
    case api::ObserverUpdate::kPutSandbox:
      put(update.put_sandbox());
      return;
    case api::ObserverUpdate::kEraseSandbox:
      retire_sandbox(update.erase_sandbox());
      return;
    case api::ObserverUpdate::kPutPolicy:
      put(update.put_policy());
      return;
    case api::ObserverUpdate::kErasePolicy:
      retire_policy(update.erase_policy());
      return;
    case api::ObserverUpdate::CHANGE_NOT_SET:
      return;
  }
}

void Directory::put(const api::ObserverSandbox& sandbox) {
  forget_addresses(sandbox.id());
  SandboxInfo info;
  info.id = sandbox.id();
  info.interface = printable(sandbox.interface());
  info.ifindex = sandbox.ifindex();
  info.space = sandbox.namespace_().empty() ? std::string(kDefaultSpace) : printable(sandbox.namespace_());
  info.pod = sandbox.pod().empty() ? info.interface : printable(sandbox.pod());
  for (const std::string& label : sandbox.labels()) {
    info.labels.push_back(printable(label));
  }
  for (const std::string& bytes : sandbox.addresses()) {
    if (bytes.size() == 16) {
      const auto address = Address::from_v6(reinterpret_cast<const std::uint8_t*>(bytes.data()));
      info.addresses.push_back(address);
      by_address_[address] = info.id;
    }
  }
  sandboxes_[info.id] = std::move(info);
}

void Directory::put(const api::ObserverPolicy& policy) {
  PolicyInfo info;
  info.name = printable(policy.name());
  info.space = printable(policy.namespace_());
  for (const auto& rule : policy.rules()) {
    info.rules[rule.id()] = {printable(rule.text()), printable(rule.origin()), rule.deny()};
  }
  policies_[policy.id()] = std::move(info);
}

void Directory::forget_addresses(std::uint32_t id) {
  const auto found = sandboxes_.find(id);
  if (found == sandboxes_.end()) {
    return;
  }
  for (const Address& address : found->second.addresses) {
    if (const auto at = by_address_.find(address); at != by_address_.end() && at->second == id) {
      by_address_.erase(at);
    }
  }
}

void Directory::retire_sandbox(std::uint32_t id) {
  const auto found = sandboxes_.find(id);
  if (found == sandboxes_.end() || found->second.gone) {
    return;
  }
  forget_addresses(id);
  found->second.gone = true;
  gone_sandboxes_.push_back(id);
  forget_oldest(gone_sandboxes_, sandboxes_);
}

void Directory::retire_policy(std::uint32_t id) {
  const auto found = policies_.find(id);
  if (found == policies_.end() || found->second.gone) {
    return;
  }
  found->second.gone = true;
  gone_policies_.push_back(id);
  forget_oldest(gone_policies_, policies_);
}

const SandboxInfo* Directory::sandbox(std::uint32_t id) const {
  const auto found = sandboxes_.find(id);
  return found == sandboxes_.end() ? nullptr : &found->second;
}

const SandboxInfo* Directory::sandbox_at(const Address& address) const {
  const auto found = by_address_.find(address);
  return found == by_address_.end() ? nullptr : sandbox(found->second);
}

const PolicyInfo* Directory::policy(std::uint32_t id) const {
  const auto found = policies_.find(id);
  return found == policies_.end() ? nullptr : &found->second;
}

}  // namespace postern
