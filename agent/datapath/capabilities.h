// SPDX-License-Identifier: Apache-2.0
//
// The three capabilities that the gate needs, and no other.
#pragma once

#include <string>

#include "base/result.h"

namespace postern {

/// Those of CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON that this process may not use, comma between
/// them; empty: it has all three.
std::string missing_gate_capabilities();

/// From here on this process has CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and cannot get another
/// (bounding set, no_new_privs). Without CAP_PERFMON the verifier rejects what it accepts of root.
/// @return denied, naming what is missing; the process is then unchanged.
Result<> keep_only_gate_capabilities();

}  // namespace postern
