// SPDX-License-Identifier: Apache-2.0
//
// Frame: builds the bytes of one Ethernet frame from or to the sandbox of these tests.
//
// A row says what is special about its packet and nothing else: `Frame::out(kWeb.v4).tcp(kSyn)`.
// Lengths and the IPv4 header's checksum are right; the programs read no other checksum, so those
// of TCP, UDP and ICMP are zero. Modifiers give a changed copy.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ip.h"

namespace postern::test {

using Bytes = std::vector<std::uint8_t>;
using Mac = std::array<std::uint8_t, 6>;

/// For addresses in the tests' own text. Ends the process when it is not one.
Address address(std::string_view text);

/// A host with an address of each family.
struct Host {
  Address v4;
  Address v6;
};

// Who is who. The prefixes are those for documentation (RFC 5737, RFC 3849).
inline const Host kOwn = {address("10.7.0.2"), address("2001:db8:7::2")};
inline const Address kOwnLinkLocal = address("fe80::7:2");
inline const Host kNode = {address("10.7.0.1"), address("2001:db8:7::1")};
inline const Host kNeighbour = {address("10.7.0.9"), address("2001:db8:7::9")};  // on the sandbox's link
inline const Host kWeb = {address("198.51.100.10"), address("2001:db8:100::10")};
inline const Host kOther = {address("203.0.113.20"), address("2001:db8:200::20")};
inline constexpr Mac kOwnMac = {0x02, 0x00, 0x0a, 0x07, 0x00, 0x02};
inline constexpr Mac kHostMac = {0x02, 0x00, 0x0a, 0x07, 0x00, 0x01};
inline constexpr Mac kSteerMac = {0x02, 0x50, 0xff, 0xff, 0xff, 0xfe};
inline constexpr Mac kStrangeMac = {0x02, 0x66, 0x66, 0x66, 0x66, 0x66};

inline constexpr std::uint8_t kFin = 0x01;
inline constexpr std::uint8_t kSyn = 0x02;
inline constexpr std::uint8_t kRst = 0x04;
inline constexpr std::uint8_t kAck = 0x10;
inline constexpr std::uint8_t kSynAck = kSyn | kAck;
inline constexpr std::uint16_t kHttps = 443;
inline constexpr std::uint16_t kLocalPort = 40000;

class Frame {
 public:
  /// From the sandbox's own address of that family to `remote`; and back.
  static Frame out(const Address& remote);
  static Frame in(const Address& remote);
  /// Any EtherType with any body.
  static Frame raw(std::uint16_t ethertype, Bytes body);
  /// ARP from the sandbox. operation: 1 asks, 2 answers.
  static Frame arp(std::uint8_t operation,
                   const Address& sender,
                   const Address& target,
                   const Mac& sender_mac = kOwnMac);
  /// Neighbour discovery from `src`, hop limit 255. A solicitation of routers (133) has no target.
  static Frame nd(std::uint8_t type, const Address& src, const Address& dst, const Address& target, Bytes option = {});

  Frame tcp(std::uint8_t flags, std::uint16_t remote_port = kHttps, std::uint16_t local_port = kLocalPort) const;
  Frame udp(std::uint16_t remote_port, std::uint16_t local_port = kLocalPort) const;
  /// ICMP of the frame's family, with the eight bytes of its header: type, code, and four of `rest`.
  Frame icmp(std::uint8_t type, std::uint8_t code = 0, std::uint32_t rest = 0) const;
  Frame echo_request(std::uint16_t identifier) const;
  Frame echo_reply(std::uint16_t identifier) const;
  /// Port unreachable, quoting another frame's headers.
  Frame unreachable(const Frame& quoted) const;
  /// A body of another protocol.
  Frame protocol(std::uint8_t number, Bytes body = Bytes(8)) const;

  Frame src(const Address& address) const;
  Frame dst(const Address& address) const;
  Frame src_mac(const Mac& mac) const;
  Frame hop_limit(std::uint8_t hops) const;
  Frame payload(std::size_t bytes) const;
  /// IPv4: that word of flags and offset. IPv6: a fragment header with it.
  Frame fragment(std::uint16_t word) const;
  /// IPv6: a header of eight bytes before the rest.
  Frame extension(std::uint8_t header) const;
  /// IPv4: one word of padding options.
  Frame options() const;
  Frame vlan(std::uint16_t ethertype = 0x8100) const;
  /// After all else: one byte behind the Ethernet header; the frame's length.
  Frame poke(std::size_t offset, std::uint8_t value) const;
  Frame cut(std::size_t bytes) const;

  Bytes bytes() const;

 private:
  Frame with_l4(std::uint8_t number, Bytes body) const;
  Bytes ip_packet() const;

  Mac src_mac_{};
  Mac dst_mac_{};
  Address src_;
  Address dst_;
  bool outward_ = true;
  std::uint8_t protocol_ = 0;
  std::uint8_t hops_ = 64;
  Bytes l4_;
  std::uint16_t fragment_ = 0;
  std::optional<std::uint8_t> extension_;
  bool options_ = false;
  std::optional<std::uint16_t> raw_ethertype_;
  std::optional<std::uint16_t> vlan_;
  std::vector<std::pair<std::size_t, std::uint8_t>> pokes_;
  std::optional<std::size_t> cut_;
};

}  // namespace postern::test
