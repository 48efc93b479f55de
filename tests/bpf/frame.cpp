// SPDX-License-Identifier: Apache-2.0
#include "tests/bpf/frame.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

namespace postern::test {
namespace {

constexpr std::uint8_t kIcmp4 = IPPROTO_ICMP;
constexpr std::uint8_t kIcmp6 = IPPROTO_ICMPV6;
constexpr std::uint8_t kIcmp4Unreachable = 3;
constexpr std::uint8_t kIcmp6Unreachable = 1;
constexpr std::uint8_t kPortUnreachable4 = 3;
constexpr std::uint8_t kPortUnreachable6 = 4;

void put16(Bytes& out, std::uint32_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

void put32(Bytes& out, std::uint32_t value) {
  put16(out, value >> 16);
  put16(out, value);
}

template <typename Range>
void put(Bytes& out, const Range& bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void put_v4(Bytes& out, const Address& address) { put(out, std::span(address.v4(), 4)); }

/// RFC 1071, of a header whose checksum field is zero.
std::uint16_t checksum(std::span<const std::uint8_t> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  }
  while (sum >> 16 != 0) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace

Address address(std::string_view text) {
  const auto parsed = Address::parse(text);
  if (!parsed) {
    std::fprintf(stderr, "the tests name the address %s: %s\n", std::string(text).c_str(),
                 parsed.error().message().c_str());
    std::abort();
  }
  return *parsed;
}

Frame Frame::out(const Address& remote) {
  Frame frame;
  frame.src_mac_ = kOwnMac;
  frame.dst_mac_ = kHostMac;
  frame.src_ = remote.is_v4() ? kOwn.v4 : kOwn.v6;
  frame.dst_ = remote;
  return frame;
}

Frame Frame::in(const Address& remote) {
  Frame frame;
  frame.outward_ = false;
  frame.src_mac_ = kHostMac;
  frame.dst_mac_ = kOwnMac;
  frame.src_ = remote;
  frame.dst_ = remote.is_v4() ? kOwn.v4 : kOwn.v6;
  return frame;
}

Frame Frame::raw(std::uint16_t ethertype, Bytes body) {
  Frame frame = out(kWeb.v4);
  frame.raw_ethertype_ = ethertype;
  frame.l4_ = std::move(body);
  return frame;
}

Frame Frame::arp(std::uint8_t operation, const Address& sender, const Address& target, const Mac& sender_mac) {
  Bytes body = {0, 1, 0x08, 0x00, 6, 4, 0, operation};
  put(body, sender_mac);
  put_v4(body, sender);
  put(body, Mac{});
  put_v4(body, target);
  return raw(ETH_P_ARP, std::move(body));
}

Frame Frame::nd(std::uint8_t type, const Address& src, const Address& dst, const Address& target, Bytes option) {
  Bytes body;
  if (type == 134) {  // a router's advertisement: hop limit, lifetimes
    body.assign(8, 0);
  } else if (type != 133) {
    put(body, target.bytes);
  }
  put(body, option);
  Frame frame = out(kWeb.v6).src(src).dst(dst).hop_limit(255).icmp(type);
  put(frame.l4_, body);
  return frame;
}

Frame Frame::with_l4(std::uint8_t number, Bytes body) const {
  Frame frame = *this;
  frame.protocol_ = number;
  frame.l4_ = std::move(body);
  return frame;
}

Frame Frame::tcp(std::uint8_t flags, std::uint16_t remote_port, std::uint16_t local_port) const {
  Bytes body;
  put16(body, outward_ ? local_port : remote_port);
  put16(body, outward_ ? remote_port : local_port);
  put32(body, 1000);
  put32(body, 2000);
  put(body, Bytes{0x50, flags, 0xff, 0xff, 0, 0, 0, 0});
  return with_l4(IPPROTO_TCP, std::move(body));
}

Frame Frame::udp(std::uint16_t remote_port, std::uint16_t local_port) const {
  constexpr std::uint16_t kBody = 12;
  Bytes body;
  put16(body, outward_ ? local_port : remote_port);
  put16(body, outward_ ? remote_port : local_port);
  put16(body, 8 + kBody);
  put16(body, 0);
  put(body, Bytes(kBody));
  return with_l4(IPPROTO_UDP, std::move(body));
}

Frame Frame::icmp(std::uint8_t type, std::uint8_t code, std::uint32_t rest) const {
  Bytes body = {type, code, 0, 0};
  put32(body, rest);
  return with_l4(src_.is_v4() ? kIcmp4 : kIcmp6, std::move(body));
}

Frame Frame::echo_request(std::uint16_t identifier) const {
  return icmp(src_.is_v4() ? 8 : 128, 0, static_cast<std::uint32_t>(identifier) << 16 | 1);
}

Frame Frame::echo_reply(std::uint16_t identifier) const {
  return icmp(src_.is_v4() ? 0 : 129, 0, static_cast<std::uint32_t>(identifier) << 16 | 1);
}

Frame Frame::unreachable(const Frame& quoted) const {
  const bool v4 = src_.is_v4();
  Frame frame = icmp(v4 ? kIcmp4Unreachable : kIcmp6Unreachable, v4 ? kPortUnreachable4 : kPortUnreachable6);
  put(frame.l4_, quoted.ip_packet());
  return frame;
}

Frame Frame::protocol(std::uint8_t number, Bytes body) const { return with_l4(number, std::move(body)); }

Frame Frame::src(const Address& address) const {
  Frame frame = *this;
  frame.src_ = address;
  return frame;
}

Frame Frame::dst(const Address& address) const {
  Frame frame = *this;
  frame.dst_ = address;
  return frame;
}

Frame Frame::src_mac(const Mac& mac) const {
  Frame frame = *this;
  frame.src_mac_ = mac;
  return frame;
}

Frame Frame::hop_limit(std::uint8_t hops) const {
  Frame frame = *this;
  frame.hops_ = hops;
  return frame;
}

Frame Frame::payload(std::size_t bytes) const {
  Frame frame = *this;
  frame.l4_.resize(frame.l4_.size() + bytes);
  return frame;
}

Frame Frame::fragment(std::uint16_t word) const {
  Frame frame = *this;
  frame.fragment_ = word;
  return frame;
}

Frame Frame::extension(std::uint8_t header) const {
  Frame frame = *this;
  frame.extension_ = header;
  return frame;
}

Frame Frame::options() const {
  Frame frame = *this;
  frame.options_ = true;
  return frame;
}

Frame Frame::vlan(std::uint16_t ethertype) const {
  Frame frame = *this;
  frame.vlan_ = ethertype;
  return frame;
}

Frame Frame::poke(std::size_t offset, std::uint8_t value) const {
  Frame frame = *this;
  frame.pokes_.emplace_back(offset, value);
  return frame;
}

Frame Frame::cut(std::size_t bytes) const {
  Frame frame = *this;
  frame.cut_ = bytes;
  return frame;
}

Bytes Frame::ip_packet() const {
  Bytes out;
  if (src_.is_v4()) {
    const std::size_t header = options_ ? 24 : 20;
    put16(out, 0x4000u | static_cast<std::uint32_t>(header / 4) << 8);
    put16(out, static_cast<std::uint32_t>(header + l4_.size()));
    put16(out, 0x1234);
    put16(out, fragment_);
    put(out, Bytes{hops_, protocol_, 0, 0});
    put_v4(out, src_);
    put_v4(out, dst_);
    out.resize(header, 1);  // an option of type 1 is no operation
    const std::uint16_t sum = checksum(out);
    out[10] = static_cast<std::uint8_t>(sum >> 8);
    out[11] = static_cast<std::uint8_t>(sum);
  } else {
    Bytes middle;
    std::uint8_t next = protocol_;
    if (fragment_ != 0) {
      middle = {protocol_, 0, static_cast<std::uint8_t>(fragment_ >> 8), static_cast<std::uint8_t>(fragment_), 0, 0,
                0,         1};
      next = IPPROTO_FRAGMENT;
    } else if (extension_) {
      middle = {protocol_, 0, 1, 4, 0, 0, 0, 0};  // with the option PadN
      next = *extension_;
    }
    put32(out, 0x60000000);
    put16(out, static_cast<std::uint32_t>(middle.size() + l4_.size()));
    put(out, Bytes{next, hops_});
    put(out, src_.bytes);
    put(out, dst_.bytes);
    put(out, middle);
  }
  put(out, l4_);
  return out;
}

Bytes Frame::bytes() const {
  Bytes out;
  put(out, dst_mac_);
  put(out, src_mac_);
  if (vlan_) {
    put16(out, *vlan_);
    put16(out, 100);
  }
  put16(out, raw_ethertype_.value_or(src_.is_v4() ? ETH_P_IP : ETH_P_IPV6));
  put(out, raw_ethertype_ ? l4_ : ip_packet());
  for (const auto& [offset, value] : pokes_) {
    out.at(ETH_HLEN + offset) = value;
  }
  if (cut_) {
    out.resize(*cut_);
  }
  return out;
}

}  // namespace postern::test
