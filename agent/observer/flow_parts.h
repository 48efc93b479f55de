// SPDX-License-Identifier: Apache-2.0
//
// The parts that flows of packets and of DNS messages share: time, ends, addresses, the rule and the
// reason. Pure; used by event_flow's two halves alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/observer/event_flow.h"
#include "agent/observer/hubble_words.h"

namespace postern {

/// Sixteen bytes of an event as an address.
Address address_of(const egress_addr& raw);
std::uint16_t host_order(__be16 port);

void set_time(flow::Flow& flow, std::uint64_t boot_ns, const FlowContext& context);

/// The sandbox an event is about, also when nobody told us of it.
void set_sandbox_end(flow::Endpoint& end, std::uint32_t sandbox, const FlowContext& context);
/// The other side: another sandbox of this node, or the world.
void set_peer_end(flow::Endpoint& end, const Address& address, const FlowContext& context);

void set_ip(flow::Flow& flow, const Address& source, const Address& destination);

/// Verdict, drop reason and the event's type, for everything but DNS messages.
void set_outcome(flow::Flow& flow, unsigned reason);
void set_drop(flow::Flow& flow, flow::DropReason drop);

/// The rule and the reason, as policy_log and among the policies that allowed or denied.
void set_cause(flow::Flow& flow, unsigned reason, std::uint32_t policy, std::uint32_t rule, const FlowContext& context);

/// " by allow api.example.com 443/tcp (agent.yaml:12)", or nothing without a rule.
std::string rule_words(std::uint32_t policy, std::uint32_t rule, const FlowContext& context);

}  // namespace postern
