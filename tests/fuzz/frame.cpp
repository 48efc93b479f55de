// SPDX-License-Identifier: Apache-2.0
//
// Frames from and to a sandbox, one after the other, with time in between: nothing leaves that no rule,
// grant or flow lets out.
#include "tests/support/native_gate.h"

#include "tests/fuzz/fuzz.h"

namespace {

using namespace postern;
using namespace postern::testing;

constexpr std::uint32_t kPorts = 9;

NativeGate new_gate() {
  NativeGate gate;
  std::size_t count = 0;
  for (const char* own : {"10.7.0.2", "2001:db8:7::2", "fe80::7:2"}) {
    gate.sandbox.addrs[count++] = raw_address(Address::parse(own).value());
  }
  gate.sandbox.addr_count = static_cast<__u8>(count);
  const std::uint8_t mac[6] = {0x02, 0x00, 0x0a, 0x07, 0x00, 0x02};
  std::memcpy(gate.sandbox.mac, mac, sizeof(mac));
  gate.sandbox.inbound = EGRESS_INBOUND_LINK;
  gate.sandbox.link_prefix_count = 1;
  gate.sandbox.link_prefixes[0] = {raw_address(Address::parse("10.7.0.0").value()), 120};
  gate.sandbox.min_generation = 1;
  gate.tables.node_addresses = {raw_address(Address::parse("10.7.0.1").value())};
  gate.tables.port_sets[kPorts].count = 1;
  gate.tables.port_sets[kPorts].ranges[0] = {.first = 443, .last = 443, .protocol = 6, .pad = 0};
  gate.tables.cidrs = {{Prefix::parse("203.0.113.0/24").value(),
                        {.deny_ports = EGRESS_PORTS_ALL,
                         .allow_ports = EGRESS_PORTS_ALL,
                         .narrow_ports = 0,
                         .inbound_ports = 0,
                         .deny_rule = 1,
                         .allow_rule = 2,
                         .inbound_rule = 0}},
                       {Prefix::parse("0.0.0.0/0").value(),
                        {.deny_ports = 0,
                         .allow_ports = kPorts,
                         .narrow_ports = 0,
                         .inbound_ports = 0,
                         .deny_rule = 0,
                         .allow_rule = 2,
                         .inbound_rule = 0}}};
  gate.grant(Address::parse("198.51.100.10").value(),
             {.deadline_boot_ns = 100 * EGRESS_S, .generation = 1, .port_set = EGRESS_PORTS_ALL, .rule = 7, .name = 3});
  return gate;
}

void check_out(NativeGate& gate, std::span<const std::uint8_t> frame, const NativeOutcome& outcome) {
  FUZZ_REQUIRE(outcome.reason != EGRESS_REASON_NONE);
  FUZZ_REQUIRE(outcome.passed() == (outcome.reason < EGRESS_REASON_FIRST_DROP && outcome.action != EGRESS_STEER));
  egress_packet packet;
  const int reason = parse_frame(frame, frame.size(), true, packet);
  if (outcome.action == EGRESS_DROP || packet.kind != EGRESS_KIND_IP) {
    return;
  }
  FUZZ_REQUIRE(reason == EGRESS_REASON_NONE);
  FUZZ_REQUIRE(egress_is_own(&gate.sandbox, &packet.src) && egress_mac_equal(packet.src_mac, gate.sandbox.mac));
  const bool dns =
      (packet.protocol == IPPROTO_UDP || packet.protocol == IPPROTO_TCP) && egress_load_be16(&packet.dst_port) == 53;
  FUZZ_REQUIRE(dns == (outcome.action == EGRESS_STEER));
  if (outcome.reason == EGRESS_REASON_ALLOWED_BY_NAME || outcome.reason == EGRESS_REASON_ALLOWED_BY_CIDR ||
      outcome.reason == EGRESS_REASON_KNOWN_FLOW) {
    FUZZ_REQUIRE(!egress_never(&packet.dst) && !gate.tables.node_addresses.contains(packet.dst));
    FUZZ_REQUIRE(!Prefix::parse("203.0.113.0/24")
                      .value()
                      .contains(Address::from_v6(reinterpret_cast<const std::uint8_t*>(&packet.dst))));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  NativeGate gate = new_gate();
  for (Input input(data, size); !input.empty();) {
    const std::uint8_t step = input.u8();
    const auto frame = input.bytes(input.u8());
    gate.pass_ns(static_cast<std::uint64_t>(step >> 2) * EGRESS_S);
    if ((step & 2) != 0 && frame.empty()) {
      ++gate.sandbox.min_generation;
    }
    if ((step & 1) != 0) {
      static_cast<void>(gate.in(frame));
    } else {
      check_out(gate, frame, gate.out(frame));
    }
  }
  return 0;
}
