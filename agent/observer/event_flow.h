// SPDX-License-Identifier: Apache-2.0
//
// From an event of the kernel or of a DNS worker to Hubble's flows. Pure: no I/O, no clock.
//
// Events are records about hostile traffic, and a DNS worker that was taken over may send any bytes:
// lengths and counts are checked, names are printed with escapes, every other text is ours.
// What a Hubble client prints in parentheses is Summary; what a program reads is policy_log, as
// "reason=...", "rule=..." and "origin=...".
#pragma once

#include <string_view>
#include <vector>

#include "agent/observer/directory.h"
#include "api/flow.pb.h"
#include "bpf/layout.h"

namespace postern {

struct FlowContext {
  const Directory& directory;
  std::int64_t boot_to_unix_ns = 0;
};

/// An event's time in nanoseconds since 1970, whatever a worker that was taken over wrote; not before 1970.
std::int64_t unix_time_ns(std::uint64_t boot_ns, std::int64_t boot_to_unix_ns);

/// @param name the name that the event's name id stands for, printable; empty when there is none.
flow::Flow packet_flow(const egress_event& event, std::string_view name, const FlowContext& context);

/// The question, and the answer when there was one. A denied question is one flow whose destination is
/// the name itself, so that it is found by name and drawn by the UI.
/// @return nothing for a record that is not well formed.
std::vector<flow::Flow> dns_flows(const egress_dns_event& event, const FlowContext& context);

}  // namespace postern
