// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/dns_sockets.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "api/dns_feed.h"

#ifndef SO_RCVMARK
#define SO_RCVMARK 75  // kernel 5.19; asm-generic/socket.h
#endif

namespace postern {
namespace {

constexpr std::uint16_t kDnsPort = 53;
constexpr int kBacklog = 1024;
constexpr int kReceiveBuffer = 4 << 20;

struct Kind {
  int family;
  int type;
  const char* name;
};
// In the order of api/dns_feed.h.
constexpr std::array<Kind, kSocketsPerWorker> kKinds = {{{AF_INET, SOCK_DGRAM, "UDP IPv4"},
                                                         {AF_INET6, SOCK_DGRAM, "UDP IPv6"},
                                                         {AF_INET, SOCK_STREAM, "TCP IPv4"},
                                                         {AF_INET6, SOCK_STREAM, "TCP IPv6"}}};

Result<> set_option(const Fd& socket, int level, int option, int value, const char* name) {
  if (::setsockopt(socket.get(), level, option, &value, sizeof(value)) != 0) {
    return Error::from_errno(std::string("setting ") + name + " of a DNS socket", errno);
  }
  return {};
}

Result<> set_options(const Fd& socket, const Kind& kind) {
  POSTERN_RETURN_IF_ERROR(set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"));
  POSTERN_RETURN_IF_ERROR(set_option(socket, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT"));
  if (kind.family == AF_INET) {
    POSTERN_RETURN_IF_ERROR(set_option(socket, IPPROTO_IP, IP_TRANSPARENT, 1, "IP_TRANSPARENT"));
  } else {
    POSTERN_RETURN_IF_ERROR(set_option(socket, IPPROTO_IPV6, IPV6_TRANSPARENT, 1, "IPV6_TRANSPARENT"));
    POSTERN_RETURN_IF_ERROR(set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY"));
  }
  if (kind.type == SOCK_STREAM) {
    return {};
  }
  POSTERN_RETURN_IF_ERROR(set_option(socket, SOL_SOCKET, SO_RCVMARK, 1, "SO_RCVMARK"));
  // More than the limit for everybody, where we may; a burst then waits instead of being lost.
  if (!set_option(socket, SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBuffer, "SO_RCVBUFFORCE")) {
    POSTERN_RETURN_IF_ERROR(set_option(socket, SOL_SOCKET, SO_RCVBUF, kReceiveBuffer, "SO_RCVBUF"));
  }
  return kind.family == AF_INET ? set_option(socket, IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO")
                                : set_option(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO");
}

Result<> bind_all(const Fd& socket, const Kind& kind) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(kDnsPort);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(kDnsPort);
  const bool is_v4 = kind.family == AF_INET;
  const auto* address = is_v4 ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
  if (::bind(socket.get(), address, is_v4 ? sizeof(v4) : sizeof(v6)) != 0) {
    return Error::from_errno("binding a DNS socket", errno);
  }
  if (kind.type == SOCK_STREAM && ::listen(socket.get(), kBacklog) != 0) {
    return Error::from_errno("listening at a DNS socket", errno);
  }
  return {};
}

/// mark % workers, as worker_of says; sockets of a group count in the order in which they were bound.
Result<> pick_by_mark(const Fd& socket, std::uint32_t workers) {
  std::array<sock_filter, 3> code = {
      {{BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_MARK)},
       {BPF_ALU | BPF_MOD | BPF_K, 0, 0, workers},
       {BPF_RET | BPF_A, 0, 0, 0}}};
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) != 0) {
    return Error::from_errno("attaching the choice of the worker", errno);
  }
  return {};
}

Result<Fd> make_socket(const Kind& kind) {
  Fd socket(::socket(kind.family, kind.type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) {
    return Error::from_errno("making a DNS socket", errno);
  }
  POSTERN_RETURN_IF_ERROR(set_options(socket, kind));
  POSTERN_RETURN_IF_ERROR(bind_all(socket, kind));
  return socket;
}

}  // namespace

Result<std::vector<Fd>> make_dns_sockets(std::uint32_t workers) {
  std::vector<Fd> sockets;
  for (std::uint32_t worker = 0; worker < workers; ++worker) {
    for (const Kind& kind : kKinds) {
      auto socket = make_socket(kind);
      if (!socket) {
        return std::move(socket).error().within(kind.name);
      }
      if (worker == 0) {
        POSTERN_RETURN_IF_ERROR(pick_by_mark(*socket, workers));
      }
      sockets.push_back(std::move(*socket));
    }
  }
  return sockets;
}

}  // namespace postern
