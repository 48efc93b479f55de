// SPDX-License-Identifier: Apache-2.0
//
// From what a person says about a sandbox to what the gate must know of it.
//
// Addresses and MAC are stated or read from the other end of the veth through its namespace's id;
// they are never learnt from traffic, which is the sandbox's own word.
#pragma once

#include <string>
#include <vector>

#include "agent/sandbox/sandbox.h"

namespace postern {

struct AttachWish {
  std::string interface;
  std::string policy;
  std::vector<std::string> addresses;  ///< Empty: read from the peer.
  std::string mac;                     ///< Empty: read from the peer.
  std::vector<std::string> search;     ///< Empty: the node's.
};

/// @return a sandbox without id and slot; or an error that says what to pass instead.
Result<Sandbox> discover_sandbox(const AttachWish& wish, const SearchList& node_search);

/// Fills in the prefixes of the sandbox's interface on this node.
Result<> read_link_prefixes(Sandbox& sandbox);

}  // namespace postern
