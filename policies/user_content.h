// SPDX-License-Identifier: Apache-2.0
//
// Hosts and zones behind which strangers publish content, although no public suffix says so.
//
// What comes from there can be anybody's, and an account of anybody's can take data out by them. Known ones
// only, by name; public_suffix.h knows the zones below which names themselves can be registered. No I/O.
#pragma once

#include <optional>
#include <string>

#include "policies/name_pattern.h"

namespace postern {

/// The known host or zone that a pattern opens, in whole or in part: "storage.googleapis.com", "*.pages.dev". A zone
/// is opened only by a pattern with a "*".
std::optional<std::string> user_content_zone(const NamePattern& pattern);

}  // namespace postern
