// SPDX-License-Identifier: Apache-2.0
//
// Which addresses are a pod's sandbox's, of those that several tell. Pure.
//
// The gate lets nothing out that comes from another address, and sends answers to DNS by them: who could
// choose them could be another pod. So what was there before a container ran counts, and what is on
// record does not change. What the API server tells (status.podIPs) only adds a family that is missing,
// as it does for dual-stack pods, whose addresses come one by one.
#pragma once

#include <vector>

#include "base/ip.h"

namespace postern {

/// The same addresses, as each of those who know tells them.
struct AddressSources {
  std::vector<Address> record;      ///< The sandbox's own so far; empty: it is new, or it was held.
  std::vector<Address> cni;         ///< The container runtime's word.
  std::vector<Address> link;        ///< Of the interface's other end.
  bool link_is_ours = false;        ///< They were read before a container could change them.
  std::vector<Address> link_local;  ///< Of the other end too.
  std::vector<Address> claimed;     ///< The API server's word, without what is somebody else's.
};

/// @return at most EGRESS_SANDBOX_ADDRS.
std::vector<Address> choose_addresses(const AddressSources& sources);

}  // namespace postern
