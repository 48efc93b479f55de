// SPDX-License-Identifier: Apache-2.0
//
// Numbers for rules, groups and images that depend on nothing but what they say: the same in every
// process, so that a restart finds its own again. Eight bytes a step, as in FNV-1a with a fold.
#pragma once

#include <cstdint>
#include <vector>

#include "policies/image.h"

namespace postern {

inline constexpr std::uint32_t kRuleIdMask = 0x7fffffffu;  ///< The top bit marks groups.

std::uint32_t fold(std::uint64_t hash);
std::uint64_t content_hash(const Rule& rule);
/// Kind, target, ports and holes are equal; where it was written does not count.
bool same_content(const Rule& a, const Rule& b);
std::uint32_t group_id(const PortSet& ports, const std::vector<std::uint32_t>& members);
/// Equal for images that enforce the same. @param contents  content_hash of every rule of it, in any order.
std::uint64_t fingerprint_of(const PolicyImage& image, std::vector<std::uint64_t> contents);

}  // namespace postern
