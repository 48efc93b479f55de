// SPDX-License-Identifier: Apache-2.0
//
// ARP (RFC 826, 5227) and neighbour discovery (RFC 4861, 4862): enough to be found and to find others,
// and neither a way to claim another's address nor a carrier for messages.
#include "tests/bpf/row.h"

namespace postern::test {
namespace {

constexpr std::uint8_t kRouterSolicit = 133;
constexpr std::uint8_t kRouterAdvert = 134;
constexpr std::uint8_t kSolicit = 135;
constexpr std::uint8_t kAdvert = 136;
constexpr std::uint8_t kSourceOption = 1;
constexpr std::uint8_t kTargetOption = 2;
constexpr std::uint8_t kNonceOption = 14;

const Address kUnspecified = address("::");
const Address kAllNodes = address("ff02::1");
const Address kAllRouters = address("ff02::2");
const Address kSolicitedNode = address("ff02::1:ff00:1");
const Address kRouterLinkLocal = address("fe80::1");

Bytes option(std::uint8_t type, const Mac& mac = kOwnMac) {
  Bytes out = {type, 1};
  out.insert(out.end(), mac.begin(), mac.end());
  return out;
}

void add_arp(std::vector<Row>& rows) {
  const auto row = [&](std::string what, const Frame& frame, bool passing) {
    rows.push_back({"ARP: " + std::move(what),
                    {},
                    sends(frame),
                    passing ? passes(reason::kNEIGHBOUR) : drops(reason::kARP_DENIED),
                    opens_nothing()});
  };
  row("asks for the router", Frame::arp(1, kOwn.v4, kNode.v4), true);
  row("padded to Ethernet's least", Frame::arp(1, kOwn.v4, kNode.v4).cut(60), true);
  row("answers for itself", Frame::arp(2, kOwn.v4, kNode.v4), true);
  row("announces itself", Frame::arp(1, kOwn.v4, kOwn.v4), true);
  row("asks whether an address is free", Frame::arp(1, address("0.0.0.0"), kOwn.v4), true);
  row("claims the router's address", Frame::arp(2, kNode.v4, kNeighbour.v4), false);
  row("claims its address for another's MAC", Frame::arp(2, kOwn.v4, kNode.v4, kStrangeMac), false);
  row("from another's MAC", Frame::arp(2, kOwn.v4, kNode.v4).src_mac(kStrangeMac), false);
  row("a message behind the body", Frame::arp(1, kOwn.v4, kNode.v4).cut(61), false);
  row("another operation", Frame::arp(3, kOwn.v4, kNode.v4), false);
  row("another hardware", Frame::arp(1, kOwn.v4, kNode.v4).poke(1, 6), false);
  row("another protocol", Frame::arp(1, kOwn.v4, kNode.v4).poke(2, 0x86), false);
  row("another address length", Frame::arp(1, kOwn.v4, kNode.v4).poke(5, 16), false);
  rows.push_back({"ARP towards the sandbox",
                  {},
                  receives(Frame::arp(1, kNode.v4, kOwn.v4, kHostMac).src_mac(kHostMac)),
                  passes(reason::kNEIGHBOUR),
                  opens_nothing()});
}

void add_nd(std::vector<Row>& rows) {
  const auto row = [&](std::string what, const Frame& frame, bool passing) {
    rows.push_back({"ND: " + std::move(what),
                    {},
                    sends(frame),
                    passing ? passes(reason::kNEIGHBOUR) : drops(reason::kND_DENIED),
                    opens_nothing()});
  };
  row("looks for the router", Frame::nd(kSolicit, kOwn.v6, kSolicitedNode, kNode.v6, option(kSourceOption)), true);
  row("checks that the router is there", Frame::nd(kSolicit, kOwn.v6, kNode.v6, kNode.v6), true);
  row("checks that a neighbour is there", Frame::nd(kSolicit, kOwn.v6, kNeighbour.v6, kNeighbour.v6), true);
  row("answers for itself", Frame::nd(kAdvert, kOwn.v6, kNode.v6, kOwn.v6, option(kTargetOption)), true);
  row("answers all nodes", Frame::nd(kAdvert, kOwnLinkLocal, kAllNodes, kOwnLinkLocal, option(kTargetOption)), true);
  row("asks for routers", Frame::nd(kRouterSolicit, kOwnLinkLocal, kAllRouters, kUnspecified, option(kSourceOption)),
      true);
  row("asks for routers before it has an address", Frame::nd(kRouterSolicit, kUnspecified, kAllRouters, kUnspecified),
      true);
  row("detects duplicates of its own", Frame::nd(kSolicit, kUnspecified, kSolicitedNode, kOwn.v6, option(kNonceOption)),
      true);
  row("detects duplicates of another's", Frame::nd(kSolicit, kUnspecified, kSolicitedNode, kNeighbour.v6), false);
  row("is a router", Frame::nd(kRouterAdvert, kOwnLinkLocal, kAllNodes, kUnspecified), false);
  row("claims the router's address", Frame::nd(kAdvert, kOwn.v6, kAllNodes, kNode.v6, option(kTargetOption)), false);
  row("claims its address for another's MAC",
      Frame::nd(kAdvert, kOwn.v6, kAllNodes, kOwn.v6, option(kTargetOption, kStrangeMac)), false);
  row("from another's MAC", Frame::nd(kSolicit, kOwn.v6, kSolicitedNode, kNode.v6).src_mac(kStrangeMac), false);
  row("from another's address", Frame::nd(kSolicit, kNeighbour.v6, kSolicitedNode, kNode.v6), false);
  row("answers from no address", Frame::nd(kAdvert, kUnspecified, kAllNodes, kOwn.v6), false);
  row("to an address that a router passes on", Frame::nd(kSolicit, kOwn.v6, kWeb.v6, kWeb.v6), false);
  row("to another multicast group", Frame::nd(kSolicit, kOwn.v6, address("ff02::16"), kNode.v6), false);
  row("to a wider multicast group", Frame::nd(kSolicit, kOwn.v6, address("ff05::1"), kNode.v6), false);
  row("not from this link", Frame::nd(kSolicit, kOwn.v6, kSolicitedNode, kNode.v6).hop_limit(254), false);
  row("another code", Frame::nd(kSolicit, kOwn.v6, kSolicitedNode, kNode.v6).poke(41, 1), false);
  row("another option", Frame::nd(kSolicit, kOwn.v6, kSolicitedNode, kNode.v6, option(5)), false);
  Bytes longer = option(kSourceOption);
  longer[1] = 2;  // of 16 bytes, it says
  row("a longer option", Frame::nd(kSolicit, kOwn.v6, kSolicitedNode, kNode.v6, longer), false);
  row("two options", Frame::nd(kSolicit, kOwn.v6, kSolicitedNode, kNode.v6, option(kSourceOption)).payload(8), false);
  row("a nonce in an answer", Frame::nd(kAdvert, kOwn.v6, kNode.v6, kOwn.v6, option(kNonceOption)), false);

  const auto towards = [&](std::string what, const Frame& frame, Expected expected) {
    rows.push_back({"ND towards the sandbox: " + std::move(what),
                    {},
                    receives(frame.src_mac(kHostMac)),
                    expected,
                    opens_nothing()});
  };
  towards("a router's advertisement", Frame::nd(kRouterAdvert, kRouterLinkLocal, kAllNodes, kUnspecified),
          passes(reason::kNEIGHBOUR));
  towards("a neighbour's solicitation", Frame::nd(kSolicit, kNode.v6, kOwn.v6, kOwn.v6), passes(reason::kNEIGHBOUR));
  towards("a neighbour's advertisement", Frame::nd(kAdvert, kNode.v6, kOwn.v6, kNode.v6), passes(reason::kNEIGHBOUR));
  towards("a host that asks for routers", Frame::nd(kRouterSolicit, kNeighbour.v6, kAllRouters, kUnspecified),
          drops(reason::kND_DENIED));
  towards("not from this link", Frame::nd(kRouterAdvert, kRouterLinkLocal, kAllNodes, kUnspecified).hop_limit(254),
          drops(reason::kND_DENIED));
}

}  // namespace

std::vector<Row> neighbour_rows() {
  std::vector<Row> rows;
  add_arp(rows);
  add_nd(rows);
  return rows;
}

}  // namespace postern::test
