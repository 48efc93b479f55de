// SPDX-License-Identifier: Apache-2.0
//
// parse.h, flow.h and verdict.h natively: every cut of a frame, exact times, and what must hold for any
// frame at all. Rows of single packets are in tests/bpf, where the kernel itself runs them.
#include <catch2/catch_test_macros.hpp>
#include <random>

#include "tests/bpf/frame.h"
#include "tests/support/native_gate.h"

namespace postern::testing {
namespace {

using test::Frame;
using test::kAck;
using test::kFin;
using test::kHttps;
using test::kNode;
using test::kOwn;
using test::kOwnLinkLocal;
using test::kRst;
using test::kSyn;
using test::kSynAck;
using test::kWeb;

constexpr std::uint32_t kPorts = 9;

/// The tests' sandbox, under a policy that allows nothing.
NativeGate new_gate() {
  NativeGate gate;
  std::size_t count = 0;
  for (const Address& own : {kOwn.v4, kOwn.v6, kOwnLinkLocal}) {
    gate.sandbox.addrs[count++] = raw_address(own);
  }
  gate.sandbox.addr_count = static_cast<__u8>(count);
  std::memcpy(gate.sandbox.mac, test::kOwnMac.data(), 6);
  gate.sandbox.min_generation = 1;
  gate.tables.node_addresses = {raw_address(kNode.v4), raw_address(kNode.v6)};
  gate.tables.boot_ns = 5'000'000'000;
  gate.tables.port_sets[kPorts].count = 1;
  gate.tables.port_sets[kPorts].ranges[0] = {.first = kHttps, .last = kHttps, .protocol = 6, .pad = 0};
  return gate;
}

egress_grant_slot slot_until(std::uint64_t deadline_boot_ns, std::uint32_t ports = EGRESS_PORTS_ALL) {
  return {.deadline_boot_ns = deadline_boot_ns, .generation = 1, .port_set = ports, .rule = 7, .name = 3};
}

constexpr std::uint64_t kFarNs = ~std::uint64_t{0};

std::vector<Frame> frames_of_every_kind() {
  std::vector<Frame> frames;
  for (const Address& web : {kWeb.v4, kWeb.v6}) {
    const Frame base = Frame::out(web);
    frames.insert(frames.end(), {base.tcp(kSyn), base.tcp(kAck).payload(40), base.udp(53), base.udp(443).payload(20),
                                 base.echo_request(9), base.unreachable(Frame::in(web).udp(443)), base.protocol(132),
                                 base.fragment(0x2000)});
  }
  frames.insert(
      frames.end(),
      {Frame::arp(1, kOwn.v4, kNode.v4), Frame::nd(135, kOwn.v6, kNode.v6, kNode.v6, {1, 1, 2, 0, 10, 7, 0, 2}),
       Frame::nd(133, kOwnLinkLocal, test::address("ff02::2"), {}), Frame::raw(0x86dd, test::Bytes(60, 0x60)),
       Frame::out(kWeb.v4).options().tcp(kSyn), Frame::out(kWeb.v6).extension(0).tcp(kSyn)});
  return frames;
}

TEST_CASE("native: a frame that is cut anywhere is dropped, and nothing behind the cut is read", "[bpf]") {
  for (const Frame& frame : frames_of_every_kind()) {
    const test::Bytes bytes = frame.bytes();
    for (std::size_t keep = 0; keep < bytes.size(); ++keep) {
      for (const bool out : {true, false}) {
        NativeGate gate = new_gate();
        gate.grant(kWeb.v4, slot_until(kFarNs));
        gate.grant(kWeb.v6, slot_until(kFarNs));
        const NativeOutcome outcome = gate.judge(std::span(bytes).first(keep), out, keep);
        // ARP and discovery carry padding, and a cut in a payload leaves whole headers, whose lengths then lie.
        CHECK((outcome.reason == EGRESS_REASON_NEIGHBOUR || !outcome.passed()));
        CHECK(outcome.reason != EGRESS_REASON_NONE);
      }
    }
  }
}

TEST_CASE("native: headers that do not lie in the linear part are not read", "[bpf]") {
  for (const Frame& frame : frames_of_every_kind()) {
    const test::Bytes bytes = frame.bytes();
    for (std::size_t linear = 0; linear < std::min<std::size_t>(bytes.size(), 54); ++linear) {
      NativeGate gate = new_gate();
      egress_packet packet;
      native_tables = &gate.tables;
      const int reason = parse_frame(std::span(bytes).first(linear), bytes.size(), true, packet);
      CHECK((reason != EGRESS_REASON_NONE || linear >= 34));
    }
  }
}

/// Frames of any kind with some bytes changed.
class Mutations {
 public:
  explicit Mutations(std::uint32_t seed) : random_(seed), frames_(frames_of_every_kind()) {}
  test::Bytes next() {
    test::Bytes bytes = frames_[random_() % frames_.size()].bytes();
    for (std::uint32_t change = 0; change < random_() % 4; ++change) {
      bytes[random_() % bytes.size()] = static_cast<std::uint8_t>(random_() % 3 == 0 ? 0 : random_());
    }
    return bytes;
  }

