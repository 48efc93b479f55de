// SPDX-License-Identifier: Apache-2.0
//
// Unpredictable numbers from getrandom(2), fetched a page at a time: ids, ports and letter case of
// upstream queries must not be guessable (RFC 5452 4).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace postern {

class RandomSource {
 public:
  std::uint16_t u16();
  /// Uniform in [0, bound); bound at least 1.
  std::uint32_t below(std::uint32_t bound);
  std::uint8_t byte();

 private:
  std::array<std::uint8_t, 4096> pool_{};
  std::size_t used_ = sizeof(pool_);
};

}  // namespace postern
