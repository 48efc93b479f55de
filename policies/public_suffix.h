// SPDX-License-Identifier: Apache-2.0
//
// Zones below which anybody can register names: the public suffix list (co.uk, github.io).
//
// The list is the one compiled into libpsl, so that no file is read and the same package always
// judges alike. The only file that includes libpsl is public_suffix.cpp.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "policies/name_pattern.h"

namespace postern {

/// The zone right behind a pattern's last "*", if strangers can register the names that the "*" stands
/// for. Empty also for a pattern without a "*".
std::optional<std::string> stranger_zone(const NamePattern& pattern);

/// Ok if a pattern has no such zone. Invalid, with what to write instead, of which `how` is the last part.
Result<> check_strangers(const NamePattern& pattern, std::string_view how);

}  // namespace postern
