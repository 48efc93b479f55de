// SPDX-License-Identifier: Apache-2.0
//
// The attached programs on real frames: what only a wire shows.
#include <catch2/catch_test_macros.hpp>

#include "tests/bpf/lab.h"
#include "tests/bpf/wait.h"
#include "tests/bpf/witness.h"
#include "tests/bpf/world.h"

namespace postern::test {
namespace {

/// The lab's sandbox with the gate on its interface.
class Attached {
 public:
  Attached() : lab_(Lab::get()) {
    lab_.reset();
    must(lab_.gate().attach_sandbox(lab_.ifindex()));
    lab_.clear_counters();
  }
  Attached(const Attached&) = delete;
  Attached& operator=(const Attached&) = delete;
  ~Attached() { must(lab_.gate().detach_sandbox(lab_.ifindex())); }

  Lab& lab() { return lab_; }
  bool counts(unsigned reason, std::uint64_t packets, std::uint8_t direction = EGRESS_OUT) const {
    return eventually([&] { return lab_.counted(reason, direction) >= packets; });
  }

 private:
  Lab& lab_;
};

}  // namespace

TEST_CASE("IP headers that are cut short on the wire") {
  Attached gate;
  std::uint64_t sent = 0;
  for (const Address& to : {kWeb.v4, kWeb.v6}) {
    for (const std::size_t bytes : {15u, 33u, 34u, 53u, 54u}) {
      const Frame frame = Frame::out(to).tcp(kSyn);
      // 34 and 54 bytes hold the whole header, whose length then speaks of more than there is.
      const bool whole = bytes >= (to.is_v4() ? 34u : 54u);
      send("lab-peer", frame.cut(bytes));
      INFO(to.to_string() << " cut to " << bytes);
      if (!whole) {
        CHECK(gate.counts(EGRESS_REASON_TRUNCATED, ++sent));
      }
    }
  }
  CHECK(gate.counts(EGRESS_REASON_BAD_HEADER, 3));
  CHECK(gate.lab().flow_count() == 0);
}

TEST_CASE("a checksum left open is written where one belongs, or the packet is dropped") {
  Attached gate;
  Lab& lab = gate.lab();
  if (!kernel_is_at_least(6, 2)) {
    SKIP("a program cannot see what the sender left open before kernel 6.2");
  }
  for (const Address& to : {kWeb.v4, kWeb.v6}) {
    lab.grant(to);
    INFO("to " << to.to_string());
    const Frame syn = Frame::out(to).tcp(kSyn);
    const std::uint16_t l4 = to.is_v4() ? 34 : 54;
    const std::uint64_t bad = lab.counted(EGRESS_REASON_BAD_HEADER, EGRESS_OUT);
    const std::uint64_t good = lab.counted(EGRESS_REASON_ALLOWED_BY_NAME, EGRESS_OUT);
    send_with_open_checksum("lab-peer", syn, l4, 16);
    CHECK(gate.counts(EGRESS_REASON_ALLOWED_BY_NAME, good + 1));
    send_with_open_checksum("lab-peer", syn, l4, 2);   // over the port
    send_with_open_checksum("lab-peer", syn, l4, 13);  // over the flags
    send_with_open_checksum("lab-peer", syn, static_cast<std::uint16_t>(l4 + 1), 15);
    send_with_open_checksum("lab-peer", Frame::out(to).udp(kHttps), l4, 16);  // in a datagram's body
    CHECK(gate.counts(EGRESS_REASON_BAD_HEADER, bad + 4));
    CHECK(lab.counted(EGRESS_REASON_ALLOWED_BY_NAME, EGRESS_OUT) == good + 1);
  }
}

TEST_CASE("a steered query arrives at the other end of the steering link, and its answer at the sandbox") {
  Attached gate;
  Lab& lab = gate.lab();
  must(lab.gate().attach_steering(index_of("lab-steer")));
  Witness at_proxy;
  at_proxy.attach(index_of("lab-steer-p"), Hook::kIngress);
  Witness at_sandbox;
  at_sandbox.attach(index_of("lab-peer"), Hook::kIngress);

  send("lab-peer", Frame::out(kWeb.v4).udp(53));
  CHECK(at_proxy.sees(1));
  CHECK(gate.counts(EGRESS_REASON_DNS_STEERED, 1));
  send("lab-steer-p", Frame::in(kWeb.v4).udp(53));
  CHECK(at_sandbox.sees(1));
  CHECK(gate.counts(EGRESS_REASON_DNS_ANSWER, 1, EGRESS_IN));
  // Nothing else comes that way.
  send("lab-steer-p", Frame::in(kWeb.v4).udp(443));
  CHECK(gate.counts(EGRESS_REASON_STEER_NO_SANDBOX, 1, EGRESS_IN));
  CHECK(at_sandbox.count() == 1);
}

TEST_CASE("a connection through the attached gate") {
  Attached gate;
  Lab& lab = gate.lab();
  lab.grant(kWeb.v6);
  Witness behind;
  behind.attach(lab.ifindex(), Hook::kIngress);
  Witness at_sandbox;
  at_sandbox.attach(index_of("lab-peer"), Hook::kIngress);

  send("lab-peer", Frame::out(kWeb.v6).tcp(kSyn));
  CHECK(behind.sees(1));
  send("lab", Frame::in(kWeb.v6).tcp(kSynAck));
  CHECK(at_sandbox.sees(1));
  send("lab-peer", Frame::out(kWeb.v6).tcp(kAck));
  CHECK(behind.sees(2));
  CHECK(lab.state().flow_packets[EGRESS_OUT] == 1);
  CHECK(lab.state().flow_packets[EGRESS_IN] == 1);
  send("lab", Frame::in(kOther.v6).tcp(kSyn));
  CHECK(gate.counts(EGRESS_REASON_INBOUND_DENIED, 1, EGRESS_IN));
  CHECK(at_sandbox.count() == 1);
}

}  // namespace postern::test
