// SPDX-License-Identifier: Apache-2.0
//
// What the container runtime's CNI library writes down of each network it made: whose it is, and its
// addresses.
//
// libcni (containerd's and CRI-O's) keeps the result of every ADD in /var/lib/cni/results, for the DEL
// that comes later, and writes it before any container of the pod starts. The API server tells the same
// a second or more later. It is a hint: the caller checks it against the other end of the interface.
// Limits: kCniResultMax bytes, kCniAddressesMax addresses.
// https://github.com/containernetworking/cni/blob/main/libcni/api.go (cachedInfo)
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/sandbox/sandbox.h"

namespace postern {

inline constexpr std::size_t kCniResultMax = 1u << 20;
inline constexpr std::size_t kCniAddressesMax = 32;

struct CniResult {
  PodRef pod;  ///< The uid is empty if the runtime does not tell it.
  std::vector<Address> addresses;
  std::vector<Mac> macs;                ///< Of the interfaces inside the sandbox; may be empty.
  std::vector<std::string> host_names;  ///< Of the interfaces on the node: its end of the veth, a bridge; may be empty.
};

/// One cached result. @return invalid: not one, or not a pod's.
Result<CniResult> read_cni_result(std::string_view text);

/// Is it about the interface with this other end?
bool describes(const CniResult& result, const std::vector<Address>& addresses, const Mac& peer_mac);

}  // namespace postern
