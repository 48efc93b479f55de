// SPDX-License-Identifier: Apache-2.0
//
// The steering namespace comes into being once, and postern-dns gets its sockets.
//
// Two ways to be run. Once: a command beside units or by hand, which ends when postern-dns has the sockets.
// Staying: a container of a pod, where nothing can wait for a container that starts later and be done. It gives
// up every capability after its work, keeps duplicates of the sockets for the next postern-dns, and ends, to be
// started again with its capabilities, only when the link is gone.
// Blocks: postern-setup has one thread and nothing else to do.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace postern {

struct SetupOptions {
  std::string dns_socket = "/run/postern/dns.sock";
  std::string link_name = "postern-steer";
  std::string sysctls = "/proc/sys/net";
  std::uint32_t workers = 0;  ///< 0: one a CPU.
  std::uint32_t wait_s = 5;   ///< For postern-dns, and for posternd to give back what it kept.
};

/// Runs once. @return ok: postern-dns has its sockets, from this run or an earlier one.
Result<> set_up_steering(const SetupOptions& options);

/// The same, then stays until SIGTERM or SIGINT (ok), or until the link is gone (an error).
Result<> set_up_and_stay(const SetupOptions& options);

}  // namespace postern
