// SPDX-License-Identifier: Apache-2.0
//
// Endpoint <-> sockaddr of either family.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "base/ip.h"

namespace postern {

class SocketAddress {
 public:
  SocketAddress() = default;
  explicit SocketAddress(const Endpoint& endpoint, std::uint32_t scope = 0) {
    if (endpoint.address.is_v4()) {
      auto& v4 = reinterpret_cast<sockaddr_in&>(storage_);
      v4.sin_family = AF_INET;
      v4.sin_port = htons(endpoint.port);
      std::memcpy(&v4.sin_addr, endpoint.address.v4(), 4);
      size_ = sizeof(sockaddr_in);
    } else {
      auto& v6 = reinterpret_cast<sockaddr_in6&>(storage_);
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(endpoint.port);
      std::memcpy(&v6.sin6_addr, endpoint.address.bytes.data(), 16);
      v6.sin6_scope_id = scope;
      size_ = sizeof(sockaddr_in6);
    }
  }

  sa_family_t family() const { return storage_.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  sockaddr* data() { return reinterpret_cast<sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }
  socklen_t* capacity() {
    size_ = sizeof(storage_);
    return &size_;
  }

  Endpoint endpoint() const {
    Endpoint endpoint;
    if (storage_.ss_family == AF_INET) {
      const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage_);
      endpoint.address = Address::from_v4(reinterpret_cast<const std::uint8_t*>(&v4.sin_addr));
      endpoint.port = ntohs(v4.sin_port);
    } else if (storage_.ss_family == AF_INET6) {
      const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage_);
      endpoint.address = Address::from_v6(reinterpret_cast<const std::uint8_t*>(&v6.sin6_addr));
      endpoint.port = ntohs(v6.sin6_port);
    }
    return endpoint;
  }
  std::uint32_t scope() const {
    return storage_.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(storage_).sin6_scope_id : 0;
  }

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

}  // namespace postern
