// SPDX-License-Identifier: Apache-2.0
//
// What the programs tell: an event for each verdict but the dull ones, within a rate, with what was lost.
#include <arpa/inet.h>
#include <bpf/libbpf.h>

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <memory>

#include "base/clock.h"
#include "gate.skel.h"
#include "tests/bpf/row.h"

namespace postern::test {
namespace {

/// The ring, emptied at the start.
class Events {
 public:
  explicit Events(Lab& lab)
      : ring_(ring_buffer__new(bpf_map__fd(lab.gate().skeleton().maps.events), &Events::take, this, nullptr),
              &ring_buffer__free) {
    REQUIRE(ring_);
    read();
  }

  /// Those since the last time.
  std::vector<egress_event> read() {
    events_.clear();
    ring_buffer__consume(ring_.get());
    return events_;
  }

 private:
  static int take(void* self, void* data, std::size_t bytes) {
    egress_event event{};
    if (bytes != sizeof(event)) {
      return -1;
    }
    std::memcpy(&event, data, bytes);
    static_cast<Events*>(self)->events_.push_back(event);
    return 0;
  }

  std::unique_ptr<ring_buffer, decltype(&ring_buffer__free)> ring_;
  std::vector<egress_event> events_;
};

}  // namespace

TEST_CASE("an event says what the packet was and why") {
  Lab& lab = Lab::get();
  lab.reset();
  lab.grant(kWeb.v6);
  Events events(lab);
  const Frame frame = Frame::out(kWeb.v6).tcp(kSyn, 80);
  const std::uint64_t before = clock_ns(CLOCK_BOOTTIME);
  lab.run(sends(frame));
  const auto seen = events.read();
  REQUIRE(seen.size() == 1);
  const egress_event& event = seen[0];
  CHECK(event.time_boot_ns >= before);
  CHECK(event.time_boot_ns <= clock_ns(CLOCK_BOOTTIME));
  CHECK(event.sandbox == kSandbox);
  CHECK(event.ifindex == lab.ifindex());
  CHECK(event.policy == kPolicy);
  CHECK(event.rule == kRule);
  CHECK(event.name == kName);
  CHECK(event.length == frame.bytes().size());
  const egress_addr src = to_kernel(kOwn.v6);
  const egress_addr dst = to_kernel(kWeb.v6);
  CHECK(std::memcmp(&event.src, &src, sizeof(src)) == 0);
  CHECK(std::memcmp(&event.dst, &dst, sizeof(dst)) == 0);
  CHECK(ntohs(event.src_port) == kLocalPort);
  CHECK(ntohs(event.dst_port) == 80);
  CHECK(event.ethertype == 0x86dd);
  CHECK(std::memcmp(event.src_mac, kOwnMac.data(), 6) == 0);
  CHECK(std::memcmp(event.dst_mac, kHostMac.data(), 6) == 0);
  CHECK(event.reason == EGRESS_REASON_PORT_DENIED);
  CHECK(event.direction == EGRESS_OUT);
  CHECK(event.protocol == 6);
  CHECK(event.tcp_flags == kSyn);
  CHECK(event.lost == 0);
}

TEST_CASE("an event of a malformed packet has what was read before that") {
  Lab& lab = Lab::get();
  lab.reset();
  Events events(lab);
  lab.run(sends(Frame::raw(0x88cc, Bytes(46))));
  const auto seen = events.read();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].reason == EGRESS_REASON_ETHERTYPE);
  CHECK(seen[0].ethertype == 0x88cc);
  CHECK(std::memcmp(seen[0].src_mac, kOwnMac.data(), 6) == 0);
  const egress_addr none{};
  CHECK(std::memcmp(&seen[0].src, &none, sizeof(none)) == 0);
}

TEST_CASE("neighbours, DNS and known flows make no events") {
  Lab& lab = Lab::get();
  lab.reset();
  lab.grant(kWeb.v4);
  lab.run(sends(Frame::out(kWeb.v4).tcp(kSyn)));
  Events events(lab);
  CHECK(lab.run(receives(Frame::in(kWeb.v4).tcp(kSynAck))).reason == EGRESS_REASON_KNOWN_FLOW);
  CHECK(lab.run(sends(Frame::arp(1, kOwn.v4, kNode.v4))).reason == EGRESS_REASON_NEIGHBOUR);
  CHECK(lab.run(sends(Frame::out(kWeb.v4).udp(53))).reason == EGRESS_REASON_DNS_STEERED);
  CHECK(events.read().empty());
}

TEST_CASE("reports of multicast groups are dropped and counted as ever, without an event") {
  Lab& lab = Lab::get();
  lab.reset();
  Events events(lab);
  const auto drop = [&](const Packet& packet) {
    const Outcome outcome = lab.run(packet);
    CHECK(outcome.verdict == Verdict::kShot);
    CHECK(outcome.reason == EGRESS_REASON_EXTENSION_HEADER);
    CHECK(outcome.counted == 1);
    return events.read().size();
  };
  constexpr std::uint8_t kReport = 143;
  const Address routers = address("ff02::16");
  const Frame report = Frame::out(routers).icmp(kReport).hop_limit(1).extension(0);
  CHECK(drop(sends(report.src(kOwnLinkLocal))) == 0);
  CHECK(drop(sends(report.src(address("::")))) == 0);  // before it has an address, RFC 3590
  CHECK(drop(receives(Frame::in(kNode.v6).dst(routers).icmp(kReport).hop_limit(1).extension(0))) == 0);
  // Anything but that shows, and cannot hide behind it.
  CHECK(drop(sends(report.dst(address("ff02::17")))) == 1);
  CHECK(drop(sends(report.dst(address("ff05::16")))) == 1);
  CHECK(drop(sends(report.dst(kWeb.v6))) == 1);
  CHECK(drop(sends(Frame::out(routers).icmp(kReport).hop_limit(1).extension(43))) == 1);
  CHECK(lab.run(sends(Frame::out(routers).icmp(kReport).hop_limit(1))).verdict == Verdict::kShot);
  CHECK(events.read().size() == 1);
}

TEST_CASE("events have a rate; what is not sent is counted, and the counters are exact") {
  Lab& lab = Lab::get();
  lab.reset();
  Events events(lab);
  constexpr std::uint32_t kTooMany = EGRESS_EVENTS_PER_S + 123;
  const Packet denied = sends(Frame::out(kWeb.v4).tcp(kSyn));
  const Outcome outcome = lab.run(denied, kTooMany);
  CHECK(outcome.counted == kTooMany);
  CHECK(events.read().size() == EGRESS_EVENTS_PER_S);
  CHECK(lab.state().events_lost == 123);
  // The first of the next second says so.
  lab.begin_next_second();
  lab.run(denied);
  const auto seen = events.read();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].lost == 123);
  CHECK(lab.state().events_lost == 0);
}

}  // namespace postern::test
