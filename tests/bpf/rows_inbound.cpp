// SPDX-License-Identifier: Apache-2.0
//
// Who may connect to the sandbox, and what it may answer; ICMP of both directions.
#include <catch2/catch_test_macros.hpp>

#include "tests/bpf/row.h"

namespace postern::test {
namespace {

constexpr std::uint16_t kServed = 8080;  // by the sandbox
constexpr std::uint16_t kPeerPort = 50000;
constexpr std::uint16_t kIdentifier = 77;

Frame in_tcp(const Address& from, std::uint8_t flags) { return Frame::in(from).tcp(flags, kPeerPort, kServed); }
Frame out_tcp(const Address& to, std::uint8_t flags) { return Frame::out(to).tcp(flags, kPeerPort, kServed); }

const Given kLinkPeers = [](Lab& lab) {
  lab.change_sandbox([](egress_sandbox& sandbox) { sandbox.inbound = EGRESS_INBOUND_LINK; });
};
const Given kChanged = [](Lab& lab) { lab.raise_generation(); };

struct Family {
  Address node;
  Address neighbour;
  Address web;
  Address other;
  const char* prefix;  // with web in it
};
const std::vector<Family>& families() {
  static const std::vector<Family> both = {{kNode.v4, kNeighbour.v4, kWeb.v4, kOther.v4, "198.51.100.0/24"},
                                           {kNode.v6, kNeighbour.v6, kWeb.v6, kOther.v6, "2001:db8:100::/48"}};
  return both;
}

void add_connections(std::vector<Row>& rows, const Family& f) {
  const std::string of = " (" + f.node.to_string() + ")";
  const auto denied = [&](std::string what, const Given& given, const Frame& frame) {
    rows.push_back({std::move(what) + of, given, receives(frame), drops(reason::kINBOUND_DENIED), opens_nothing()});
  };
  const auto allowed = [&](std::string what, const Given& given, const Frame& frame) {
    rows.push_back(
        {std::move(what) + of, given, receives(frame), passes(reason::kINBOUND_ALLOWED), opens(EGRESS_BASIS_INBOUND)});
  };
  denied("a stranger connects", {}, in_tcp(f.web, kSyn));
  denied("a stranger sends a datagram", {}, Frame::in(f.web).udp(kPeerPort, kServed));
  denied("a stranger sends an acknowledgement", {}, in_tcp(f.web, kAck));
  denied("a granted address connects", granted(f.web, {.ports = kAllPorts}), in_tcp(f.web, kSyn));
  denied("an address that a rule allows to reach connects", ruled(f.prefix, allows(kAllPorts)), in_tcp(f.web, kSyn));
  allowed("the node probes", {}, in_tcp(f.node, kSyn));
  denied("the node sends a datagram", {}, Frame::in(f.node).udp(kPeerPort, kServed));
  denied("the node sends an answer that nobody asked for", {}, in_tcp(f.node, kSynAck));
  denied("the node probes an address that is not the sandbox's", {}, in_tcp(f.node, kSyn).dst(f.other));
  denied("a neighbour connects", {}, in_tcp(f.neighbour, kSyn));
  allowed("a neighbour connects, where the link is let in", kLinkPeers, in_tcp(f.neighbour, kSyn));
  allowed("a neighbour sends a datagram, where the link is let in", kLinkPeers,
          Frame::in(f.neighbour).udp(kPeerPort, kServed));
  denied("a neighbour pings, where the link is let in", kLinkPeers, Frame::in(f.neighbour).echo_request(kIdentifier));
  denied("a stranger connects, where the link is let in", kLinkPeers, in_tcp(f.web, kSyn));
  allowed("a peer that a rule lets in", ruled(f.prefix, lets_in(kAllPorts)), in_tcp(f.web, kSyn));
  denied("a peer that a rule lets in at another port", ruled(f.prefix, lets_in(kPostgresPorts)), in_tcp(f.web, kSyn));
  allowed("a peer that a rule lets in at this port", ruled(f.prefix, lets_in(kPostgresPorts)),
          Frame::in(f.web).tcp(kSyn, kPeerPort, 5432));
  rows.push_back({"a peer that a rule denies" + of,
                  ruled(f.prefix, {.deny_ports = kAllPorts, .inbound_ports = kAllPorts}), receives(in_tcp(f.web, kSyn)),
                  drops(reason::kCIDR_DENIED), opens_nothing()});
}

void add_replies(std::vector<Row>& rows, const Family& f) {
  const std::string of = " (" + f.node.to_string() + ")";
  const Given probed = after(receives(in_tcp(f.node, kSyn)));
  rows.push_back({"the answer to a probe, though the node's address is closed" + of, probed,
                  sends(out_tcp(f.node, kSynAck)), passes(reason::kINBOUND_REPLY),
                  [](Lab& lab, const Row& row, const Outcome&) {
                    const auto flow = lab.flow_of(row.packet);
                    REQUIRE(flow);
                    CHECK(flow->packets_out == 1);
                    CHECK(flow->bytes_out == row.packet.frame.bytes().size());
                    CHECK(lab.state().flow_bytes[EGRESS_OUT] == flow->bytes_out);
                  }});
  rows.push_back({"a probe's own next packet" + of, in_turn({probed, after(sends(out_tcp(f.node, kSynAck)))}),
                  receives(in_tcp(f.node, kAck)), passes(reason::kKNOWN_FLOW)});
  rows.push_back(
      {"an inbound flow lets no SYN out" + of, probed, sends(out_tcp(f.node, kSyn)), drops(reason::kNODE_ADDRESS)});
  const Given let_in = in_turn({ruled(f.prefix, lets_in(kAllPorts)), after(receives(in_tcp(f.web, kSyn)))});
  rows.push_back({"nor where the peer is an ordinary address" + of, let_in, sends(out_tcp(f.web, kSyn)),
                  drops(reason::kNOT_GRANTED)});
  rows.push_back({"an inbound flow opens no other port" + of, let_in,
                  sends(Frame::out(f.web).tcp(kAck, kPeerPort, kServed + 1)), drops(reason::kNO_FLOW)});
  rows.push_back({"an answer by UDP to a peer on the link" + of,
                  in_turn({kLinkPeers, after(receives(Frame::in(f.neighbour).udp(kPeerPort, kServed)))}),
                  sends(Frame::out(f.neighbour).udp(kPeerPort, kServed)), passes(reason::kINBOUND_REPLY)});
  rows.push_back({"a datagram that was not let in opens nothing" + of,
                  after(receives(Frame::in(f.neighbour).udp(kPeerPort, kServed))),
                  sends(Frame::out(f.neighbour).udp(kPeerPort, kServed)), drops(reason::kNOT_GRANTED),
                  opens_nothing()});
  // After a policy change it is the new rules for inbound that count.
  rows.push_back({"a kept inbound connection" + of, in_turn({let_in, kChanged}), sends(out_tcp(f.web, kSynAck)),
                  passes(reason::kINBOUND_REPLY)});
  rows.push_back({"an inbound connection that is let in no more" + of,
                  in_turn({let_in, [](Lab& lab) { lab.forget_cidrs(); }, kChanged}), sends(out_tcp(f.web, kSynAck)),
                  drops(reason::kPOLICY_CHANGED)});
  rows.push_back({"the peer's packet in it" + of, in_turn({let_in, [](Lab& lab) { lab.forget_cidrs(); }, kChanged}),
                  receives(in_tcp(f.web, kAck)), drops(reason::kPOLICY_CHANGED)});
  rows.push_back({"a new deny cuts an inbound connection" + of,
                  in_turn({let_in, ruled(f.prefix, {.deny_ports = kAllPorts, .inbound_ports = kAllPorts}), kChanged}),
                  sends(out_tcp(f.web, kSynAck)), drops(reason::kCIDR_DENIED)});
}

void add_echo(std::vector<Row>& rows, const Family& f) {
  const std::string of = " (" + f.web.to_string() + ")";
  const Frame request = Frame::out(f.web).echo_request(kIdentifier);
  rows.push_back({"a ping" + of, {}, sends(request), drops(reason::kNOT_GRANTED), opens_nothing()});
  rows.push_back({"a ping to an address granted for TCP" + of, granted(f.web), sends(request),
                  drops(reason::kPORT_DENIED), opens_nothing()});
  const Given by_rule = ruled(f.prefix, allows(kEchoPorts));
  rows.push_back({"a ping that a rule allows" + of, by_rule, sends(request), passes(reason::kALLOWED_BY_CIDR),
                  opens(EGRESS_BASIS_CIDR)});
  rows.push_back({"its answer" + of, in_turn({by_rule, after(sends(request))}),
                  receives(Frame::in(f.web).echo_reply(kIdentifier)), passes(reason::kKNOWN_FLOW)});
  rows.push_back({"an answer to another ping" + of, in_turn({by_rule, after(sends(request))}),
                  receives(Frame::in(f.web).echo_reply(kIdentifier + 1)), drops(reason::kINBOUND_DENIED)});
  rows.push_back({"an answer to no ping" + of, by_rule, sends(Frame::out(f.web).echo_reply(kIdentifier)),
                  drops(reason::kICMP_DENIED), opens_nothing()});
  // Only echo has an identifier; another type must not pass for the echo flow of identifier 0.
  const Given of_zero = in_turn({by_rule, after(sends(Frame::out(f.web).echo_request(0)))});
  const std::uint8_t no_echo = f.web.is_v4() ? 13 : 139;
  rows.push_back({"another type in an echo flow of identifier 0" + of, of_zero, sends(Frame::out(f.web).icmp(no_echo)),
                  drops(reason::kICMP_DENIED)});
  rows.push_back({"another type in it, from" + of, of_zero, receives(Frame::in(f.web).icmp(no_echo)),
                  drops(reason::kINBOUND_DENIED)});
  const Given pinged =
      in_turn({ruled(f.prefix, lets_in(kEchoPorts)), after(receives(Frame::in(f.web).echo_request(kIdentifier)))});
  rows.push_back({"a peer's ping that a rule lets in" + of, ruled(f.prefix, lets_in(kEchoPorts)),
                  receives(Frame::in(f.web).echo_request(kIdentifier)), passes(reason::kINBOUND_ALLOWED),
                  opens(EGRESS_BASIS_INBOUND)});
  rows.push_back({"the sandbox answers it" + of, pinged, sends(Frame::out(f.web).echo_reply(kIdentifier)),
                  passes(reason::kINBOUND_REPLY)});
  for (const std::uint8_t type : std::initializer_list<std::uint8_t>{5, 9, 10, 13, 17, 42, 130, 137, 160}) {
    rows.push_back({"ICMP type " + std::to_string(type) + of, granted(f.web, {.ports = kAllPorts}),
                    sends(Frame::out(f.web).icmp(type)), drops(reason::kICMP_DENIED), opens_nothing()});
    rows.push_back({"ICMP type " + std::to_string(type) + " from" + of,
                    {},
                    receives(Frame::in(f.web).icmp(type)),
                    drops(reason::kINBOUND_DENIED),
                    opens_nothing()});
  }
}

void add_errors(std::vector<Row>& rows, const Family& f) {
  const std::string of = " (" + f.web.to_string() + ")";
  const Frame syn = Frame::out(f.web).tcp(kSyn);
  const Given asked = in_turn({granted(f.web), after(sends(syn))});
  // Any router on the path may send it: f.other.
  const Packet error = receives(Frame::in(f.other).unreachable(syn));
  rows.push_back({"an error about a live flow" + of, asked, error, passes(reason::kICMP_RELATED)});
  rows.push_back({"an error about no flow" + of, granted(f.web), error, drops(reason::kICMP_DENIED), opens_nothing()});
  rows.push_back({"an error about another port" + of, asked,
                  receives(Frame::in(f.other).unreachable(Frame::out(f.web).tcp(kSyn, kHttps + 1))),
                  drops(reason::kICMP_DENIED)});
  rows.push_back({"an error about nothing" + of, asked, receives(Frame::in(f.other).icmp(f.web.is_v4() ? 3 : 1, 4)),
                  drops(reason::kICMP_DENIED)});
  rows.push_back({"an error about a flow that a policy change cut" + of, in_turn({asked, kChanged}), error,
                  drops(reason::kICMP_DENIED)});
  rows.push_back(
      {"an error about a ping" + of,
       in_turn({ruled(f.prefix, allows(kEchoPorts)), after(sends(Frame::out(f.web).echo_request(kIdentifier)))}),
       receives(Frame::in(f.other).unreachable(Frame::out(f.web).echo_request(kIdentifier))),
       passes(reason::kICMP_RELATED)});
  const Given flooded = [error](Lab& lab) {
    const Outcome before = lab.run(error, EGRESS_ICMP_ERRORS_PER_S);
    CHECK(before.reason == reason::kICMP_RELATED);
  };
  rows.push_back(
      {"more errors than a second may have" + of, in_turn({asked, flooded}), error, drops(reason::kICMP_RATE)});

  const Frame probe = in_tcp(f.node, kSyn);
  const Given probed = after(receives(probe));
  rows.push_back({"the sandbox's error about an inbound flow" + of, probed,
                  sends(Frame::out(f.node).unreachable(probe)), passes(reason::kICMP_RELATED)});
  rows.push_back({"sent to somebody else" + of, in_turn({probed, granted(f.web, {.ports = kAllPorts})}),
                  sends(Frame::out(f.web).unreachable(probe)), drops(reason::kICMP_DENIED)});
  rows.push_back({"the sandbox's error about a flow of its own" + of, asked,
                  sends(Frame::out(f.web).unreachable(Frame::in(f.web).tcp(kSynAck))), drops(reason::kICMP_DENIED)});
  rows.push_back({"the sandbox's error about nothing" + of, granted(f.web, {.ports = kAllPorts}),
                  sends(Frame::out(f.web).icmp(f.web.is_v4() ? 3 : 1, 4)), drops(reason::kICMP_DENIED),
                  opens_nothing()});
}

}  // namespace

std::vector<Row> inbound_rows() {
  std::vector<Row> rows;
  for (const Family& family : families()) {
    add_connections(rows, family);
    add_replies(rows, family);
  }
  return rows;
}

std::vector<Row> icmp_rows() {
  std::vector<Row> rows;
  for (const Family& family : families()) {
    add_echo(rows, family);
    add_errors(rows, family);
  }
  return rows;
}

}  // namespace postern::test
