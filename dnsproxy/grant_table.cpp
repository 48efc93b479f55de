// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/grant_table.h"

#include <algorithm>

namespace postern {
namespace {

std::uint64_t end_of(const egress_grant& grant) {
  std::uint64_t end_ns = 0;
  for (const egress_grant_slot& slot : grant.slots) {
    end_ns = std::max<std::uint64_t>(end_ns, slot.deadline_boot_ns);
  }
  return end_ns;
}

}  // namespace

egress_grant* GrantTable::find(const Address& address) {
  const auto found = held_.find(address);
  return found == held_.end() ? nullptr : &found->second.grant;
}

const egress_grant* GrantTable::find(const Address& address) const {
  const auto found = held_.find(address);
  return found == held_.end() ? nullptr : &found->second.grant;
}

egress_grant& GrantTable::add(const Address& address, const egress_grant& grant) {
  const std::uint64_t end_ns = end_of(grant);
  Held& held = held_.emplace(address, Held{grant, end_ns}).first->second;
  filed_.emplace(end_ns, address);
  return held.grant;
}

void GrantTable::file(const Address& address, Held& held, std::uint64_t at_ns) {
  auto node = filed_.extract({held.filed_ns, address});
  held.filed_ns = at_ns;
  node.value().first = at_ns;
  filed_.insert(std::move(node));
}

void GrantTable::refile(const Address& address) {
  Held& held = held_.at(address);
  const std::uint64_t end_ns = end_of(held.grant);
  // One that was new had no end yet; a merged slot may have given up the time of a removed rule.
  if (held.filed_ns == 0 || end_ns < held.filed_ns) {
    file(address, held, end_ns);
  }
}

void GrantTable::erase(const Address& address) {
  if (const auto found = held_.find(address); found != held_.end()) {
    filed_.erase({found->second.filed_ns, address});
    held_.erase(found);
  }
}

std::optional<Address> GrantTable::ended(BootNs before) {
  while (!filed_.empty() && filed_.begin()->first <= before.ns) {
    ++looks_;
    const Address address = filed_.begin()->second;
    Held& held = held_.at(address);
    const std::uint64_t end_ns = end_of(held.grant);
    if (end_ns <= before.ns) {
      return address;
    }
    file(address, held, end_ns);
  }
  return std::nullopt;
}

}  // namespace postern
