// SPDX-License-Identifier: Apache-2.0
//
// Lab: a loaded gate with one ordinary sandbox, in which a test changes what is special about it.
//
// Packets go through the programs by BPF_PROG_TEST_RUN. What they say comes back as an Outcome: the
// verdict, and the reason as the counters have it. reset() makes it the ordinary sandbox again.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/datapath/gate.h"
#include "bpf/reasons.h"
#include "tests/bpf/frame.h"

namespace postern::test {

// The ordinary sandbox: kOwn and kOwnLinkLocal at kOwnMac, under a policy that allows nothing.
inline constexpr std::uint32_t kSandbox = 7;
inline constexpr std::uint32_t kSlot = 3;
inline constexpr std::uint32_t kPolicy = 11;
inline constexpr std::uint32_t kGeneration = 5;
// Another one on the node, for what must not leak between two.
inline constexpr std::uint32_t kOtherSandbox = 8;
inline constexpr std::uint32_t kOtherSlot = 4;

// Port sets that the lab knows, by id.
inline constexpr std::uint32_t kNoPorts = EGRESS_PORTS_NONE;
inline constexpr std::uint32_t kAllPorts = EGRESS_PORTS_ALL;
inline constexpr std::uint32_t kHttpsPorts = 2;     // 443/tcp
inline constexpr std::uint32_t kRangePorts = 3;     // 8000-8010/tcp, 443/udp
inline constexpr std::uint32_t kEchoPorts = 4;      // ICMP echo
inline constexpr std::uint32_t kPostgresPorts = 5;  // 5432/tcp

inline constexpr std::uint32_t kRule = 21;
inline constexpr std::uint32_t kName = 31;
inline constexpr std::uint32_t kOtherName = 32;

enum class Program { kFromSandbox, kToSandbox, kFromSteering };
enum class Verdict { kNext, kShot, kRedirect, kElse };

struct Packet {
  Program program;
  Frame frame;
  bool from_steering = false;  ///< It came into the node over the steering link.
};

struct Outcome {
  Verdict verdict = Verdict::kElse;
  unsigned reason = EGRESS_REASON_NONE;  ///< Of the last of several packets the highest; 0: none was counted.
  std::uint32_t sandbox = 0;             ///< Under which it was counted.
  std::uint8_t direction = 0;
  std::uint64_t counted = 0;      ///< Packets, of all reasons.
  Bytes frame;                    ///< As the program left it.
  std::uint32_t duration_ns = 0;  ///< Of one run, the mean.
};

/// One grant, as a worker writes it.
struct Grant {
  std::uint32_t ports = kHttpsPorts;
  bool expired = false;
  std::uint32_t generation = kGeneration;
  std::uint32_t rule = kRule;
  std::uint32_t name = kName;
};

class Lab {
 public:
  /// Loads the gate with pins below `pin_dir` and makes the interfaces it needs.
  static Result<std::unique_ptr<Lab>> make(const std::string& pin_dir);
  /// The lab of this process. Ends the process when there is none.
  static Lab& get();

  void reset();
  Outcome run(const Packet& packet, std::uint32_t repeat = 1);

  /// Packets counted under a reason since the counters were last cleared, which run() does too.
  std::uint64_t counted(unsigned reason, std::uint8_t direction) const;
  void clear_counters() const;

  /// Into the next free slot of that address.
  void grant(const Address& address, const Grant& grant = {}, std::uint32_t slot = kSlot);
  /// Adds to the policy's table of prefixes. @param prefix "10.0.0.0/8"
  void cidr(std::string_view prefix, const egress_cidr_rule& rule);
  void forget_cidrs();
  void name_ok(std::uint32_t name, std::uint32_t rule, std::uint32_t ports, std::uint32_t rule_now = kRule);
  void change_sandbox(const std::function<void(egress_sandbox&)>& change);
  /// As a policy change does last: flows and grants of before are judged again.
  void raise_generation();
  void forget_sandbox();
  void forget_grants();
  void forget_steering();
  void limit_flows(std::uint32_t entries);

  /// The flow of a frame, as the sandbox sees it.
  std::optional<egress_flow> flow_of(const Packet& packet) const;
  /// Such a flow, put there by hand.
  void put_flow(const Packet& packet, const egress_flow& flow);
  void change_flow(const Packet& packet, const std::function<void(egress_flow&)>& change);
  std::size_t flow_count() const { return count_flows(false); }
  std::size_t finished_count() const { return count_flows(true); }

  Gate& gate() { return *gate_; }
  std::uint32_t ifindex() const { return ifindex_; }
  /// Sums of flows and of lost events over all CPUs.
  egress_sandbox_state state() const;
  /// As if the windows of all rates were over.
  void begin_next_second();

 private:
  std::vector<egress_sandbox_state> states() const;
  void write_states(const std::vector<egress_sandbox_state>& cpus);
  explicit Lab(std::unique_ptr<Gate> gate);
  Result<> make_port_sets();
  void reset_maps();
  std::size_t count_flows(bool over) const;
  void read_counters(const Packet& packet, std::uint64_t flow_packets_before, Outcome& outcome) const;

  std::unique_ptr<Gate> gate_;
  std::uint32_t ifindex_ = 0;
  std::uint32_t other_ifindex_ = 0;
  std::uint32_t steer_ifindex_ = 0;
  std::vector<CidrTableEntry> cidrs_;
  bool flows_limited_ = false;
};

/// Ends the process, saying why, when the lab itself fails: no test can say anything then.
void must(const Result<>& result);
template <typename T>
T must(Result<T> result) {
  must(result ? Result<>() : Result<>(std::move(result).error()));
  return std::move(result).value();
}

/// Of all sandboxes of these tests, and of none.
std::uint64_t packets_counted(Gate& gate, unsigned reason, std::uint8_t direction);

egress_addr to_kernel(const Address& address);
/// The programs' clock for flows.
std::uint64_t mono_ns();

}  // namespace postern::test
