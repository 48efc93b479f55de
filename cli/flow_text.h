// SPDX-License-Identifier: Apache-2.0
//
// A flow as people read it: one line, or the parts of one. Pure.
//
// The text in flows may come from any server, and names in it from any sandbox: what could move a
// terminal is escaped. Times are UTC, as in the logs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/observer.pb.h"

namespace postern {

/// With every byte that is not printable ASCII as \xNN. Backslashes stay: names are escaped already.
std::string terminal_safe(std::string_view text);

/// "Nov 25 01:06:58.467"
std::string time_text(const google::protobuf::Timestamp& time);

struct FlowWords {
  std::string sandbox;  ///< The pod's name, with its namespace unless that is `default`.
  std::string arrow;    ///< "->" from the sandbox, "<-" to it.
  std::string peer;     ///< "evil.example (DNS A)", "api.example.com:443/tcp (192.0.2.1)", "192.0.2.1:443/tcp"
  std::string verdict;  ///< Hubble's word.
  std::string detail;   ///< The reason and the rule, or what a lookup gave.
};

/// The entry "KEY=..." that postern-observer put into policy_log; empty without it.
std::string log_value(const flow::Flow& flow, std::string_view key);
/// "tcp", "udp", "sctp", "icmp"; empty for another protocol.
std::string protocol_text(const flow::Flow& flow);
std::uint32_t destination_port(const flow::Flow& flow);

FlowWords words_of(const flow::Flow& flow);
/// The line for one response, without a line feed; empty for one that says nothing.
std::string compact_line(const observer::GetFlowsResponse& response);

}  // namespace postern
