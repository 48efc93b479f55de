// SPDX-License-Identifier: Apache-2.0
//
// NodeAddresses: keeps the kernel's set of the node's own addresses, which no sandbox may reach
// unless a rule names them, in step with the node's interfaces. Thread: posternd's loop.
#pragma once

#include "agent/datapath/gate.h"

namespace postern {

class NodeAddresses {
 public:
  explicit NodeAddresses(Gate& gate) : gate_(gate) {}

  /// Reads all addresses of the node anew and makes the kernel's set equal. What is new is added
  /// before anything is removed. @return full: the node has more than EGRESS_NODE_ADDRS_MAX.
  Result<> refresh();

 private:
  Gate& gate_;
};

}  // namespace postern