 private:
  std::mt19937 random_;
  std::vector<Frame> frames_;
};

TEST_CASE("native: with nothing allowed, nothing leaves but neighbour discovery and questions to the proxy", "[bpf]") {
  NativeGate gate = new_gate();
  Mutations mutations(1);
  int steered = 0;
  for (int i = 0; i < 300'000; ++i) {
    const NativeOutcome outcome = gate.out(mutations.next());
    REQUIRE((!outcome.passed() || outcome.reason == EGRESS_REASON_NEIGHBOUR));
    steered += outcome.action == EGRESS_STEER ? 1 : 0;
  }
  CHECK(steered > 100);
  CHECK(gate.tables.flows.empty());
}

TEST_CASE("native: with everything granted by name and rule, the never-list and strange sources stay shut", "[bpf]") {
  NativeGate gate = new_gate();
  egress_cidr_rule world{};
  world.allow_ports = EGRESS_PORTS_ALL;
  gate.tables.cidrs = {{Prefix::parse("0.0.0.0/0").value(), world}, {Prefix::parse("::/0").value(), world}};
  Mutations mutations(2);
  int opened = 0;
  for (int i = 0; i < 300'000; ++i) {
    const test::Bytes bytes = mutations.next();
    egress_packet packet;
    const int reason = parse_frame(bytes, bytes.size(), true, packet);
    const NativeOutcome outcome = gate.out(bytes);
    if (!outcome.passed() || outcome.reason == EGRESS_REASON_NEIGHBOUR) {
      continue;
    }
    ++opened;
    REQUIRE(reason == EGRESS_REASON_NONE);
    REQUIRE(egress_is_own(&gate.sandbox, &packet.src));
    REQUIRE(egress_mac_equal(packet.src_mac, gate.sandbox.mac));
    REQUIRE_FALSE(egress_never(&packet.dst));
    REQUIRE_FALSE(gate.tables.node_addresses.contains(packet.dst));
    REQUIRE(egress_load_be16(&packet.dst_port) != 53);
  }
  CHECK(opened > 1000);
}

TEST_CASE("native: a grant ends at its deadline, to the nanosecond", "[bpf]") {
  for (const Address& web : {kWeb.v4, kWeb.v6}) {
    NativeGate gate = new_gate();
    gate.grant(web, slot_until(gate.tables.boot_ns + 1));
    CHECK(gate.out(Frame::out(web).tcp(kSyn).bytes()).reason == EGRESS_REASON_ALLOWED_BY_NAME);
    gate.pass_ns(1);
    CHECK(gate.out(Frame::out(web).tcp(kSyn).bytes()).reason == EGRESS_REASON_GRANT_EXPIRED);
    CHECK(gate.out(Frame::out(web).tcp(kSyn, kHttps, 41000).bytes()).reason == EGRESS_REASON_GRANT_EXPIRED);
    CHECK(gate.in(Frame::in(web).tcp(kSynAck).bytes()).reason == EGRESS_REASON_KNOWN_FLOW);
    CHECK(gate.out(Frame::out(web).tcp(kAck).bytes()).reason == EGRESS_REASON_KNOWN_FLOW);  // a live connection goes on
  }
}

TEST_CASE("native: ports of a grant", "[bpf]") {
  NativeGate gate = new_gate();
  gate.grant(kWeb.v4, slot_until(kFarNs, kPorts));
  CHECK(gate.out(Frame::out(kWeb.v4).tcp(kSyn, 443).bytes()).passed());
  CHECK(gate.out(Frame::out(kWeb.v4).tcp(kSyn, 442).bytes()).reason == EGRESS_REASON_PORT_DENIED);
  CHECK(gate.out(Frame::out(kWeb.v4).tcp(kSyn, 444).bytes()).reason == EGRESS_REASON_PORT_DENIED);
  CHECK(gate.out(Frame::out(kWeb.v4).udp(443).bytes()).reason == EGRESS_REASON_PORT_DENIED);
  CHECK(gate.out(Frame::out(kWeb.v4).echo_request(1).bytes()).reason == EGRESS_REASON_PORT_DENIED);
}

/// A TCP or UDP flow that both sides talked in.
NativeGate talking(bool tcp) {
  NativeGate gate = new_gate();
  gate.grant(kWeb.v4, slot_until(gate.tables.boot_ns + 1));
  REQUIRE(gate.out(tcp ? Frame::out(kWeb.v4).tcp(kSyn).bytes() : Frame::out(kWeb.v4).udp(443).bytes()).passed());
  REQUIRE(gate.in(tcp ? Frame::in(kWeb.v4).tcp(kSynAck).bytes() : Frame::in(kWeb.v4).udp(443).bytes()).passed());
  return gate;
}

test::Bytes more_out(bool tcp) {
  return tcp ? Frame::out(kWeb.v4).tcp(kAck).bytes() : Frame::out(kWeb.v4).udp(443).bytes();
}

TEST_CASE("native: how long a silent flow lives", "[bpf]") {
  for (const bool tcp : {true, false}) {
    const std::uint64_t idle_ns = tcp ? EGRESS_TCP_IDLE_NS : EGRESS_UDP_IDLE_NS;
    NativeGate lives = talking(tcp);
    lives.pass_ns(idle_ns);
    CHECK(lives.out(more_out(tcp)).reason == EGRESS_REASON_KNOWN_FLOW);
    NativeGate dies = talking(tcp);
    dies.pass_ns(idle_ns + 1);
    CHECK_FALSE(dies.out(more_out(tcp)).passed());
  }
}

TEST_CASE("native: the sandbox alone keeps no flow alive", "[bpf]") {
  for (const bool tcp : {true, false}) {
    const std::uint64_t limit_ns = tcp ? EGRESS_TCP_UNANSWERED_NS : EGRESS_UDP_UNANSWERED_NS;
    NativeGate gate = talking(tcp);
    std::uint64_t passed_ns = 0;
    while (gate.out(more_out(tcp)).passed()) {
      gate.pass_ns(EGRESS_S);
      passed_ns += EGRESS_S;
      REQUIRE(passed_ns <= limit_ns + 2 * EGRESS_S);
    }
    CHECK(passed_ns > limit_ns);
  }
}

TEST_CASE("native: both sides together keep it until its age is reached", "[bpf]") {
  NativeGate gate = talking(true);
  gate.sandbox.flow_age_s_max = 3600;
  for (int minute = 0; minute <= 60; ++minute) {
    CHECK(gate.out(more_out(true)).passed());
    CHECK(gate.in(Frame::in(kWeb.v4).tcp(kAck).bytes()).passed());
    gate.pass_ns(minute < 60 ? 60 * EGRESS_S : 1);
  }
  CHECK(gate.out(more_out(true)).reason == EGRESS_REASON_FLOW_EXPIRED);
}

TEST_CASE("native: an unanswered SYN is forgotten, and so is a connection that both closed", "[bpf]") {
  NativeGate gate = new_gate();
  gate.grant(kWeb.v4, slot_until(kFarNs));
  REQUIRE(gate.out(Frame::out(kWeb.v4).tcp(kSyn).bytes()).passed());
  gate.pass_ns(EGRESS_TCP_SYN_NS + 1);
  CHECK(gate.in(Frame::in(kWeb.v4).tcp(kSynAck).bytes()).reason == EGRESS_REASON_FLOW_EXPIRED);

  for (const std::uint8_t last : {kFin, kRst}) {
    NativeGate closed = talking(true);
    REQUIRE(closed.out(Frame::out(kWeb.v4).tcp(kFin | kAck).bytes()).passed());
    REQUIRE(closed.in(Frame::in(kWeb.v4).tcp(static_cast<std::uint8_t>(last | kAck)).bytes()).passed());
    CHECK(closed.finished == 1);
    CHECK(closed.out(more_out(true)).reason == EGRESS_REASON_KNOWN_FLOW);  // the last packets of both sides
    CHECK(closed.out(Frame::out(kWeb.v4).tcp(kRst).bytes()).passed());
    CHECK(closed.finished == 1);
    closed.pass_ns(EGRESS_TCP_CLOSING_NS + 1);
    CHECK_FALSE(closed.out(more_out(true)).passed());
  }
}

TEST_CASE("native: a policy change judges a flow again by its name", "[bpf]") {
  for (const int kept : {0, 1, 2}) {  // the name is gone; it may use all ports; it may use 443 only
    for (const std::uint16_t port : {std::uint16_t{443}, std::uint16_t{8443}}) {
      NativeGate gate = new_gate();
      gate.grant(kWeb.v4, slot_until(kFarNs));
      REQUIRE(gate.out(Frame::out(kWeb.v4).tcp(kSyn, port).bytes()).passed());
      REQUIRE(gate.in(Frame::in(kWeb.v4).tcp(kSynAck, port).bytes()).passed());
      gate.sandbox.min_generation = 2;
      if (kept != 0) {
        gate.tables.name_ok[{3, 0}] = {.port_set = kept == 1 ? EGRESS_PORTS_ALL : kPorts, .rule = 8};
      }
      const bool allowed = kept == 1 || (kept == 2 && port == 443);
      CHECK(gate.out(Frame::out(kWeb.v4).tcp(kAck, port).bytes()).passed() == allowed);
      CHECK(gate.in(Frame::in(kWeb.v4).tcp(kAck, port).bytes()).passed() == allowed);
      CHECK(gate.out(Frame::out(kWeb.v4).tcp(kSyn, port, 41000).bytes()).passed() == allowed);
      CHECK((!allowed || gate.tables.flows.begin()->second.rule == 8));
    }
  }
}

TEST_CASE("native: lockdown cuts both directions", "[bpf]") {
  NativeGate gate = talking(true);
  gate.sandbox.mode = EGRESS_MODE_LOCKDOWN;
  CHECK(gate.out(more_out(true)).reason == EGRESS_REASON_LOCKDOWN);
  CHECK(gate.in(Frame::in(kWeb.v4).tcp(kAck).bytes()).reason == EGRESS_REASON_LOCKDOWN);
}

TEST_CASE("native: prefixes of every length contain what they say", "[bpf]") {
  std::mt19937 random(4);
  for (int bits = 0; bits <= 128; ++bits) {
    Address base;
    for (auto& byte : base.bytes) {
      byte = static_cast<std::uint8_t>(random());
    }
    const egress_prefix prefix{raw_address(masked(base, bits)), static_cast<__u32>(bits)};
    const egress_addr inside = raw_address(base);
    CHECK(egress_in_prefix(&inside, &prefix) != 0);
    if (bits > 0) {
      Address other = base;
      const auto last = static_cast<std::size_t>(bits - 1);
      other.bytes[last / 8] = static_cast<std::uint8_t>(other.bytes[last / 8] ^ (0x80 >> (last % 8)));
      const egress_addr outside = raw_address(other);
      CHECK(egress_in_prefix(&outside, &prefix) == 0);
    }
  }
}

}  // namespace
}  // namespace postern::testing
