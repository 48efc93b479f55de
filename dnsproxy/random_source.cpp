// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/random_source.h"

#include <sys/random.h>

#include <cstdlib>

namespace postern {

std::uint8_t RandomSource::byte() {
  if (used_ == pool_.size()) {
    // Blocks only before the kernel's pool is ready at boot. A short read cannot happen at this size
    // without a signal, and guessable ids are worse than no process.
    if (::getrandom(pool_.data(), pool_.size(), 0) != static_cast<ssize_t>(pool_.size())) {
      std::abort();
    }
    used_ = 0;
  }
  return pool_[used_++];
}

std::uint16_t RandomSource::u16() { return static_cast<std::uint16_t>(byte() << 8 | byte()); }

std::uint32_t RandomSource::below(std::uint32_t bound) {
  // The largest multiple of bound under 2^32; numbers above it would favour the small ones.
  const std::uint64_t limit = (std::uint64_t{1} << 32) / bound * bound;
  while (true) {
    const std::uint64_t number = static_cast<std::uint64_t>(u16()) << 16 | u16();
    if (number < limit) {
      return static_cast<std::uint32_t>(number % bound);
    }
  }
}

}  // namespace postern
