// SPDX-License-Identifier: Apache-2.0
//
// Backoff: how long to wait before the next try. Doubles from kMinMs to kMaxMs; each wait is drawn
// from its upper half, so that the nodes of a cluster do not come back to their API server in step.
#pragma once

#include <algorithm>
#include <cstdint>

namespace postern {

class Backoff {
 public:
  static constexpr std::uint64_t kMinMs = 250;
  static constexpr std::uint64_t kMaxMs = 30'000;

  /// @param random  Any number; all its values equally likely.
  std::uint64_t next_ms(std::uint32_t random) {
    const std::uint64_t whole = whole_ms_;
    whole_ms_ = std::min(whole * 2, kMaxMs);
    return whole / 2 + random % (whole / 2 + 1);
  }
  void reset() { whole_ms_ = kMinMs; }

 private:
  std::uint64_t whole_ms_ = kMinMs;
};

}  // namespace postern
