// SPDX-License-Identifier: Apache-2.0
//
// Names of the reverse trees: 4.3.2.1.in-addr.arpa (RFC 1035 3.5), the ip6.arpa nibbles (RFC 3596 2.5).
#pragma once

#include <optional>

#include "base/ip.h"
#include "policies/dns_name.h"

namespace postern {

/// The address that a whole reverse name stands for; nothing for any other name.
std::optional<Address> address_from_arpa(Wire name);

}  // namespace postern
