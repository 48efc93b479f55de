// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/udp_listener.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "dnsproxy/socket_address.h"

namespace postern {
namespace {

constexpr std::size_t kControlSize = CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(std::uint32_t));
constexpr std::uint16_t kDnsPort = 53;

using Control = std::array<char, kControlSize>;

/// The sandbox (mark) and the asked address from a datagram's control messages. False if one is missing.
bool read_control(msghdr& header, Client& client) {
  bool has_mark = false;
  bool has_address = false;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SO_MARK) {
      std::memcpy(&client.sandbox, CMSG_DATA(part), sizeof(client.sandbox));
      has_mark = true;
    } else if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(part), sizeof(info));
      client.asked.address = Address::from_v4(reinterpret_cast<const std::uint8_t*>(&info.ipi_addr));
      has_address = true;
    } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(part), sizeof(info));
      client.asked.address = Address::from_v6(reinterpret_cast<const std::uint8_t*>(&info.ipi6_addr));
      has_address = true;
    }
  }
  client.asked.port = kDnsPort;
  return has_mark && has_address;
}

/// The source address of a reply: what the sandbox asked.
void write_control(msghdr& header, Control& control, const Client& client) {
  control.fill(0);
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* part = CMSG_FIRSTHDR(&header);
  if (client.asked.address.is_v4()) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, client.asked.address.v4(), 4);
    part->cmsg_level = IPPROTO_IP;
    part->cmsg_type = IP_PKTINFO;
    part->cmsg_len = CMSG_LEN(sizeof(info));
    std::memcpy(CMSG_DATA(part), &info, sizeof(info));
    header.msg_controllen = CMSG_SPACE(sizeof(info));
  } else {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, client.asked.address.bytes.data(), 16);
    info.ipi6_ifindex = client.scope;
    part->cmsg_level = IPPROTO_IPV6;
    part->cmsg_type = IPV6_PKTINFO;
    part->cmsg_len = CMSG_LEN(sizeof(info));
    std::memcpy(CMSG_DATA(part), &info, sizeof(info));
    header.msg_controllen = CMSG_SPACE(sizeof(info));
  }
}

}  // namespace

struct UdpListener::Buffers {
  std::array<std::array<std::uint8_t, kQueryMax>, kBatch> in;
  std::array<SocketAddress, kBatch> in_from;
  std::array<Control, kBatch> in_control;
  std::array<iovec, kBatch> in_parts;
  std::array<mmsghdr, kBatch> in_headers;

  std::array<std::array<std::uint8_t, kUdpPayload>, kBatch> out;
  std::array<SocketAddress, kBatch> out_to;
  std::array<Control, kBatch> out_control;
  std::array<iovec, kBatch> out_parts;
  std::array<mmsghdr, kBatch> out_headers;
  std::size_t out_count = 0;
};

UdpListener::UdpListener(EventLoop& loop, Fd socket, OnQuery on_query)
    : loop_(loop), socket_(std::move(socket)), on_query_(std::move(on_query)), buffers_(std::make_unique<Buffers>()) {}

UdpListener::~UdpListener() { loop_.unwatch(socket_.get()); }

Result<std::unique_ptr<UdpListener>> UdpListener::make(EventLoop& loop, Fd socket, OnQuery on_query) {
  std::unique_ptr<UdpListener> listener(new UdpListener(loop, std::move(socket), std::move(on_query)));
  UdpListener* raw = listener.get();
  POSTERN_RETURN_IF_ERROR(loop.watch(raw->socket_.get(), EPOLLIN, [raw](std::uint32_t) { raw->on_readable(); }));
  return listener;
}

void UdpListener::on_readable() {
  Buffers& b = *buffers_;
  for (int batch = 0; batch < kBatchesPerTick; ++batch) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      b.in_parts[i] = {b.in[i].data(), b.in[i].size()};
      b.in_headers[i] = {};
      msghdr& header = b.in_headers[i].msg_hdr;
      header.msg_namelen = *b.in_from[i].capacity();
      header.msg_name = b.in_from[i].data();
      header.msg_iov = &b.in_parts[i];
      header.msg_iovlen = 1;
      header.msg_control = b.in_control[i].data();
      header.msg_controllen = b.in_control[i].size();
    }
    const int got = ::recvmmsg(socket_.get(), b.in_headers.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (got <= 0) {
      return;  // nothing more, or an ICMP error of an earlier reply
    }
    collecting_ = true;
    for (int i = 0; i < got; ++i) {
      const auto at = static_cast<std::size_t>(i);
      Client client;
      client.from = b.in_from[at].endpoint();
      client.scope = b.in_from[at].scope();
      if (read_control(b.in_headers[at].msg_hdr, client) && (b.in_headers[at].msg_hdr.msg_flags & MSG_TRUNC) == 0) {
        on_query_(client, Bytes(b.in[at].data(), b.in_headers[at].msg_len));
      }
    }
    collecting_ = false;
    flush();
    if (static_cast<std::size_t>(got) < kBatch) {
      return;
    }
  }
}

void UdpListener::reply(const Client& client, Bytes message) {
  Buffers& b = *buffers_;
  if (message.size() > kUdpPayload) {
    return;  // the writers keep to the limit; one that did not must not fragment
  }
  if (b.out_count == kBatch) {
    flush();
  }
  const std::size_t at = b.out_count++;
  std::memcpy(b.out[at].data(), message.data(), message.size());
  b.out_to[at] = SocketAddress(client.from, client.scope);
  b.out_parts[at] = {b.out[at].data(), message.size()};
  b.out_headers[at] = {};
  msghdr& header = b.out_headers[at].msg_hdr;
  header.msg_name = b.out_to[at].data();
  header.msg_namelen = b.out_to[at].size();
  header.msg_iov = &b.out_parts[at];
  header.msg_iovlen = 1;
  write_control(header, b.out_control[at], client);
  if (!collecting_) {
    flush();
  }
}

void UdpListener::flush() {
  Buffers& b = *buffers_;
  std::size_t done = 0;
  while (done < b.out_count) {
    const int sent = ::sendmmsg(socket_.get(), b.out_headers.data() + done, static_cast<unsigned>(b.out_count - done),
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    // The first of the rest cannot be sent: it is lost, the others are not.
    done += sent > 0 ? static_cast<std::size_t>(sent) : 1;
  }
  b.out_count = 0;
}

}  // namespace postern
