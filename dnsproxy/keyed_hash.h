// SPDX-License-Identifier: Apache-2.0
//
// KeyedHash: for tables whose keys a sandbox, or an upstream of its choice, makes up. Without a
// secret key it could find names that all fall into one bucket, and slow down its neighbours.
// Source: SipHash-2-4, Aumasson and Bernstein 2012.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/ip.h"

namespace postern {

/// 64 bits that nobody without the key can predict or collide.
std::uint64_t sip_hash(const std::array<std::uint64_t, 2>& key, std::string_view bytes);

/// Under a key of this process, taken from getrandom(2) at the first use.
struct KeyedHash {
  std::size_t operator()(std::string_view bytes) const noexcept;
  std::size_t operator()(const Address& address) const noexcept {
    return (*this)({reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size()});
  }
};

}  // namespace postern
