// SPDX-License-Identifier: Apache-2.0
//
// PortSetTable: port sets of the policies, under numbers that the kernel programs look up.
//
// A number means one set while anything holds it; equal sets share one. Limit: EGRESS_PORT_SETS_MAX.
// Thread: posternd's loop.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "agent/datapath/map.h"
#include "bpf/layout.h"
#include "policies/ports.h"

namespace postern {

class PortSetTable {
 public:
  explicit PortSetTable(const Map<std::uint32_t, egress_port_set>& map);

  /// The number of a set; give it back with release() as often. EGRESS_PORTS_NONE and
  /// EGRESS_PORTS_ALL need no giving back, but take it.
  /// @return full: refuse the policy.
  Result<std::uint32_t> acquire(const PortSet& ports);
  void release(std::uint32_t id);
  /// The policies of a posternd before us are no longer in force: their numbers may be used again.
  void forget_inherited();

 private:
  struct Entry {
    std::uint32_t id = 0;
    std::uint32_t uses = 0;
  };

  const Map<std::uint32_t, egress_port_set>& map_;
  std::map<PortSet, Entry> entries_;
  std::map<std::uint32_t, PortSet> sets_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> inherited_;
  std::uint32_t next_ = EGRESS_PORTS_ALL + 1;
};

}  // namespace postern
