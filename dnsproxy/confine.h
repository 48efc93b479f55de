// SPDX-License-Identifier: Apache-2.0
//
// What postern-dns gives up after its privileges: files, and every system call that it does not use.
//
// The filters name what is allowed; anything else kills the process, and the keeper says so. Calls
// that take a path fail or kill; none works. bpf(2) is reduced to the four commands on map elements, so that the
// descriptors a worker was given are all it can touch.
#pragma once

#include "base/result.h"

namespace postern {

/// The keeper's filter: sockets it holds, messages, fork.
Result<> confine_keeper();
/// On top of it, for a worker: no fork, no signals to others, new sockets only of IPv4 and IPv6.
Result<> confine_worker();

}  // namespace postern
