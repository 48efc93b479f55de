// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/grant_book.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

namespace postern {
namespace {

constexpr int kNameIdTries = 64;

std::span<egress_grant_slot> slots_of(egress_grant& grant) { return grant.slots; }
std::span<const egress_grant_slot> slots_of(const egress_grant& grant) { return grant.slots; }

bool is_live(const egress_grant_slot& slot, BootNs now) { return slot.deadline_boot_ns > now.ns; }

}  // namespace

void GrantBook::add_sandbox(std::uint32_t sandbox) {
  const auto known = sandboxes_.find(sandbox);
  if (known != sandboxes_.end() && !is_current(sandbox, known->second)) {
    remove_sandbox(sandbox);
  }
  if (sandboxes_.try_emplace(sandbox).second) {
    adoptions_.push_back({sandbox, std::nullopt});
  }
}

/// Nobody else writes or erases our grants: one that is missing means that the map is another one, of a
/// gate that was loaded anew and counts its sandboxes from the start.
bool GrantBook::is_current(std::uint32_t sandbox, const GrantTable& grants) {
  if (grants.empty()) {
    return true;
  }
  const auto& [address, held] = *grants.all().begin();
  const auto stored = store_.read_grant(sandbox, address);
  return stored && *stored && std::memcmp(&**stored, &held.grant, sizeof(egress_grant)) == 0;
}

void GrantBook::remove_sandbox(std::uint32_t sandbox) {
  const auto found = sandboxes_.find(sandbox);
  if (found == sandboxes_.end()) {
    return;
  }
  for (const auto& [address, held] : found->second.all()) {
    release_names(held.grant);
  }
  sandboxes_.erase(found);
  std::erase_if(adoptions_, [&](const Adoption& adoption) { return adoption.sandbox == sandbox; });
}

Result<egress_grant*> GrantBook::grant_of(std::uint32_t sandbox,
                                          GrantTable& grants,
                                          const Address& address,
                                          BootNs now) {
  if (egress_grant* known = grants.find(address)) {
    return known;
  }
  // A predecessor may have written it: its slots must not be lost.
  auto stored = store_.read_grant(sandbox, address);
  if (!stored) {
    return std::move(stored).error();
  }
  if (!*stored && grants.size() >= EGRESS_GRANTS_MAX && !erase_ended(sandbox, grants, now)) {
    return Error(Errc::kFull, "too many granted addresses");
  }
  return &grants.add(address, stored->value_or(egress_grant{}));
}

Result<std::uint32_t> GrantBook::acquire_name(Wire wire, BootNs now) {
  std::string key(reinterpret_cast<const char*>(wire.data()), wire.size());
  if (const auto known = names_.find(key); known != names_.end()) {
    ++known->second.slots;
    return known->second.id;
  }
  egress_name record{};
  record.created_boot_ns = now.ns;
  record.length = static_cast<std::uint8_t>(wire.size());
  std::ranges::copy(wire, record.wire);
  for (int i = 0; i < kNameIdTries; ++i) {
    next_name_ = (next_name_ + 1) & kNameIdMask;
    const std::uint32_t id = static_cast<std::uint32_t>(worker_) << 24 | next_name_;
    if (next_name_ == 0) {
      continue;  // id 0 means "the rule"
    }
    const auto added = store_.add_name(id, record);
    if (added) {
      name_texts_.emplace(id, key);
      names_.emplace(std::move(key), Name{id, 1});
      return id;
    }
    if (added.error().code() != Errc::kExists) {
      return added.error();
    }
  }
  return Error(Errc::kFull, "no free name id");
}

void GrantBook::release_name(std::uint32_t id) {
  const auto text = name_texts_.find(id);
  if (text == name_texts_.end()) {
    return;  // 0, or a predecessor's
  }
  const auto name = names_.find(text->second);
  if (--name->second.slots == 0) {
    names_.erase(name);
    name_texts_.erase(text);  // posternd removes the record once no flow needs it either
  }
}

void GrantBook::release_names(const egress_grant& grant) {
  for (const egress_grant_slot& slot : slots_of(grant)) {
    release_name(slot.name);
  }
}

/// A slot that covers the claim together with others. The caller sets deadline and generation.
egress_grant_slot* GrantBook::merged_slot(egress_grant& grant, const GrantClaim& claim) {
  const auto slots = slots_of(grant);
  auto found = std::ranges::find_if(
      slots, [&](const egress_grant_slot& slot) { return slot.rule == claim.rule && slot.port_set == claim.port_set; });
  std::uint32_t owner = claim.rule;
  if (found == slots.end()) {
    found = std::ranges::find_if(slots, [&](const egress_grant_slot& slot) { return slot.port_set == claim.port_set; });
    owner = claim.group;
  }
  if (found == slots.end()) {
    return nullptr;
  }
  if (found->name != 0 || found->rule != owner) {
    ++stats_.merged;
    release_name(found->name);
    if (found->rule != claim.rule && found->generation < claim.generation) {
      // Its owner may be a rule that the new image no longer has: it must not ride on the group's time.
      found->deadline_boot_ns = 0;
    }
    found->name = 0;
    found->rule = owner;
  }
  return &*found;
}

Result<egress_grant_slot*> GrantBook::slot_for(egress_grant& grant, const GrantClaim& claim, BootNs now) {
  const auto slots = slots_of(grant);
  const std::string key(reinterpret_cast<const char*>(claim.name.data()), claim.name.size());
  if (const auto known = names_.find(key); known != names_.end()) {
    const auto own = std::ranges::find_if(
        slots, [&](const egress_grant_slot& slot) { return slot.name == known->second.id && slot.rule == claim.rule; });
    if (own != slots.end()) {
      return &*own;
    }
  }
  const auto free = std::ranges::find_if(slots, [&](const egress_grant_slot& slot) { return !is_live(slot, now); });
  if (free != slots.end()) {
    auto name = acquire_name(claim.name, now);
    if (!name) {
      return std::move(name).error();
    }
    release_name(free->name);
    *free = {};
    free->name = *name;
    free->rule = claim.rule;
    return &*free;
  }
  egress_grant_slot* merged = merged_slot(grant, claim);
  if (merged == nullptr) {
    return Error(Errc::kFull, "too many names with different ports share one address");
  }
  return merged;
}

Result<> GrantBook::allow(std::uint32_t sandbox, const Address& address, const GrantClaim& claim, BootNs now) {
  const auto found = sandboxes_.find(sandbox);
  if (found == sandboxes_.end()) {
    return Error(Errc::kNotFound, "no such sandbox");
  }
  auto grant = grant_of(sandbox, found->second, address, now);
  if (!grant) {
    ++stats_.refused;
    return std::move(grant).error();
  }
  const egress_grant before = **grant;
  auto slot = slot_for(**grant, claim, now);
  if (!slot) {
    ++stats_.refused;
    if (std::ranges::all_of(slots_of(**grant), [](const auto& each) { return each.deadline_boot_ns == 0; })) {
      found->second.erase(address);  // made for this claim
    }
    return std::move(slot).error();
  }
  egress_grant_slot& own = **slot;
  own.deadline_boot_ns = std::max<std::uint64_t>(own.deadline_boot_ns, claim.deadline.ns);
  own.generation = claim.generation;
  own.port_set = claim.port_set;
  if (std::memcmp(&before, *grant, sizeof(before)) == 0) {
    return {};  // the kernel has it already
  }
  found->second.refile(address);
  auto written = store_.write_grant(sandbox, address, **grant);
  if (!written) {
    ++stats_.refused;
    // What the mirror now says is not in the kernel: forget it, and read it back next time.
    release_names(**grant);
    found->second.erase(address);
  }
  return written;
}

std::vector<std::string> GrantBook::names_of(std::uint32_t sandbox, const Address& address, BootNs now) const {
  std::vector<std::string> names;
  const auto found = sandboxes_.find(sandbox);
  if (found == sandboxes_.end()) {
    return names;
  }
  const egress_grant* grant = std::as_const(found->second).find(address);
  if (grant == nullptr) {
    return names;
  }
  for (const egress_grant_slot& slot : slots_of(*grant)) {
    if (const auto text = name_texts_.find(slot.name); is_live(slot, now) && text != name_texts_.end()) {
      names.push_back(text->second);
    }
  }
  return names;
}

bool GrantBook::adopt_some() {
  if (adoptions_.empty()) {
    return false;
  }
  Adoption& adoption = adoptions_.back();
  GrantTable& grants = sandboxes_[adoption.sandbox];
  for (int i = 0; i < kAdoptStep; ++i) {
    const auto next = store_.next_grant(adoption.sandbox, adoption.after);
    if (!next || !*next) {
      adoptions_.pop_back();
      return !adoptions_.empty();
    }
    adoption.after = **next;
    if (grants.find(**next) == nullptr) {
      if (const auto stored = store_.read_grant(adoption.sandbox, **next); stored && *stored) {
        grants.add(**next, **stored);
      }
    }
  }
  return true;
}

bool GrantBook::erase_ended(std::uint32_t sandbox, GrantTable& grants, BootNs before) {
  const std::uint64_t looks_before = grants.looks();
  const auto address = grants.ended(before);
  stats_.looks += grants.looks() - looks_before;
  // A grant that cannot be erased stays in the book, to be tried again.
  if (!address || !store_.erase_grant(sandbox, *address)) {
    return false;
  }
  release_names(*grants.find(*address));
  grants.erase(*address);
  return true;
}

void GrantBook::purge(BootNs now) {
  const std::uint64_t kept_ns = kExpiredKeptS * kNsPerS;
  const BootNs before{now.ns > kept_ns ? now.ns - kept_ns : 0};
  auto next = sandboxes_.upper_bound(purged_);
  if (next == sandboxes_.end()) {
    next = sandboxes_.begin();
  }
  if (next != sandboxes_.end()) {
    purged_ = next->first;
    for (int i = 0; i < kPurgeStep && erase_ended(next->first, next->second, before); ++i) {
    }
  }
}

}  // namespace postern
