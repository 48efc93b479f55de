// SPDX-License-Identifier: Apache-2.0
//
// The gate without a kernel: bpf/parse.h and bpf/verdict.h over plain tables, and what the programs do
// with a verdict. For what the kernel cannot be asked: exact times, every cut of a frame, a million frames.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "base/ip.h"

extern "C" {
#include "bpf/verdict.h"
}

namespace postern::testing {

inline egress_addr raw_address(const Address& address) {
  egress_addr raw{};
  std::memcpy(&raw, address.bytes.data(), sizeof(raw));
  return raw;
}

/// Layout structs as keys of a table: their padding is named and zero, so their bytes are their value.
template <typename T>
struct ByBytes {
  bool operator()(const T& a, const T& b) const { return std::memcmp(&a, &b, sizeof(T)) < 0; }
};

/// What the maps hold. One sandbox; its own flows, grants and rules.
struct NativeTables {
  std::map<egress_flow_key, egress_flow, ByBytes<egress_flow_key>> flows;
  std::map<egress_addr, egress_grant, ByBytes<egress_addr>> grants;
  std::vector<std::pair<Prefix, egress_cidr_rule>> cidrs;
  std::map<std::pair<std::uint32_t, std::uint32_t>, egress_name_ok> name_ok;  // (name, rule)
  std::map<std::uint32_t, egress_port_set> port_sets;
  std::set<egress_addr, ByBytes<egress_addr>> node_addresses;
  std::uint64_t boot_ns = 0;
  bool icmp_budget = true;
};

/// The tables that the look-ups below ask; set by NativeGate.
inline NativeTables* native_tables = nullptr;

}  // namespace postern::testing

// The look-ups that verdict.h asks for.
static __always_inline struct egress_flow* egress_flow_of(const struct egress_sandbox*,
                                                          const struct egress_flow_key* key) {
  auto& flows = postern::testing::native_tables->flows;
  const auto found = flows.find(*key);
  return found == flows.end() ? nullptr : &found->second;
}
static __always_inline const struct egress_grant* egress_grant_of(const struct egress_sandbox*,
                                                                  const struct egress_addr* addr) {
  const auto& grants = postern::testing::native_tables->grants;
  const auto found = grants.find(*addr);
  return found == grants.end() ? nullptr : &found->second;
}
static __always_inline const struct egress_cidr_rule* egress_cidr_of(const struct egress_sandbox*,
                                                                     const struct egress_addr* addr) {
  const egress_cidr_rule* longest = nullptr;
  int bits = -1;
  for (const auto& [prefix, rule] : postern::testing::native_tables->cidrs) {
    const egress_prefix raw{postern::testing::raw_address(prefix.address), prefix.bits};
    if (prefix.bits > bits && egress_in_prefix(addr, &raw)) {
      longest = &rule;
      bits = prefix.bits;
    }
  }
  return longest;
}
static __always_inline const struct egress_name_ok* egress_name_ok_of(const struct egress_sandbox*,
                                                                      __u32 name,
                                                                      __u32 rule) {
  const auto& name_ok = postern::testing::native_tables->name_ok;
  const auto found = name_ok.find({name, rule});
  return found == name_ok.end() ? nullptr : &found->second;
}
static __always_inline const struct egress_port_set* egress_ports_of(__u32 id) {
  const auto& sets = postern::testing::native_tables->port_sets;
  const auto found = sets.find(id);
  return found == sets.end() ? nullptr : &found->second;
}
static __always_inline int egress_is_node_addr(const struct egress_addr* addr) {
  return postern::testing::native_tables->node_addresses.contains(*addr) ? 1 : 0;
}
static __always_inline __u64 egress_boot_ns(void) { return postern::testing::native_tables->boot_ns; }
static __always_inline int egress_icmp_budget(const struct egress_sandbox*, __u64) {
  return postern::testing::native_tables->icmp_budget ? 1 : 0;
}

namespace postern::testing {

struct NativeOutcome {
  std::uint8_t action = EGRESS_DROP;
  std::uint8_t reason = EGRESS_REASON_NONE;

  bool passed() const { return action == EGRESS_FORWARD || action == EGRESS_OPEN; }
};

/// A frame as the kernel holds one: two bytes behind an aligned address, so that the IP header is aligned.
/// Ends where its memory ends: a sanitizer sees a read behind it.
class KernelFrame {
 public:
  explicit KernelFrame(std::span<const std::uint8_t> bytes)
      : size_(bytes.size()), memory_(new std::uint8_t[bytes.size() + 2]) {
    std::copy(bytes.begin(), bytes.end(), memory_.get() + 2);
  }
  const std::uint8_t* data() const { return memory_.get() + 2; }
  const std::uint8_t* end() const { return data() + size_; }

 private:
  std::size_t size_;
  std::unique_ptr<std::uint8_t[]> memory_;
};

/// egress_parse of a frame of `length` bytes, of which `linear` can be read.
inline int parse_frame(std::span<const std::uint8_t> linear, std::size_t length, bool out, egress_packet& packet) {
  const KernelFrame frame(linear);
  return egress_parse(frame.data(), frame.end(), static_cast<__u32>(length), 0, out ? 1 : 0, &packet);
}

class NativeGate {
 public:
  NativeGate() { sandbox.id = 1; }

  /// Judges a frame as the programs do: parse, judge, note or begin the flow.
  /// @param linear bytes of the frame that lie where they can be read; the rest exists, but elsewhere.
  NativeOutcome judge(std::span<const std::uint8_t> frame, bool out, std::size_t linear) {
    native_tables = &tables;
    egress_packet packet;
    egress_verdict verdict{};
    egress_flow_key key{};
    egress_flow* flow = nullptr;
    const int reason = parse_frame(frame.first(linear), frame.size(), out, packet);
    if (reason != EGRESS_REASON_NONE) {
      egress_drop(&verdict, reason);
    } else {
      flow = out ? egress_judge_out(&sandbox, &packet, &key, mono_ns, &verdict)
                 : egress_judge_in(&sandbox, &packet, &key, mono_ns, &verdict);
    }
    if (flow != nullptr) {
      finished += static_cast<std::size_t>(egress_flow_note(flow, &packet, out ? 1 : 0, mono_ns));
    } else if (verdict.action == EGRESS_OPEN) {
      egress_flow_begin(&tables.flows[key], &packet, &verdict, sandbox.min_generation, mono_ns);
    }
    return {verdict.action, verdict.reason};
  }
  NativeOutcome out(std::span<const std::uint8_t> frame) { return judge(frame, true, frame.size()); }
  NativeOutcome in(std::span<const std::uint8_t> frame) { return judge(frame, false, frame.size()); }

  void grant(const Address& address, const egress_grant_slot& slot) {
    tables.grants[raw_address(address)].slots[0] = slot;
  }
  void pass_ns(std::uint64_t duration_ns) {
    mono_ns += duration_ns;
    tables.boot_ns += duration_ns;
  }

  egress_sandbox sandbox{};
  NativeTables tables;
  std::uint64_t mono_ns = 1'000'000'000'000;
  std::size_t finished = 0;  ///< Flows that were over with a packet of theirs.
};

}  // namespace postern::testing
