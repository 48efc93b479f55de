// SPDX-License-Identifier: Apache-2.0
//
// A DNS worker: one process, one loop, its own sockets, cache and state. The only place where a
// sandbox's bytes are parsed. It has no capability and no file system, and may be killed at any
// time: the keeper starts another, which is told everything again.
#pragma once

#include <array>

#include "api/dns_feed.h"
#include "base/fd.h"

namespace postern {

struct WorkerParts {
  std::uint32_t index = 0;
  std::array<Fd, kSocketsPerWorker> sockets;
  Fd channel;  ///< To the keeper. Its end ends the worker.
};

/// Runs until the keeper is gone. @return the process's exit status.
int run_worker(WorkerParts parts);

}  // namespace postern
