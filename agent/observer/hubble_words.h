// SPDX-License-Identifier: Apache-2.0
//
// Numbers and words that Hubble's clients give a meaning to, beside the .proto files; and what each
// of our reasons is to them.
#pragma once

#include <cstdint>
#include <string_view>

#include "api/flow.pb.h"

namespace postern {

/// CiliumEventType.type: the kind of event behind a flow.
inline constexpr std::int32_t kEventDrop = 1;
inline constexpr std::int32_t kEventTrace = 4;
inline constexpr std::int32_t kEventPolicyVerdict = 5;
inline constexpr std::int32_t kEventL7 = 129;
inline constexpr std::int32_t kTraceToProxy = 1;  // sub_type of kEventTrace

/// Flow.policy_match_type of a rule on address and port.
inline constexpr std::uint32_t kMatchL3L4 = 2;

/// Security identities. Those from kIdentityFirst on stand for one sandbox each.
inline constexpr std::uint32_t kIdentityHost = 1;
inline constexpr std::uint32_t kIdentityWorld = 2;
inline constexpr std::uint32_t kIdentityFirst = 256;
inline constexpr std::uint32_t kIdentityEnd = 1u << 24;  // above: identities local to a node

inline constexpr std::string_view kLabelHost = "reserved:host";
inline constexpr std::string_view kLabelWorld = "reserved:world";

/// The namespace of a sandbox outside a cluster: the one that `hubble observe --pod NAME` means.
inline constexpr std::string_view kDefaultSpace = "default";

/// How a reason of bpf/reasons.h is shown.
struct Outcome {
  flow::Verdict verdict = flow::VERDICT_UNKNOWN;
  flow::DropReason drop = flow::DROP_REASON_UNKNOWN;  ///< Only with DROPPED.
};

/// @return VERDICT_UNKNOWN for a number that is no reason of an event.
Outcome outcome_of(unsigned reason);

}  // namespace postern
