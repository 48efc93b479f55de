// SPDX-License-Identifier: Apache-2.0
//
// One rtnetlink socket (libmnl): requests with their answers. rtnetlink(7).
#pragma once

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.h"

namespace postern {

/// A message under construction, over a buffer of its own.
class NetlinkRequest {
 public:
  static constexpr std::size_t kSize = 4096;

  NetlinkRequest(std::uint16_t type, std::uint16_t flags);
  template <typename T>
  T& body() {
    return *static_cast<T*>(mnl_nlmsg_put_extra_header(header_, sizeof(T)));
  }
  nlmsghdr* header() { return header_; }

 private:
  alignas(nlmsghdr) std::array<char, kSize> buffer_{};
  nlmsghdr* header_;
};

class NetlinkSocket {
 public:
  using Each = std::function<void(const nlmsghdr*)>;

  /// In the network namespace of the calling thread.
  static Result<NetlinkSocket> open();

  /// Sends, and calls back for every message of the answer until its end or acknowledgement.
  /// @return the kernel's error. again: what a dump lists changed meanwhile, so that it may be
  /// incomplete (NLM_F_DUMP_INTR); forget what came and ask again.
  Result<> call(NetlinkRequest& request, const Each& each = {});

 private:
  struct Closer {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
  };
  explicit NetlinkSocket(mnl_socket* socket) : socket_(socket) {}

  std::unique_ptr<mnl_socket, Closer> socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace postern
