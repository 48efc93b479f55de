// SPDX-License-Identifier: Apache-2.0
//
// The sockets at which DNS of sandboxes arrives, in the network namespace of the calling thread.
#pragma once

#include <cstdint>
#include <vector>

#include "base/fd.h"

namespace postern {

/// Four a worker (api/dns_feed.h): transparent, on port 53 of every address, in one reuseport group a
/// kind, whose program picks the worker by the packet's mark (worker_of).
Result<std::vector<Fd>> make_dns_sockets(std::uint32_t workers);

}  // namespace postern
