// SPDX-License-Identifier: Apache-2.0
//
// A row: what the state is, which packet comes, what must become of it and why, and what it leaves.
//
//   {"a SYN to a granted address", granted(kWeb.v4), sends(Frame::out(kWeb.v4).tcp(kSyn)),
//    passes(reason::kALLOWED_BY_NAME), opens(EGRESS_BASIS_GRANT)}
//
// Every reason of bpf/reasons.h that a packet can have needs one (rows_test.cpp).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/bpf/lab.h"

namespace postern::test {

/// bpf/reasons.h, shorter by a prefix.
namespace reason {
#define POSTERN_TEST_REASON(identifier, number, label) inline constexpr unsigned k##identifier = number;
EGRESS_REASONS(POSTERN_TEST_REASON)
#undef POSTERN_TEST_REASON
}  // namespace reason

using Given = std::function<void(Lab&)>;

struct Expected {
  Verdict verdict;
  unsigned reason;
  std::uint32_t sandbox = kSandbox;  ///< Under which it is counted; 0: under none.
};

struct Row {
  std::string description;
  Given given;  ///< On top of the ordinary sandbox; empty: nothing.
  Packet packet;
  Expected expected;
  /// More that must be true afterwards, with Catch2's own checks.
  std::function<void(Lab&, const Row&, const Outcome&)> then = {};
};

using Then = decltype(Row::then);

inline Packet sends(Frame frame) { return {Program::kFromSandbox, std::move(frame)}; }
inline Packet receives(Frame frame) { return {Program::kToSandbox, std::move(frame)}; }
/// A frame that comes in over the steering link.
inline Packet answers(Frame frame) { return {Program::kFromSteering, std::move(frame)}; }

inline Expected passes(unsigned reason) { return {Verdict::kNext, reason}; }
inline Expected drops(unsigned reason) { return {Verdict::kShot, reason}; }
inline Expected redirects(unsigned reason) { return {Verdict::kRedirect, reason}; }

inline Given granted(Address address, Grant grant = {}) {
  return [address, grant](Lab& lab) { lab.grant(address, grant); };
}
inline Given ruled(std::string prefix, egress_cidr_rule rule) {
  return [prefix = std::move(prefix), rule](Lab& lab) { lab.cidr(prefix, rule); };
}
/// A packet before the one of the row.
inline Given after(Packet packet) {
  return [packet = std::move(packet)](Lab& lab) { lab.run(packet); };
}
inline Given in_turn(std::vector<Given> steps) {
  return [steps = std::move(steps)](Lab& lab) {
    for (const Given& step : steps) {
      step(lab);
    }
  };
}

// Values of rules, by what they say.
inline egress_cidr_rule allows(std::uint32_t ports) { return {.allow_ports = ports, .allow_rule = kRule}; }
inline egress_cidr_rule denies(std::uint32_t ports) { return {.deny_ports = ports, .deny_rule = kRule}; }
inline egress_cidr_rule allows_narrowly(std::uint32_t ports) {
  return {.allow_ports = ports, .narrow_ports = ports, .allow_rule = kRule};
}
inline egress_cidr_rule lets_in(std::uint32_t ports) { return {.inbound_ports = ports, .inbound_rule = kRule}; }

/// The packet opened a flow on this basis.
Then opens(egress_basis basis);
/// Nothing but counters changed.
Then opens_nothing();

// The rows, by topic.
std::vector<Row> shape_rows();
std::vector<Row> sender_rows();
std::vector<Row> neighbour_rows();
std::vector<Row> steering_rows();
std::vector<Row> never_list_rows();
std::vector<Row> grant_rows();
std::vector<Row> cidr_rows();
std::vector<Row> flow_rows();
std::vector<Row> policy_change_rows();
std::vector<Row> inbound_rows();
std::vector<Row> icmp_rows();

}  // namespace postern::test
