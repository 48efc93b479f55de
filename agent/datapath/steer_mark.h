// SPDX-License-Identifier: Apache-2.0
//
// The program in the steering namespace that turns a frame's source address into a mark.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace postern {

/// Attaches it at the ingress of an interface of the calling thread's network namespace. It stays
/// as long as the interface: as a clsact filter, since nobody else is in that namespace.
Result<> attach_steer_mark(std::uint32_t ifindex);

}  // namespace postern
