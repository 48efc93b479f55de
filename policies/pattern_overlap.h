// SPDX-License-Identifier: Apache-2.0
//
// Is there a name that two patterns both mean? Decided exactly, so that "no name under this is allowed"
// can be asserted of a policy and be true.
#pragma once

#include <optional>

#include "policies/name_pattern.h"

namespace postern {

/// A shortest name that both patterns mean; none if no name of legal length (RFC 1035 2.3.4) is meant by both.
/// Cost: the product of the labels' lengths at worst, where both have a "*" in them.
std::optional<DnsName> common_name(const NamePattern& a, const NamePattern& b);

}  // namespace postern
