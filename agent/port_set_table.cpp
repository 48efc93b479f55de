// SPDX-License-Identifier: Apache-2.0
#include "agent/port_set_table.h"

namespace postern {

PortSetTable::PortSetTable(const Map<std::uint32_t, egress_port_set>& map) : map_(map) {
  // Numbers of a posternd before us are still in force until its policies are replaced: leave them
  // be, and begin behind the highest.
  for (std::uint32_t id = EGRESS_PORT_SETS_MAX - 1; id > EGRESS_PORTS_ALL; --id) {
    const auto set = map_.lookup(id);
    if (set && *set && (*set)->count != 0) {
      next_ = id + 1;
      break;
    }
  }
  for (std::uint32_t id = EGRESS_PORTS_ALL + 1; id < next_; ++id) {
    inherited_.push_back(id);
  }
}

void PortSetTable::forget_inherited() {
  for (const std::uint32_t id : inherited_) {
    free_.push_back(id);
  }
  inherited_.clear();
}

Result<std::uint32_t> PortSetTable::acquire(const PortSet& ports) {
  if (ports.empty()) {
    return std::uint32_t{EGRESS_PORTS_NONE};
  }
  if (ports.is_all()) {
    return std::uint32_t{EGRESS_PORTS_ALL};
  }
  if (const auto found = entries_.find(ports); found != entries_.end()) {
    ++found->second.uses;
    return found->second.id;
  }
  if (ports.ranges().size() > EGRESS_PORT_RANGES_MAX) {
    return Error(Errc::kFull, "rules for one name open more than " + std::to_string(EGRESS_PORT_RANGES_MAX) +
                                  " port ranges together: join neighbouring ranges");
  }
  if (free_.empty() && next_ >= EGRESS_PORT_SETS_MAX) {
    return Error(Errc::kFull, "the policies of this node use more than " + std::to_string(EGRESS_PORT_SETS_MAX) +
                                  " different port sets: let rules share port lists");
  }
  egress_port_set set{};
  for (const PortRange& range : ports.ranges()) {
    set.ranges[set.count++] = {range.first, range.last, range.protocol, 0};
  }
  const std::uint32_t id = free_.empty() ? next_ : free_.back();
  POSTERN_RETURN_IF_ERROR(map_.update(id, set));
  free_.empty() ? static_cast<void>(++next_) : free_.pop_back();
  entries_[ports] = {id, 1};
  sets_[id] = ports;
  return id;
}

void PortSetTable::release(std::uint32_t id) {
  const auto found = sets_.find(id);
  if (found == sets_.end()) {
    return;  // none or all
  }
  const auto entry = entries_.find(found->second);
  if (--entry->second.uses == 0) {
    static_cast<void>(map_.update(id, egress_port_set{}));  // an empty set opens nothing
    entries_.erase(entry);
    sets_.erase(found);
    free_.push_back(id);
  }
}

}  // namespace postern
