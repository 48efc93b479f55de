// SPDX-License-Identifier: Apache-2.0
#include "agent/sandbox/sandbox_table.h"

#include <net/if.h>

#include <algorithm>
#include <set>

#include "base/link_local.h"
#include "base/log.h"
#include "base/text_files.h"

namespace postern {
namespace {

constexpr std::size_t kFileMax = 4u << 20;

bool interface_lives(const Sandbox& sandbox) { return ::if_nametoindex(sandbox.interface.c_str()) == sandbox.ifindex; }

}  // namespace

Result<std::vector<std::string>> SandboxTable::adopt() {
  std::vector<std::string> problems;
  std::vector<Sandbox> known;
  if (auto text = read_text_file(file_, kFileMax)) {
    auto read = sandboxes_from_json(*text);
    if (read) {
      known = std::move(*read);
    } else {
      problems.push_back(file_ + " is damaged (" + printable(read.error().message()) + "): attach its sandboxes again");
    }
  } else if (text.error().code() != Errc::kNotFound) {
    return std::move(text).error();
  }
  std::vector<std::pair<std::uint32_t, egress_sandbox>> in_kernel;
  POSTERN_RETURN_IF_ERROR(
      gate_.sandboxes().for_each([&](std::uint32_t ifindex, const egress_sandbox& entry) -> Result<> {
        in_kernel.emplace_back(ifindex, entry);
        return {};
      }));
  for (const auto& [ifindex, entry] : in_kernel) {
    const auto record = std::ranges::find(known, entry.id, &Sandbox::id);
    Sandbox sandbox;
    if (record != known.end()) {
      sandbox = *record;
    } else {
      char name[IF_NAMESIZE] = {};
      sandbox.interface = ::if_indextoname(ifindex, name) != nullptr ? name : "";
      for (std::uint8_t i = 0; i < entry.addr_count; ++i) {
        sandbox.addresses.push_back(from_kernel(entry.addrs[i]));
      }
      std::ranges::copy(entry.mac, sandbox.mac.begin());
      problems.push_back("sandbox " + std::to_string(entry.id) + " behind " + sandbox.interface +
                         " has no policy on record and is denied everything: detach it and attach it again");
    }
    sandbox.id = entry.id;
    sandbox.slot = entry.slot;
    sandbox.ifindex = ifindex;
    sandbox.policy_id = entry.policy;
    sandbox.generation = entry.min_generation;
    if (entry.mode == EGRESS_MODE_LOCKDOWN) {  // also when the record was lost, or is of before
      sandbox.mode = SandboxMode::kLockdown;
    }
    std::ranges::copy(entry.host_mac, sandbox.host_mac.begin());
    for (std::uint8_t i = 0; i < entry.link_prefix_count; ++i) {
      sandbox.link_prefixes.push_back(
          {from_kernel(entry.link_prefixes[i].addr), static_cast<std::uint8_t>(entry.link_prefixes[i].bits)});
    }
    if (!interface_lives(sandbox)) {
      erase_kernel(sandbox);
      continue;
    }
    sandboxes_.emplace(sandbox.id, std::move(sandbox));
  }
  return problems;
}

std::uint32_t SandboxTable::free_slot() const {
  std::set<std::uint32_t> used;
  for (const auto& [id, sandbox] : sandboxes_) {
    used.insert(sandbox.slot);
  }
  std::uint32_t slot = 0;
  while (used.contains(slot)) {
    ++slot;
  }
  return slot;
}

Result<> SandboxTable::claim_addresses(const Sandbox& sandbox) {
  for (const Address& address : sandbox.addresses) {
    auto claimed = gate_.sandbox_addrs().insert(to_kernel(address), sandbox.ifindex);
    if (!claimed && claimed.error().code() == Errc::kExists) {
      const auto owner = gate_.sandbox_addrs().lookup(to_kernel(address));
      if (owner && *owner && **owner == sandbox.ifindex) {
        continue;
      }
    }
    // Link-local addresses are unique on their link only; DNS asked from one that two sandboxes have goes to the first.
    if (!claimed && !(claimed.error().code() == Errc::kExists && is_link_local(address))) {
      const bool taken = claimed.error().code() == Errc::kExists;
      return std::move(claimed).error().within(
          taken ? address.to_string() +
                      " belongs to another sandbox of this node: two with one address cannot be told apart"
                : "claiming " + address.to_string());
    }
  }
  return {};
}

Result<Sandbox*> SandboxTable::add(Sandbox sandbox) {
  if (sandboxes_.size() >= EGRESS_SANDBOXES_MAX) {
    return Error(Errc::kFull,
                 "this node has " + std::to_string(EGRESS_SANDBOXES_MAX) + " sandboxes already, the most it can hold");
  }
  auto id = gate_.next_sandbox_id();
  if (!id) {
    return std::move(id).error();
  }
  sandbox.id = *id;
  sandbox.slot = free_slot();
  Result<> made = claim_addresses(sandbox);
  if (made) {
    made = gate_.make_flows(sandbox.slot);
  }
  if (made) {
    made = gate_.make_grants(sandbox.slot);
  }
  if (!made) {
    erase_kernel(sandbox);
    return std::move(made).error();
  }
  return &sandboxes_.emplace(sandbox.id, std::move(sandbox)).first->second;
}

Result<> SandboxTable::write(const Sandbox& sandbox, const PolicyImage* image) {
  return gate_.sandboxes().update(sandbox.ifindex, to_kernel(sandbox, image));
}

Result<> SandboxTable::readdress(Sandbox& sandbox, std::vector<Address> addresses) {
  Sandbox next = sandbox;
  next.addresses = std::move(addresses);
  if (auto claimed = claim_addresses(next); !claimed) {
    free_addresses(next, sandbox.addresses);
    return claimed;
  }
  free_addresses(sandbox, next.addresses);
  sandbox.addresses = std::move(next.addresses);
  return {};
}

void SandboxTable::free_addresses(const Sandbox& sandbox, const std::vector<Address>& keep) {
  for (const Address& address : sandbox.addresses) {
    const auto owner = gate_.sandbox_addrs().lookup(to_kernel(address));
    if (owner && *owner && **owner == sandbox.ifindex && std::ranges::find(keep, address) == keep.end()) {
      static_cast<void>(gate_.sandbox_addrs().erase(to_kernel(address)));
    }
  }
}

void SandboxTable::erase_kernel(const Sandbox& sandbox) {
  static_cast<void>(gate_.sandboxes().erase(sandbox.ifindex));
  free_addresses(sandbox, {});
  static_cast<void>(gate_.drop_flows(sandbox.slot));
  static_cast<void>(gate_.drop_grants(sandbox.slot));
}

void SandboxTable::remove(std::uint32_t id) {
  if (const auto found = sandboxes_.find(id); found != sandboxes_.end()) {
    erase_kernel(found->second);
    sandboxes_.erase(found);
  }
}

Sandbox* SandboxTable::find(const std::string& name) {
  for (auto& [id, sandbox] : sandboxes_) {
    const bool pod = !sandbox.pod.uid.empty() && sandbox.pod.space + "/" + sandbox.pod.name == name;
    if (sandbox.interface == name || std::to_string(id) == name || pod) {
      return &sandbox;
    }
  }
  return nullptr;
}

Sandbox* SandboxTable::find_ifindex(std::uint32_t ifindex) {
  for (auto& [id, sandbox] : sandboxes_) {
    if (sandbox.ifindex == ifindex) {
      return &sandbox;
    }
  }
  return nullptr;
}

Sandbox* SandboxTable::find_id(std::uint32_t id) {
  const auto found = sandboxes_.find(id);
  return found == sandboxes_.end() ? nullptr : &found->second;
}

std::vector<Sandbox*> SandboxTable::all() {
  std::vector<Sandbox*> list;
  for (auto& [id, sandbox] : sandboxes_) {
    list.push_back(&sandbox);
  }
  return list;
}

Result<> SandboxTable::save() const {
  std::vector<const Sandbox*> list;
  for (const auto& [id, sandbox] : sandboxes_) {
    list.push_back(&sandbox);
  }
  return replace_text_file(file_, to_json(list) + "\n");
}

}  // namespace postern
