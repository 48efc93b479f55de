// SPDX-License-Identifier: Apache-2.0
#include "agent/sandbox/pod_addresses.h"

#include <algorithm>

#include "base/link_local.h"
#include "bpf/layout.h"

namespace postern {
namespace {

void append(std::vector<Address>& to, const Address& address) {
  if (to.size() < EGRESS_SANDBOX_ADDRS && std::ranges::find(to, address) == to.end()) {
    to.push_back(address);
  }
}

bool has_family_of(const std::vector<Address>& addresses, const Address& wanted) {
  return std::ranges::any_of(
      addresses, [&wanted](const Address& each) { return !is_link_local(each) && each.is_v4() == wanted.is_v4(); });
}

/// The best word that there is.
const std::vector<Address>& best_of(const AddressSources& sources) {
  if (!std::ranges::all_of(sources.record, is_link_local)) {
    return sources.record;
  }
  if (!sources.cni.empty()) {
    return sources.cni;
  }
  const bool link_counts = !sources.link.empty() && (sources.link_is_ours || sources.claimed.empty());
  return link_counts ? sources.link : sources.claimed;
}

}  // namespace

std::vector<Address> choose_addresses(const AddressSources& sources) {
  std::vector<Address> chosen;
  for (const Address& address : best_of(sources)) {
    append(chosen, address);
  }
  const std::vector<Address> before = chosen;
  for (const Address& address : sources.claimed) {
    if (!has_family_of(before, address)) {
      append(chosen, address);
    }
  }
  const bool known = std::ranges::any_of(sources.record, is_link_local);
  for (const Address& address : known ? sources.record : sources.link_local) {
    append(chosen, address);
  }
  return chosen;
}

}  // namespace postern
