// SPDX-License-Identifier: Apache-2.0
//
// From peers that a policy names by selector, entity or Service to addresses, by the inventory.
//
// Nothing here opens more than the peer: what the inventory does not know has no address. A Service's
// cluster address is opened where every pod behind it is selected and its target port is in the rule,
// because the gate sees packets before they are translated.
#pragma once

#include <vector>

#include "policies/inventory.h"
#include "policies/model.h"

namespace postern {

/// A rule for addresses, with what it does.
struct ResolvedCidr {
  PeerRule::Action action = PeerRule::Action::kAllow;
  CidrRule rule;
};

/// All rules of a policy that are about addresses: those written as such, and its peers.
std::vector<ResolvedCidr> resolve_cidrs(const Policy& policy, const Inventory& inventory);

}  // namespace postern
