// SPDX-License-Identifier: Apache-2.0
//
// Who sends: the sandbox itself from its own addresses, or nobody; and the lockdown of a sandbox.
#include "tests/bpf/row.h"

namespace postern::test {
namespace {

Given locked_down() {
  return [](Lab& lab) { lab.change_sandbox([](egress_sandbox& sandbox) { sandbox.mode = EGRESS_MODE_LOCKDOWN; }); };
}

Given no_sandbox() {
  return [](Lab& lab) { lab.forget_sandbox(); };
}

}  // namespace

std::vector<Row> sender_rows() {
  std::vector<Row> rows;
  for (const auto& [web, neighbour] : {std::pair{kWeb.v4, kNeighbour.v4}, std::pair{kWeb.v6, kNeighbour.v6}}) {
    const Frame syn = Frame::out(web).tcp(kSyn);
    const std::string to = " to " + web.to_string();
    rows.push_back({"another's source MAC" + to, granted(web), sends(syn.src_mac(kStrangeMac)),
                    drops(reason::kSPOOFED_MAC), opens_nothing()});
    rows.push_back({"the neighbour's source address" + to, granted(web), sends(syn.src(neighbour)),
                    drops(reason::kSPOOFED_ADDRESS), opens_nothing()});
    rows.push_back({"the destination as its own source" + to, granted(web), sends(syn.src(web)),
                    drops(reason::kSPOOFED_ADDRESS), opens_nothing()});
    rows.push_back({"a spoofed DNS query" + to,
                    {},
                    sends(Frame::out(web).udp(53).src(neighbour)),
                    drops(reason::kSPOOFED_ADDRESS),
                    opens_nothing()});
    rows.push_back({"no sandbox behind the interface" + to,
                    in_turn({granted(web), no_sandbox()}),
                    sends(syn),
                    {Verdict::kShot, reason::kNO_SANDBOX, 0},
                    opens_nothing()});
    rows.push_back({"no sandbox behind the interface, from " + web.to_string(),
                    no_sandbox(),
                    receives(Frame::in(web).tcp(kAck)),
                    {Verdict::kShot, reason::kNO_SANDBOX, 0},
                    opens_nothing()});
    rows.push_back({"lockdown, a granted address" + to, in_turn({granted(web), locked_down()}), sends(syn),
                    drops(reason::kLOCKDOWN), opens_nothing()});
    rows.push_back(
        {"lockdown, a live flow" + to,
         in_turn({granted(web), after(sends(syn)), after(receives(Frame::in(web).tcp(kSynAck))), locked_down()}),
         sends(Frame::out(web).tcp(kAck)), drops(reason::kLOCKDOWN)});
    rows.push_back({"lockdown, a live flow from " + web.to_string(),
                    in_turn({granted(web), after(sends(syn)), locked_down()}), receives(Frame::in(web).tcp(kSynAck)),
                    drops(reason::kLOCKDOWN)});
    rows.push_back({"lockdown, DNS" + to, locked_down(), sends(Frame::out(web).udp(53)), drops(reason::kLOCKDOWN)});
  }
  rows.push_back({"lockdown still answers who has an address", locked_down(), sends(Frame::arp(2, kOwn.v4, kNode.v4)),
                  passes(reason::kNEIGHBOUR)});
  rows.push_back({"an unset IPv4 source (a DHCP client's)",
                  {},
                  sends(Frame::out(address("255.255.255.255")).udp(67, 68).src(address("0.0.0.0"))),
                  drops(reason::kSPOOFED_ADDRESS),
                  opens_nothing()});
  rows.push_back({"the unspecified IPv6 source", granted(kWeb.v6),
                  sends(Frame::out(kWeb.v6).tcp(kSyn).src(address("::"))), drops(reason::kSPOOFED_ADDRESS),
                  opens_nothing()});
  rows.push_back({"its own link-local source", granted(kWeb.v6),
                  sends(Frame::out(kWeb.v6).tcp(kSyn).src(kOwnLinkLocal)), passes(reason::kALLOWED_BY_NAME),
                  opens(EGRESS_BASIS_GRANT)});
  return rows;
}

}  // namespace postern::test
