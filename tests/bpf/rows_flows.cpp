// SPDX-License-Identifier: Apache-2.0
//
// Flows: how one begins, what it lets pass, when it ends, and what a policy change does to it.
#include <catch2/catch_test_macros.hpp>

#include "bpf/flow.h"
#include "tests/bpf/row.h"

namespace postern::test {
namespace {

Frame syn(const Address& to) { return Frame::out(to).tcp(kSyn); }
Frame ack(const Address& to) { return Frame::out(to).tcp(kAck).payload(100); }

/// A connection that both sides talk in.
Given connected(const Address& to) {
  return in_turn(
      {granted(to), after(sends(syn(to))), after(receives(Frame::in(to).tcp(kSynAck))), after(sends(ack(to)))});
}

Given talking(const Address& to) {
  return in_turn({granted(to, {.ports = kRangePorts}), after(sends(Frame::out(to).udp(kHttps))),
                  after(receives(Frame::in(to).udp(kHttps)))});
}

Given aged(const Packet& packet, std::function<void(egress_flow&)> change) {
  return [packet, change = std::move(change)](Lab& lab) { lab.change_flow(packet, change); };
}

const Given kNoGrants = [](Lab& lab) { lab.forget_grants(); };

/// mono_ns() may be less than this since boot: the difference is what counts, also around zero.
std::uint64_t ago(std::uint64_t ns) { return mono_ns() - ns; }

/// Somebody outside spoke last a second before the sandbox began to talk alone.
std::function<void(egress_flow&)> unanswered(std::uint64_t ns) {
  return [ns](egress_flow& flow) {
    flow.last_in_mono_ns = ago(ns + EGRESS_S);
    flow.unanswered_mono_ns = ago(ns);
  };
}

Then closed_flows(std::size_t live, std::size_t finished) {
  return [=](Lab& lab, const Row&, const Outcome&) {
    CHECK(lab.flow_count() == live);
    CHECK(lab.finished_count() == finished);
  };
}

void add_life(std::vector<Row>& rows, const Address& web) {
  const std::string to = " " + web.to_string();
  const Frame in_ack = Frame::in(web).tcp(kAck);
  rows.push_back({"the answer to a SYN from" + to, in_turn({granted(web), after(sends(syn(web)))}),
                  receives(Frame::in(web).tcp(kSynAck)), passes(reason::kKNOWN_FLOW),
                  [](Lab& lab, const Row& row, const Outcome&) {
                    const auto flow = lab.flow_of(row.packet);
                    REQUIRE(flow);
                    CHECK((flow->state & EGRESS_FLOW_ANSWERED) != 0);
                    CHECK(flow->packets_out == 1);
                    CHECK(flow->packets_in == 1);
                    CHECK(flow->bytes_in == row.packet.frame.bytes().size());
                    CHECK(egress_since(flow->last_in_mono_ns, flow->unanswered_mono_ns) == 0);
                  }});
  rows.push_back({"a connection goes on to" + to, connected(web), sends(ack(web)), passes(reason::kKNOWN_FLOW)});
  rows.push_back({"a connection goes on from" + to, connected(web), receives(in_ack), passes(reason::kKNOWN_FLOW)});
  rows.push_back({"a connection outlives its grant to" + to, in_turn({connected(web), kNoGrants}), sends(ack(web)),
                  passes(reason::kKNOWN_FLOW)});
  rows.push_back({"a new SYN in a live connection is judged by grants to" + to, in_turn({connected(web), kNoGrants}),
                  sends(syn(web)), drops(reason::kNOT_GRANTED)});
  rows.push_back({"nothing is picked up in its middle to" + to, granted(web), sends(ack(web)), drops(reason::kNO_FLOW),
                  opens_nothing()});
  rows.push_back({"nor by an answer that nobody asked for to" + to, granted(web), sends(Frame::out(web).tcp(kSynAck)),
                  drops(reason::kNO_FLOW), opens_nothing()});
  rows.push_back({"nor by a reset to" + to, granted(web), sends(Frame::out(web).tcp(kRst)), drops(reason::kNO_FLOW),
                  opens_nothing()});
  rows.push_back({"nor by no flag at all to" + to, granted(web), sends(Frame::out(web).tcp(0)), drops(reason::kNO_FLOW),
                  opens_nothing()});
  rows.push_back({"another local port is another flow to" + to, connected(web),
                  sends(Frame::out(web).tcp(kAck, kHttps, kLocalPort + 1)), drops(reason::kNO_FLOW)});
  rows.push_back({"UDP on a TCP flow's ports from" + to, connected(web), receives(Frame::in(web).udp(kHttps)),
                  drops(reason::kINBOUND_DENIED)});
  rows.push_back({"an answer by UDP from" + to,
                  in_turn({granted(web, {.ports = kRangePorts}), after(sends(Frame::out(web).udp(kHttps)))}),
                  receives(Frame::in(web).udp(kHttps)), passes(reason::kKNOWN_FLOW)});
  rows.push_back({"UDP goes on after its grant to" + to, in_turn({talking(web), kNoGrants}),
                  sends(Frame::out(web).udp(kHttps)), passes(reason::kKNOWN_FLOW)});
}

/// Only packets from outside renew a flow.
void add_renewal(std::vector<Row>& rows, const Address& web) {
  const Packet out = sends(ack(web));
  constexpr std::uint64_t kIdle = 40 * EGRESS_S;
  constexpr std::uint64_t kUnanswered = 30 * EGRESS_S;
  const Given quiet = in_turn({connected(web), aged(out, [](egress_flow& flow) {
                                 flow.last_in_mono_ns = ago(kIdle);
                                 flow.unanswered_mono_ns = ago(kUnanswered);
                               })});
  rows.push_back({"the sandbox's own packet renews nothing to " + web.to_string(), quiet, out,
                  passes(reason::kKNOWN_FLOW), [](Lab& lab, const Row& row, const Outcome&) {
                    const auto flow = lab.flow_of(row.packet);
                    REQUIRE(flow);
                    CHECK(egress_since(flow->last_in_mono_ns, mono_ns()) >= kIdle);
                    CHECK(egress_since(flow->unanswered_mono_ns, mono_ns()) >= kUnanswered);
                  }});
  rows.push_back({"an answer renews from " + web.to_string(), quiet, receives(Frame::in(web).tcp(kAck)),
                  passes(reason::kKNOWN_FLOW), [](Lab& lab, const Row& row, const Outcome&) {
                    const auto flow = lab.flow_of(row.packet);
                    REQUIRE(flow);
                    CHECK(egress_since(flow->last_in_mono_ns, mono_ns()) < EGRESS_S);
                    CHECK(egress_since(flow->last_in_mono_ns, flow->unanswered_mono_ns) == 0);
                  }});
}

void add_ends(std::vector<Row>& rows, const Address& web) {
  const std::string to = " " + web.to_string();
  const Packet fin_out = sends(Frame::out(web).tcp(kFin | kAck));
  const Packet fin_in = receives(Frame::in(web).tcp(kFin | kAck));
  rows.push_back({"one side is done:" + to, connected(web), fin_out, passes(reason::kKNOWN_FLOW), closed_flows(1, 0)});
  rows.push_back({"both sides are done:" + to, in_turn({connected(web), after(fin_out)}), fin_in,
                  passes(reason::kKNOWN_FLOW), closed_flows(0, 1)});
  rows.push_back({"the last acknowledgement:" + to, in_turn({connected(web), after(fin_in), after(fin_out)}),
                  receives(Frame::in(web).tcp(kAck)), passes(reason::kKNOWN_FLOW), closed_flows(0, 1)});
  rows.push_back({"a reset from" + to, connected(web), receives(Frame::in(web).tcp(kRst)), passes(reason::kKNOWN_FLOW),
                  closed_flows(0, 1)});
  rows.push_back({"a reset to" + to, connected(web), sends(Frame::out(web).tcp(kRst)), passes(reason::kKNOWN_FLOW),
                  closed_flows(0, 1)});
  rows.push_back({"a closed connection's ports again:" + to, in_turn({connected(web), after(fin_out), after(fin_in)}),
                  sends(syn(web)), passes(reason::kALLOWED_BY_NAME), opens(EGRESS_BASIS_GRANT)});
  const Given long_closed = [web](Lab& lab) {
    lab.put_flow(sends(ack(web)), {.opened_mono_ns = ago(90 * EGRESS_S),
                                   .last_in_mono_ns = ago(EGRESS_TCP_CLOSING_NS + EGRESS_S),
                                   .generation = kGeneration,
                                   .state = EGRESS_FLOW_ANSWERED | EGRESS_FLOW_RESET |
                                            EGRESS_BASIS_GRANT << EGRESS_FLOW_BASIS_SHIFT});
  };
  rows.push_back({"long after the end:" + to, long_closed, sends(ack(web)), drops(reason::kFLOW_EXPIRED)});
}

void add_timeouts(std::vector<Row>& rows, const Address& web) {
  const std::string to = " " + web.to_string();
  const Packet out = sends(ack(web));
  const auto expired = [&](std::string what, const Given& given, const Packet& packet) {
    rows.push_back({std::move(what) + to, given, packet, drops(reason::kFLOW_EXPIRED)});
  };
  const Given asked = in_turn({granted(web), after(sends(syn(web)))});
  expired(
      "a SYN that nobody answered in time:",
      in_turn({asked, aged(out, [](egress_flow& flow) { flow.last_in_mono_ns = ago(EGRESS_TCP_SYN_NS + EGRESS_S); })}),
      out);
  expired(
      "its late answer:",
      in_turn({asked, aged(out, [](egress_flow& flow) { flow.last_in_mono_ns = ago(EGRESS_TCP_SYN_NS + EGRESS_S); })}),
      receives(Frame::in(web).tcp(kSynAck)));
  expired("an idle connection:",
          in_turn({connected(web), aged(out,
                                        [](egress_flow& flow) {
                                          flow.last_in_mono_ns = ago(EGRESS_TCP_IDLE_NS + EGRESS_S);
                                          flow.unanswered_mono_ns = flow.last_in_mono_ns;
                                        })}),
          out);
  expired(
      "a connection that only the sandbox talks in:",
      in_turn(
          {connected(web),
           aged(out, unanswered(EGRESS_TCP_UNANSWERED_NS + EGRESS_S))}),
      out);
  rows.push_back({"silence of two hours:" + to,
                  in_turn({connected(web), aged(out,
                                                [](egress_flow& flow) {
                                                  flow.last_in_mono_ns = ago(2 * 3600 * EGRESS_S);
                                                  flow.unanswered_mono_ns = flow.last_in_mono_ns;
                                                })}),
                  out, passes(reason::kKNOWN_FLOW)});
  const Given capped = [](Lab& lab) {
    lab.change_sandbox([](egress_sandbox& sandbox) { sandbox.flow_age_s_max = 3600; });
  };
  expired("older than any flow may be:",
          in_turn({connected(web), capped,
                   aged(out, [](egress_flow& flow) { flow.opened_mono_ns = ago(3601 * EGRESS_S); })}),
          out);
  // Another CPU noted a packet after this one read the clock.
  rows.push_back({"a flow renewed a moment after now:" + to,
                  in_turn({connected(web), aged(out,
                                                [](egress_flow& flow) {
                                                  flow.last_in_mono_ns = mono_ns() + EGRESS_S;
                                                  flow.unanswered_mono_ns = flow.last_in_mono_ns;
                                                })}),
                  out, passes(reason::kKNOWN_FLOW)});
  const Packet datagram = sends(Frame::out(web).udp(kHttps));
  const auto silent = [](std::uint64_t ns) { return [ns](egress_flow& flow) { flow.last_in_mono_ns = ago(ns); }; };
  const Given first = in_turn({granted(web, {.ports = kRangePorts}), after(datagram)});
  expired("the late answer to a datagram:", in_turn({first, aged(datagram, silent(EGRESS_UDP_FIRST_NS + EGRESS_S))}),
          receives(Frame::in(web).udp(kHttps)));
  rows.push_back({"idle UDP is judged anew:" + to,
                  in_turn({talking(web), aged(datagram, silent(EGRESS_UDP_IDLE_NS + EGRESS_S))}), datagram,
                  passes(reason::kALLOWED_BY_NAME), opens(EGRESS_BASIS_GRANT)});
  rows.push_back({"idle UDP without its grant:" + to,
                  in_turn({talking(web), kNoGrants, aged(datagram, silent(EGRESS_UDP_IDLE_NS + EGRESS_S))}), datagram,
                  drops(reason::kNOT_GRANTED)});
  rows.push_back(
      {"UDP that only the sandbox talks in:" + to,
       in_turn({talking(web), kNoGrants,
                aged(datagram, unanswered(EGRESS_UDP_UNANSWERED_NS + EGRESS_S))}),
       datagram, drops(reason::kNOT_GRANTED)});
}

void add_quota(std::vector<Row>& rows, const Address& web) {
  const Given full = [web](Lab& lab) {
    lab.limit_flows(2);
    lab.grant(web);
    for (const std::uint16_t port : {kLocalPort, static_cast<std::uint16_t>(kLocalPort + 1)}) {
      lab.run(sends(Frame::out(web).tcp(kSyn, kHttps, port)));
      lab.run(receives(Frame::in(web).tcp(kSynAck, kHttps, port)));
    }
  };
  const Packet third = sends(Frame::out(web).tcp(kSyn, kHttps, kLocalPort + 2));
  rows.push_back(
      {"one connection too many to " + web.to_string(), full, third, drops(reason::kFLOW_QUOTA), closed_flows(2, 0)});
  rows.push_back({"those that are there go on to " + web.to_string(), in_turn({full, after(third)}), sends(ack(web)),
                  passes(reason::kKNOWN_FLOW)});
}

}  // namespace

std::vector<Row> flow_rows() {
  std::vector<Row> rows;
  for (const Address& web : {kWeb.v4, kWeb.v6}) {
    add_life(rows, web);
    add_renewal(rows, web);
    add_ends(rows, web);
    add_timeouts(rows, web);
    add_quota(rows, web);
  }
  return rows;
}

std::vector<Row> policy_change_rows() {
  std::vector<Row> rows;
  const Given changed = [](Lab& lab) { lab.raise_generation(); };
  for (const auto& [web, prefix] : {std::pair{kWeb.v4, "198.51.100.0/24"}, std::pair{kWeb.v6, "2001:db8:100::/48"}}) {
    const std::string to = " " + web.to_string();
    const Given kept = [](Lab& lab) { lab.name_ok(kName, 0, kHttpsPorts, kRule + 7); };
    const Given other_ports = [](Lab& lab) { lab.name_ok(kName, 0, kPostgresPorts); };
    const Then renewed = [](Lab& lab, const Row& row, const Outcome&) {
      const auto flow = lab.flow_of(row.packet);
      REQUIRE(flow);
      CHECK(flow->generation == kGeneration + 1);
      CHECK(flow->rule == kRule + 7);
    };
    const auto cut = [&](std::string what, const Given& given, const Packet& packet, unsigned reason) {
      rows.push_back({std::move(what) + to, in_turn({given, changed}), packet, drops(reason)});
    };
    cut("a removed name's connection to", connected(web), sends(ack(web)), reason::kPOLICY_CHANGED);
    cut("a removed name's connection from", connected(web), receives(Frame::in(web).tcp(kAck)),
        reason::kPOLICY_CHANGED);
    cut("a removed port's connection to", in_turn({connected(web), other_ports}), sends(ack(web)),
        reason::kPOLICY_CHANGED);
    cut("a removed name's grant to", granted(web), sends(syn(web)), reason::kPOLICY_CHANGED);
    cut("a removed port's grant to", in_turn({granted(web), other_ports}), sends(syn(web)), reason::kPORT_DENIED);
    cut("another policy's word on the name to",
        in_turn({granted(web),
                 [](Lab& lab) {
                   must(lab.gate().name_ok().update({kPolicy + 1, kName, 0}, {kHttpsPorts, kRule}));
                 }}),
        sends(syn(web)), reason::kPOLICY_CHANGED);
    cut("a new deny cuts a connection to", in_turn({connected(web), kept, ruled(prefix, denies(kAllPorts))}),
        sends(ack(web)), reason::kCIDR_DENIED);
    cut("a new deny cuts a connection from", in_turn({connected(web), kept, ruled(prefix, denies(kAllPorts))}),
        receives(Frame::in(web).tcp(kAck)), reason::kCIDR_DENIED);
    rows.push_back({"a kept name's connection to" + to, in_turn({connected(web), kept, changed}), sends(ack(web)),
                    passes(reason::kKNOWN_FLOW), renewed});
    rows.push_back({"a kept name's connection from" + to, in_turn({connected(web), kept, changed}),
                    receives(Frame::in(web).tcp(kAck)), passes(reason::kKNOWN_FLOW), renewed});
    rows.push_back({"a kept name's grant to" + to, in_turn({granted(web), kept, changed}), sends(syn(web)),
                    passes(reason::kALLOWED_BY_NAME), renewed});
    rows.push_back({"two names, one of them removed:" + to,
                    in_turn({granted(web), granted(web, {.name = kOtherName}),
                             [](Lab& lab) { lab.name_ok(kOtherName, 0, kHttpsPorts, kRule + 7); }, changed}),
                    sends(syn(web)), passes(reason::kALLOWED_BY_NAME), renewed});
    rows.push_back({"a grant that is newer than the change:" + to,
                    in_turn({granted(web, {.generation = kGeneration + 1}), changed}), sends(syn(web)),
                    passes(reason::kALLOWED_BY_NAME), opens(EGRESS_BASIS_GRANT)});
    // name 0: a grant to every name of a rule, judged by the rule.
    const Given whole_rule = granted(web, {.name = 0});
    rows.push_back({"a kept rule's grant to" + to,
                    in_turn({whole_rule, [](Lab& lab) { lab.name_ok(0, kRule, kHttpsPorts, kRule + 7); }, changed}),
                    sends(syn(web)), passes(reason::kALLOWED_BY_NAME), renewed});
    cut("a removed rule's grant to", in_turn({whole_rule, [](Lab& lab) { lab.name_ok(0, kRule + 1, kHttpsPorts); }}),
        sends(syn(web)), reason::kPOLICY_CHANGED);

    const Given by_rule = in_turn({ruled(prefix, allows(kHttpsPorts)), after(sends(syn(web))),
                                   after(receives(Frame::in(web).tcp(kSynAck))), [](Lab& lab) { lab.forget_cidrs(); }});
    cut("a removed prefix' connection to", by_rule, sends(ack(web)), reason::kPOLICY_CHANGED);
    cut("a removed prefix' connection from", by_rule, receives(Frame::in(web).tcp(kAck)), reason::kPOLICY_CHANGED);
    rows.push_back({"a kept prefix' connection to" + to,
                    in_turn({by_rule, ruled(prefix, {.allow_ports = kHttpsPorts, .allow_rule = kRule + 7}), changed}),
                    sends(ack(web)), passes(reason::kKNOWN_FLOW), renewed});
  }
  return rows;
}

}  // namespace postern::test
