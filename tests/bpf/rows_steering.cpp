// SPDX-License-Identifier: Apache-2.0
//
// Port 53 goes to the DNS proxy, whatever its destination, and what comes back goes to the sandbox.
#include <algorithm>

#include <catch2/catch_test_macros.hpp>

#include "tests/bpf/row.h"

namespace postern::test {
namespace {

constexpr std::uint16_t kDns = 53;

/// Only the Ethernet addresses are changed: to the steering link's other end, from 02:50 and the id.
void carries_the_id(Lab&, const Row& row, const Outcome& outcome) {
  Bytes expected = row.packet.frame.bytes();
  constexpr Mac kFrom = {EGRESS_STEER_MAC0, EGRESS_STEER_MAC1, 0, 0, 0, kSandbox};
  std::ranges::copy(kSteerMac, expected.begin());
  std::ranges::copy(kFrom, expected.begin() + 6);
  CHECK(outcome.frame == expected);
}

void goes_to_the_sandbox(Lab&, const Row& row, const Outcome& outcome) {
  Bytes expected = row.packet.frame.bytes();
  std::ranges::copy(kOwnMac, expected.begin());
  std::ranges::copy(kHostMac, expected.begin() + 6);
  CHECK(outcome.frame == expected);
  CHECK(outcome.counted == 0);  // to_sandbox counts it when it leaves there
}

void add_queries(std::vector<Row>& rows) {
  for (const char* text :
       {"198.51.100.53", "10.7.0.1", "10.7.0.9", "169.254.20.10", "169.254.169.254", "127.0.0.53", "224.0.0.251",
        "2001:db8:100::53", "2001:db8:7::1", "fe80::1", "fd00:ec2::253", "::1", "64:ff9b::a9fe:a9fe"}) {
    const Address server = address(text);
    rows.push_back({std::string("a DNS datagram to ") + text,
                    {},
                    sends(Frame::out(server).udp(kDns)),
                    redirects(reason::kDNS_STEERED),
                    carries_the_id});
    rows.push_back({std::string("a DNS connection to ") + text,
                    {},
                    sends(Frame::out(server).tcp(kSyn, kDns)),
                    redirects(reason::kDNS_STEERED),
                    carries_the_id});
  }
  const Address server = address("198.51.100.53");
  rows.push_back({"an acknowledgement in a DNS connection",
                  {},
                  sends(Frame::out(server).tcp(kAck, kDns)),
                  redirects(reason::kDNS_STEERED),
                  carries_the_id});
  rows.push_back({"DNS to a server that a rule allows altogether", ruled("0.0.0.0/0", allows(kAllPorts)),
                  sends(Frame::out(server).udp(kDns)), redirects(reason::kDNS_STEERED), carries_the_id});
  rows.push_back({"DNS to a server that a rule denies", ruled("0.0.0.0/0", denies(kAllPorts)),
                  sends(Frame::out(server).udp(kDns)), redirects(reason::kDNS_STEERED), carries_the_id});
  rows.push_back({"a fragment of a DNS datagram",
                  {},
                  sends(Frame::out(server).udp(kDns).fragment(0x2000)),
                  drops(reason::kFRAGMENT),
                  opens_nothing()});
  rows.push_back({"DNS over TLS is a port like any other",
                  {},
                  sends(Frame::out(server).tcp(kSyn, 853)),
                  drops(reason::kNOT_GRANTED),
                  opens_nothing()});
  rows.push_back({"multicast DNS is a port like any other",
                  {},
                  sends(Frame::out(address("224.0.0.251")).udp(5353)),
                  drops(reason::kNEVER_LIST),
                  opens_nothing()});
  const Given no_link = [](Lab& lab) { lab.forget_steering(); };
  rows.push_back({"DNS without a steering link", no_link, sends(Frame::out(server).udp(kDns)),
                  drops(reason::kSTEER_FAILED), opens_nothing()});
  rows.push_back({"DNS without a steering link, over IPv6", no_link, sends(Frame::out(kWeb.v6).tcp(kSyn, kDns)),
                  drops(reason::kSTEER_FAILED), opens_nothing()});
}

void add_answers(std::vector<Row>& rows) {
  for (const Address& server : {kWeb.v4, kWeb.v6}) {
    const std::string from = " from " + server.to_string();
    const Frame datagram = Frame::in(server).udp(kDns);
    rows.push_back({"an answer on the steering link" + from,
                    {},
                    answers(datagram),
                    redirects(reason::kNONE),
                    goes_to_the_sandbox});
    rows.push_back({"an answer over TCP on the steering link" + from,
                    {},
                    answers(Frame::in(server).tcp(kSynAck, kDns)),
                    redirects(reason::kNONE),
                    goes_to_the_sandbox});
    Packet delivered = receives(datagram);
    delivered.from_steering = true;
    rows.push_back({"an answer that came over the steering link" + from,
                    {},
                    delivered,
                    passes(reason::kDNS_ANSWER),
                    opens_nothing()});
    rows.push_back({"lockdown, an answer that came over the steering link" + from,
                    [](Lab& lab) { lab.change_sandbox([](egress_sandbox& entry) { entry.mode = EGRESS_MODE_LOCKDOWN; }); },
                    delivered,
                    drops(reason::kLOCKDOWN),
                    opens_nothing()});
    rows.push_back({"an answer that came from elsewhere" + from,
                    {},
                    receives(datagram),
                    drops(reason::kINBOUND_DENIED),
                    opens_nothing()});
    const Expected lost = {Verdict::kShot, reason::kSTEER_NO_SANDBOX, 0};
    rows.push_back({"an answer to no sandbox's address" + from,
                    {},
                    answers(datagram.dst(server.is_v4() ? kOther.v4 : kOther.v6)),
                    lost,
                    opens_nothing()});
    rows.push_back({"something else on the steering link" + from,
                    {},
                    answers(Frame::in(server).udp(kDns + 1)),
                    lost,
                    opens_nothing()});
    rows.push_back({"an answer to a sandbox that is gone" + from, [](Lab& lab) { lab.forget_sandbox(); },
                    answers(datagram), lost, opens_nothing()});
    rows.push_back({"an answer in fragments" + from, {}, answers(datagram.fragment(0x2000)), lost, opens_nothing()});
  }
  rows.push_back({"ARP on the steering link",
                  {},
                  answers(Frame::arp(1, kWeb.v4, kOwn.v4)),
                  {Verdict::kShot, reason::kSTEER_NO_SANDBOX, 0},
                  opens_nothing()});
}

}  // namespace

std::vector<Row> steering_rows() {
  std::vector<Row> rows;
  add_queries(rows);
  add_answers(rows);
  return rows;
}

}  // namespace postern::test
