// SPDX-License-Identifier: Apache-2.0
//
// What a packet is: cut short, of a kind that nobody needs, or built to be read in two ways.
#include <linux/if_ether.h>
#include <netinet/in.h>

#include "tests/bpf/row.h"

namespace postern::test {
namespace {

constexpr std::size_t kEthernet = 14;
constexpr std::size_t kV4 = 20;
constexpr std::size_t kV6 = 40;
constexpr std::size_t kArp = 28;

Frame syn(const Address& to) { return Frame::out(to).tcp(kSyn); }
Frame datagram(const Address& to) { return Frame::out(to).udp(kHttps); }

void add_truncated(std::vector<Row>& rows) {
  const auto cut = [&](std::string what, const Frame& frame, std::size_t bytes) {
    rows.push_back({std::move(what), {}, sends(frame.cut(bytes)), drops(reason::kTRUNCATED), opens_nothing()});
  };
  // IP headers cut short are in wire_test.cpp: newer kernels refuse to run a program on them by hand.
  cut("ARP without its last byte", Frame::arp(1, kOwn.v4, kNode.v4), kEthernet + kArp - 1);
  // Inside the IP header's own length, so that the layer above is what is short.
  const auto short_l4 = [&](std::string what, const Address& to, std::uint8_t protocol, std::size_t bytes) {
    rows.push_back({std::move(what),
                    {},
                    sends(Frame::out(to).protocol(protocol, Bytes(bytes))),
                    drops(reason::kTRUNCATED),
                    opens_nothing()});
  };
  for (const Address& to : {kWeb.v4, kWeb.v6}) {
    short_l4("TCP of 19 bytes to " + to.to_string(), to, IPPROTO_TCP, 19);
    short_l4("TCP of none to " + to.to_string(), to, IPPROTO_TCP, 0);
    short_l4("UDP of 7 bytes to " + to.to_string(), to, IPPROTO_UDP, 7);
    short_l4("ICMP of 7 bytes to " + to.to_string(), to,
             to.is_v4() ? std::uint8_t{IPPROTO_ICMP} : std::uint8_t{IPPROTO_ICMPV6}, 7);
  }
  rows.push_back({"a solicitation without its target",
                  {},
                  sends(Frame::out(kWeb.v6).hop_limit(255).icmp(135)),
                  drops(reason::kTRUNCATED),
                  opens_nothing()});
}

void add_link_layer(std::vector<Row>& rows) {
  struct Kind {
    const char* name;
    std::uint16_t ethertype;
  };
  for (const Kind& kind : {Kind{"LLDP", 0x88cc},
                           {"MPLS", 0x8847},
                           {"PPPoE", 0x8864},
                           {"802.1X", 0x888e},
                           {"RARP", 0x8035},
                           {"an 802.3 length", 46},
                           {"loopback of Ethernet", 0x9000},
                           {"EtherType 0", 0}}) {
    rows.push_back(
        {kind.name, {}, sends(Frame::raw(kind.ethertype, Bytes(46))), drops(reason::kETHERTYPE), opens_nothing()});
    rows.push_back({std::string(kind.name) + " towards the sandbox",
                    {},
                    receives(Frame::raw(kind.ethertype, Bytes(46))),
                    drops(reason::kETHERTYPE),
                    opens_nothing()});
  }
  for (const std::uint16_t ethertype : std::initializer_list<std::uint16_t>{ETH_P_8021Q, ETH_P_8021AD}) {
    rows.push_back({"a VLAN tag before a granted packet", granted(kWeb.v4), sends(syn(kWeb.v4).vlan(ethertype)),
                    drops(reason::kVLAN), opens_nothing()});
  }
}

/// What an IP header must not be; the address is granted, so that the shape alone is to blame.
void add_ip_headers(std::vector<Row>& rows) {
  const auto bad = [&](std::string what, const Frame& frame, unsigned reason) {
    rows.push_back(
        {std::move(what), in_turn({granted(kWeb.v4), granted(kWeb.v6)}), sends(frame), drops(reason), opens_nothing()});
  };
  bad("IPv4 with options", syn(kWeb.v4).options(), reason::kIP_OPTIONS);
  bad("version 5 under IPv4's EtherType", syn(kWeb.v4).poke(0, 0x55), reason::kBAD_HEADER);
  bad("version 6 under IPv4's EtherType", syn(kWeb.v4).poke(0, 0x65), reason::kBAD_HEADER);
  bad("an IPv4 header of 16 bytes", syn(kWeb.v4).poke(0, 0x44), reason::kBAD_HEADER);
  bad("an IPv4 length beyond the frame", syn(kWeb.v4).poke(3, 41), reason::kBAD_HEADER);
  bad("an IPv4 length below its header", syn(kWeb.v4).poke(3, 19), reason::kBAD_HEADER);
  bad("version 4 under IPv6's EtherType", syn(kWeb.v6).poke(0, 0x45), reason::kBAD_HEADER);
  bad("an IPv6 length beyond the frame", syn(kWeb.v6).poke(5, 21), reason::kBAD_HEADER);
  // ::ffff:198.51.100.10 in an IPv6 header would be looked up as the IPv4 address that is granted.
  Frame mapped = syn(kWeb.v6);
  for (std::size_t i = 0; i < 16; ++i) {
    mapped = mapped.poke(24 + i, kWeb.v4.bytes[i]);
  }
  bad("a v4-mapped destination in an IPv6 header", mapped, reason::kBAD_HEADER);
  mapped = syn(kWeb.v6);
  for (std::size_t i = 0; i < 16; ++i) {
    mapped = mapped.poke(8 + i, kOwn.v4.bytes[i]);
  }
  bad("a v4-mapped source in an IPv6 header", mapped, reason::kBAD_HEADER);
  for (const std::uint16_t word : std::initializer_list<std::uint16_t>{0x2000, 0x2001, 0x0001, 0x1fff, 0x8000}) {
    bad("an IPv4 fragment, or the evil bit: " + std::to_string(word), syn(kWeb.v4).fragment(word), reason::kFRAGMENT);
  }
  bad("a first IPv6 fragment", syn(kWeb.v6).fragment(0x0001), reason::kFRAGMENT);
  bad("a later IPv6 fragment", syn(kWeb.v6).fragment(0x0100), reason::kFRAGMENT);
  for (const std::uint8_t header : std::initializer_list<std::uint8_t>{IPPROTO_HOPOPTS, IPPROTO_ROUTING,
                                                                       IPPROTO_DSTOPTS, 135, 139, 140, IPPROTO_NONE}) {
    bad("IPv6 extension header " + std::to_string(header), syn(kWeb.v6).extension(header), reason::kEXTENSION_HEADER);
  }
  // "Don't fragment" is what every client sends.
  rows.push_back({"don't fragment", granted(kWeb.v4), sends(syn(kWeb.v4).fragment(0x4000)),
                  passes(reason::kALLOWED_BY_NAME), opens(EGRESS_BASIS_GRANT)});
}

void add_l4(std::vector<Row>& rows) {
  for (const std::uint8_t number :
       std::initializer_list<std::uint8_t>{IPPROTO_SCTP, IPPROTO_GRE, IPPROTO_IPIP, IPPROTO_IPV6, IPPROTO_ESP,
                                           IPPROTO_AH, IPPROTO_IGMP, IPPROTO_UDPLITE, 255}) {
    for (const Address& to : {kWeb.v4, kWeb.v6}) {
      rows.push_back({"protocol " + std::to_string(number) + " to " + to.to_string(), granted(to, {.ports = kAllPorts}),
                      sends(Frame::out(to).protocol(number, Bytes(40))), drops(reason::kPROTOCOL), opens_nothing()});
    }
  }
  rows.push_back({"ICMPv6 in IPv4", granted(kWeb.v4, {.ports = kAllPorts}),
                  sends(Frame::out(kWeb.v4).protocol(IPPROTO_ICMPV6, {128, 0, 0, 0, 0, 9, 0, 1})),
                  drops(reason::kPROTOCOL), opens_nothing()});
  rows.push_back({"ICMP in IPv6", granted(kWeb.v6, {.ports = kAllPorts}),
                  sends(Frame::out(kWeb.v6).protocol(IPPROTO_ICMP, {8, 0, 0, 0, 0, 9, 0, 1})), drops(reason::kPROTOCOL),
                  opens_nothing()});
  for (const Address& to : {kWeb.v4, kWeb.v6}) {
    const std::size_t l4 = to.is_v4() ? kV4 : kV6;
    const auto bad = [&](std::string what, const Frame& frame) {
      rows.push_back({std::move(what) + " to " + to.to_string(), granted(to, {.ports = kAllPorts}), sends(frame),
                      drops(reason::kBAD_HEADER), opens_nothing()});
    };
    bad("a UDP length below its header", datagram(to).poke(l4 + 5, 7));
    bad("a UDP length beyond the packet", datagram(to).poke(l4 + 5, 21));
    bad("a TCP header of 16 bytes", syn(to).poke(l4 + 12, 0x40));
    bad("SYN with FIN", Frame::out(to).tcp(kSyn | kFin));
    bad("SYN with RST", Frame::out(to).tcp(kSyn | kRst));
    rows.push_back({"SYN with FIN from " + to.to_string(),
                    {},
                    receives(Frame::in(to).tcp(kSyn | kFin)),
                    drops(reason::kBAD_HEADER),
                    opens_nothing()});
  }
}

}  // namespace

std::vector<Row> shape_rows() {
  std::vector<Row> rows;
  add_truncated(rows);
  add_link_layer(rows);
  add_ip_headers(rows);
  add_l4(rows);
  return rows;
}

}  // namespace postern::test
