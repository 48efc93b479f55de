// SPDX-License-Identifier: Apache-2.0
//
// Whether bpf(2) gets as far as the kernel. Container runtimes forbid it to a process without capabilities by their
// default seccomp profile, although a descriptor of a map is leave enough for the kernel. A daemon asks at its start:
// one that finds out later has accepted work that it cannot do. Owns nothing; any thread.
#pragma once

#include <initializer_list>
#include <string>

#include "base/result.h"

namespace postern {

/// Tries commands of bpf(2) on a descriptor that is none, which changes nothing.
///
/// @param commands  those on map elements (BPF_MAP_LOOKUP_ELEM, ...).
/// @param profile   the seccomp profile that lets them through, as a pod names it: "postern/dns.json".
/// @return denied (or unsupported, where the filter says ENOSYS), with what to do: do not go on.
Result<> require_bpf_calls(std::initializer_list<int> commands, const std::string& profile);

}  // namespace postern
