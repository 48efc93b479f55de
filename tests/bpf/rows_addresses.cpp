// SPDX-License-Identifier: Apache-2.0
//
// Where a packet goes: what is never allowed, what names opened, what rules say.
#include <catch2/catch_test_macros.hpp>

#include "tests/bpf/row.h"

namespace postern::test {
namespace {

/// Granted, and allowed by a rule for the whole world: the widest that a policy can be without naming the address.
Given wide_open(const Address& address) {
  return in_turn({granted(address, {.ports = kAllPorts}), ruled("0.0.0.0/0", allows(kAllPorts)),
                  ruled("::/0", allows(kAllPorts))});
}

Frame syn(const Address& to, std::uint16_t port = kHttps) { return Frame::out(to).tcp(kSyn, port); }

/// 64:ff9b::/96 with an IPv4 address inside (RFC 6052).
Address nat64(const Address& v4) {
  Address out = address("64:ff9b::");
  for (std::size_t i = 12; i < 16; ++i) {
    out.bytes[i] = v4.bytes[i];
  }
  return out;
}

}  // namespace

std::vector<Row> never_list_rows() {
  std::vector<Row> rows;
  for (const char* text :
       {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "169.254.169.254", "169.254.0.1", "224.0.0.1",
        "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16", "100.100.100.200",  //
        "::", "::1", "fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "fd00:ec2::254", "fd20:ce::254",
        // IPv4 inside: compatible, 6to4, Teredo, NAT64 of both prefixes, ISATAP
        "::198.51.100.10", "2002:c633:640a::1", "2001:0:c633:640a::1", "64:ff9b::169.254.169.254", "64:ff9b::127.0.0.1",
        "64:ff9b:1::198.51.100.10", "2001:db8::5efe:198.51.100.10", "2001:db8::200:5efe:198.51.100.10"}) {
    const Address to = address(text);
    rows.push_back({std::string("a connection to ") + text, wide_open(to), sends(syn(to)), drops(reason::kNEVER_LIST),
                    opens_nothing()});
    rows.push_back({std::string("a datagram to ") + text, wide_open(to), sends(Frame::out(to).udp(kHttps)),
                    drops(reason::kNEVER_LIST), opens_nothing()});
  }
  // Neighbours of the list in the space of addresses.
  for (const char* text : {"1.0.0.1", "126.255.255.255", "128.0.0.1", "169.253.255.255", "169.255.0.1",
                           "223.255.255.255", "168.63.129.17", "100.100.100.201", "fe7f::1", "fc00::1", "2001:1::1",
                           "2003::1", "64:ff9a::1", "64:ff9b::198.51.100.10", "fd00:ec3::254", "fd20:ce:0:1::254"}) {
    const Address to = address(text);
    rows.push_back({std::string("a connection to the list's neighbour ") + text, granted(to), sends(syn(to)),
                    passes(reason::kALLOWED_BY_NAME), opens(EGRESS_BASIS_GRANT)});
  }
  const Address agent = address("169.254.170.23");
  rows.push_back({"a rule inside the never-list opens its address",
                  ruled("169.254.170.23/32", allows_narrowly(kHttpsPorts)), sends(syn(agent)),
                  passes(reason::kALLOWED_BY_CIDR), opens(EGRESS_BASIS_CIDR)});
  rows.push_back({"on its ports only", ruled("169.254.170.23/32", allows_narrowly(kHttpsPorts)), sends(syn(agent, 80)),
                  drops(reason::kNEVER_LIST), opens_nothing()});
  rows.push_back({"and not the next address", ruled("169.254.170.23/32", allows_narrowly(kHttpsPorts)),
                  sends(syn(address("169.254.170.24"))), drops(reason::kNEVER_LIST), opens_nothing()});
  for (const Address& node : {kNode.v4, kNode.v6}) {
    rows.push_back({"the node's own " + node.to_string(), wide_open(node), sends(syn(node)),
                    drops(reason::kNODE_ADDRESS), opens_nothing()});
    rows.push_back({"a rule for the node's own " + node.to_string(),
                    ruled(node.to_string(), allows_narrowly(kHttpsPorts)), sends(syn(node)),
                    passes(reason::kALLOWED_BY_CIDR), opens(EGRESS_BASIS_CIDR)});
  }
  rows.push_back({"NAT64 of the node's own", wide_open(nat64(kNode.v4)), sends(syn(nat64(kNode.v4))),
                  drops(reason::kNODE_ADDRESS), opens_nothing()});
  rows.push_back({"NAT64 of a denied prefix",
                  in_turn({granted(nat64(kWeb.v4)), ruled("198.51.100.0/24", denies(kAllPorts))}),
                  sends(syn(nat64(kWeb.v4))), drops(reason::kCIDR_DENIED), opens_nothing()});
  rows.push_back({"NAT64 of an address that a name gave is not that address", granted(kWeb.v4),
                  sends(syn(nat64(kWeb.v4))), drops(reason::kNOT_GRANTED), opens_nothing()});
  return rows;
}

std::vector<Row> grant_rows() {
  std::vector<Row> rows;
  for (const Host& host : {Host{kWeb.v4, kOther.v4}, Host{kWeb.v6, kOther.v6}}) {
    const auto& [web, other] = host;
    const std::string to = " to " + web.to_string();
    const auto denied = [&](std::string what, const Given& given, const Frame& frame, unsigned reason) {
      rows.push_back({std::move(what) + to, given, sends(frame), drops(reason), opens_nothing()});
    };
    const auto allowed = [&](std::string what, const Given& given, const Frame& frame) {
      rows.push_back(
          {std::move(what) + to, given, sends(frame), passes(reason::kALLOWED_BY_NAME), opens(EGRESS_BASIS_GRANT)});
    };
    denied("nothing is allowed", {}, syn(web), reason::kNOT_GRANTED);
    denied("nothing is allowed, UDP", {}, Frame::out(web).udp(kHttps), reason::kNOT_GRANTED);
    allowed("a grant", granted(web), syn(web));
    denied("a grant of another address", granted(other), syn(web), reason::kNOT_GRANTED);
    denied(
        "another sandbox's grant", [web = web](Lab& lab) { lab.grant(web, {}, kOtherSlot); }, syn(web),
        reason::kNOT_GRANTED);
    denied("a grant of the past", granted(web, {.expired = true}), syn(web), reason::kGRANT_EXPIRED);
    denied("a grant of another port", granted(web), syn(web, 80), reason::kPORT_DENIED);
    denied("a grant of TCP, for UDP", granted(web), Frame::out(web).udp(kHttps), reason::kPORT_DENIED);
    denied("a grant of no port", granted(web, {.ports = kNoPorts}), syn(web), reason::kPORT_DENIED);
    denied("a grant of a port set that is gone", granted(web, {.ports = 99}), syn(web), reason::kPORT_DENIED);
    allowed("a grant of UDP", granted(web, {.ports = kRangePorts}), Frame::out(web).udp(kHttps));
    allowed("the first port of a range", granted(web, {.ports = kRangePorts}), syn(web, 8000));
    allowed("the last port of a range", granted(web, {.ports = kRangePorts}), syn(web, 8010));
    denied("the port before a range", granted(web, {.ports = kRangePorts}), syn(web, 7999), reason::kPORT_DENIED);
    denied("the port after a range", granted(web, {.ports = kRangePorts}), syn(web, 8011), reason::kPORT_DENIED);
    // Two names with one address: each has a slot of its own.
    const Grant other_name = {.rule = kRule + 1, .name = kOtherName};
    Grant lapsed = {.expired = true};
    allowed("one name's grant is past, another's lives", in_turn({granted(web, lapsed), granted(web, other_name)}),
            syn(web));
    rows.back().then = [](Lab& lab, const Row& row, const Outcome&) {
      const auto flow = lab.flow_of(row.packet);
      REQUIRE(flow);
      CHECK(flow->name == kOtherName);
      CHECK(flow->rule == kRule + 1);
      CHECK(flow->generation == kGeneration);
    };
    allowed("another's port set", in_turn({granted(web), granted(web, {.ports = kRangePorts, .name = kOtherName})}),
            syn(web, 8000));
    allowed("the fourth slot",
            in_turn({granted(web, lapsed), granted(web, lapsed), granted(web, lapsed), granted(web)}), syn(web));
    denied("every slot is past",
           in_turn({granted(web, lapsed), granted(web, lapsed), granted(web, lapsed), granted(web, lapsed)}), syn(web),
           reason::kGRANT_EXPIRED);
  }
  return rows;
}

std::vector<Row> cidr_rows() {
  std::vector<Row> rows;
  struct Case {
    Address to;
    const char* wide;
    const char* narrow;
  };
  for (const Case& c : {Case{kWeb.v4, "198.51.100.0/24", "198.51.100.10/32"},
                        Case{kWeb.v6, "2001:db8:100::/48", "2001:db8:100::10/128"}}) {
    const std::string to = " to " + c.to.to_string();
    const auto denied = [&](std::string what, const Given& given, const Frame& frame, unsigned reason) {
      rows.push_back({std::move(what) + to, given, sends(frame), drops(reason), opens_nothing()});
    };
    const auto allowed = [&](std::string what, const Given& given, const Frame& frame) {
      rows.push_back(
          {std::move(what) + to, given, sends(frame), passes(reason::kALLOWED_BY_CIDR), opens(EGRESS_BASIS_CIDR)});
    };
    allowed("a rule", ruled(c.wide, allows(kHttpsPorts)), syn(c.to));
    allowed("a rule for every port, UDP", ruled(c.wide, allows(kAllPorts)), Frame::out(c.to).udp(4000));
    allowed("a rule for a range", ruled(c.wide, allows(kRangePorts)), syn(c.to, 8005));
    denied("a rule for other ports", ruled(c.wide, allows(kPostgresPorts)), syn(c.to), reason::kPORT_DENIED);
    denied("a rule for elsewhere", ruled("203.0.113.0/24", allows(kAllPorts)), syn(c.to), reason::kNOT_GRANTED);
    denied("a deny", ruled(c.wide, denies(kAllPorts)), syn(c.to), reason::kCIDR_DENIED);
    denied("a deny beats a grant", in_turn({granted(c.to), ruled(c.wide, denies(kAllPorts))}), syn(c.to),
           reason::kCIDR_DENIED);
    denied("a deny beats an allow of the same prefix",
           ruled(c.wide, {.deny_ports = kHttpsPorts, .allow_ports = kAllPorts}), syn(c.to), reason::kCIDR_DENIED);
    allowed("a deny of another port leaves the rest",
            ruled(c.wide, {.deny_ports = kHttpsPorts, .allow_ports = kAllPorts, .allow_rule = kRule}), syn(c.to, 80));
    // The longest match holds what all rules that cover it say together.
    denied("a narrower deny", in_turn({ruled(c.wide, allows(kAllPorts)), ruled(c.narrow, denies(kAllPorts))}),
           syn(c.to), reason::kCIDR_DENIED);
    allowed("a narrower allow", in_turn({ruled(c.wide, {}), ruled(c.narrow, allows(kHttpsPorts))}), syn(c.to));
    allowed("a rule after a grant of the past",
            in_turn({granted(c.to, {.expired = true}), ruled(c.wide, allows(kHttpsPorts))}), syn(c.to));
    rows.push_back({"a grant where the rule has other ports" + to,
                    in_turn({granted(c.to), ruled(c.wide, allows(kPostgresPorts))}), sends(syn(c.to)),
                    passes(reason::kALLOWED_BY_NAME), opens(EGRESS_BASIS_GRANT)});
  }
  rows.push_back({"a rule for all of IPv6 is none for IPv4", ruled("::/0", allows(kAllPorts)), sends(syn(kWeb.v6)),
                  passes(reason::kALLOWED_BY_CIDR), opens(EGRESS_BASIS_CIDR)});
  rows.push_back({"a rule for all of IPv4 is none for IPv6", ruled("0.0.0.0/0", allows(kAllPorts)), sends(syn(kWeb.v6)),
                  drops(reason::kNOT_GRANTED), opens_nothing()});
  return rows;
}

}  // namespace postern::test
