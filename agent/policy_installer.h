// SPDX-License-Identifier: Apache-2.0
//
// PolicyInstaller: policy images in the kernel and with the DNS workers, each under a number of its
// own that is never used again.
//
// An image is complete before anything refers to its number, and nothing refers to it any more
// before it is removed. Limit: EGRESS_POLICIES_MAX images at once. Thread: posternd's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "agent/datapath/gate.h"
#include "agent/dns_link.h"
#include "agent/port_set_table.h"
#include "policies/image.h"

namespace postern {

struct InstalledPolicy {
  std::uint32_t id = 0;
  std::shared_ptr<const PolicyImage> image;
  bool has_cidrs = false;                     ///< A table of prefixes under this id.
  std::vector<std::uint32_t> port_sets;       ///< Held until it is removed, as often as they are listed.
  std::vector<egress_name_ok_key> names_ok;   ///< Entries of name_ok under this id.
};

class PolicyInstaller {
 public:
  PolicyInstaller(Gate& gate, DnsLink& dns);

  /// Fills the rule maps of a new id and feeds it to the workers. @return full: too many images,
  /// prefixes or port sets; nothing is left of it then.
  Result<std::shared_ptr<InstalledPolicy>> install(std::shared_ptr<const PolicyImage> image);
  /// Writes for every name that holds a grant or a flow which ports it may use under this image.
  /// To be called when all workers decide by the image, and before a sandbox moves to it.
  Result<> judge_names(InstalledPolicy& policy);
  void remove(InstalledPolicy& policy);

  /// Removes what a posternd before us installed, once no sandbox refers to it. @param ours ids in force.
  void forget_inherited(const std::set<std::uint32_t>& ours);

 private:
  Result<std::uint32_t> hold(InstalledPolicy& policy, const PortSet& ports);
  Result<std::vector<CidrTableEntry>> cidr_entries(InstalledPolicy& policy);
  Result<> allow_name(InstalledPolicy& policy, std::uint32_t name, std::uint32_t rule, const PortSet& ports, std::uint32_t allowed_by);

  Gate& gate_;
  DnsLink& dns_;
  PortSetTable port_sets_;
};

}  // namespace postern
