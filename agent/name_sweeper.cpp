// SPDX-License-Identifier: Apache-2.0
#include "agent/name_sweeper.h"

#include <unordered_set>

#include "base/log.h"

namespace postern {

void NameSweeper::start() {
  timer_ = loop_.after_ms(kEveryMs, [this] {
    if (auto swept = sweep(SystemClock().now()); !swept) {
      spdlog::warn("removing unused names: {}", swept.error().message());
    }
    start();
  });
}

Result<std::size_t> NameSweeper::sweep(BootNs now) {
  // The candidates first: what refers to them is read afterwards, so that a name taken into use
  // meanwhile is seen.
  std::vector<std::uint32_t> old;
  POSTERN_RETURN_IF_ERROR(gate_.names().for_each([&](std::uint32_t id, const egress_name& name) -> Result<> {
    if (now - BootNs{name.created_boot_ns} > kAgeS * kNsPerS) {
      old.push_back(id);
    }
    return {};
  }));
  std::unordered_set<std::uint32_t> used;
  for (const Sandbox* sandbox : sandboxes_.all()) {
    if (const auto entry = gate_.sandboxes().lookup(sandbox->ifindex); entry && *entry) {
      if (auto swept = gate_.sweep_flows(**entry); !swept) {
        return std::move(swept).error();
      }
    }
    auto grants = gate_.grants_of(sandbox->slot);
    auto flows = gate_.flows_of(sandbox->slot);
    if (!grants || !flows) {
      return grants ? std::move(flows).error() : std::move(grants).error();
    }
    POSTERN_RETURN_IF_ERROR(grants->for_each([&](const egress_addr&, const egress_grant& grant) -> Result<> {
      for (const egress_grant_slot& slot : grant.slots) {
        used.insert(slot.name);
      }
      return {};
    }));
    POSTERN_RETURN_IF_ERROR(flows->for_each([&](const egress_flow_key&, const egress_flow& flow) -> Result<> {
      used.insert(flow.name);
      return {};
    }));
  }
  std::unordered_set<std::uint32_t> gone;
  for (const std::uint32_t id : old) {
    if (!used.contains(id)) {
      static_cast<void>(gate_.names().erase(id));
      gone.insert(id);
    }
  }
  std::vector<egress_name_ok_key> judged;
  POSTERN_RETURN_IF_ERROR(gate_.name_ok().for_each([&](const egress_name_ok_key& key, const egress_name_ok&) -> Result<> {
    if (gone.contains(key.name)) {
      judged.push_back(key);
    }
    return {};
  }));
  for (const egress_name_ok_key& key : judged) {
    static_cast<void>(gate_.name_ok().erase(key));
  }
  return gone.size();
}

}  // namespace postern
