// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/ip.h"

namespace postern {

/// An IPv6 address that means something on its own link only (RFC 4291 2.5.6).
constexpr bool is_link_local(const Address& address) {
  return address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
}

}  // namespace postern
