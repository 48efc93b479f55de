// SPDX-License-Identifier: Apache-2.0
//
// Witness: somebody else's tc program behind ours, as a CNI has. Counts the frames that reach it.
#pragma once

#include <cstdint>

#include "agent/datapath/attachment.h"
#include "base/fd.h"

namespace postern::test {

class Witness {
 public:
  Witness();

  /// Behind all tcx programs that are there.
  void attach_tcx(std::uint32_t ifindex, Hook hook);
  /// At clsact, priority 2.
  void attach_clsact(std::uint32_t ifindex, Hook hook);
  std::uint64_t count() const;
  /// Waits until it has seen that many, at most a second. @return whether it has.
  bool sees(std::uint64_t frames) const;

 private:
  Fd map_;
  Fd program_;
  Fd link_;
};

}  // namespace postern::test
