// SPDX-License-Identifier: Apache-2.0
//
// DiscoveryWindow: how long new interfaces of scoped pods were open before the gate was on them.
//
// From the moment the kernel's word of the interface was read to the moment the programs were on it.
// No container of the pod runs before its CNI plugins are done, which is later than both as a rule;
// that it is so is what the figure is for.
#pragma once

#include <algorithm>
#include <cstdint>

namespace postern {

struct DiscoveryWindow {
  std::uint64_t count = 0;   ///< Interfaces measured.
  std::uint64_t held = 0;    ///< Of these, shut before it was known whose they are.
  std::uint64_t let_go = 0;  ///< Held interfaces that were nobody's in scope.
  std::uint64_t last_us = 0;
  std::uint64_t max_us = 0;

  void add(std::uint64_t ns, bool by_holding) {
    ++count;
    held += by_holding ? 1 : 0;
    last_us = ns / 1000;
    max_us = std::max(max_us, last_us);
  }
};

}  // namespace postern
