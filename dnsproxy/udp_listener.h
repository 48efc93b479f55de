// SPDX-License-Identifier: Apache-2.0
//
// UdpListener: a worker's UDP socket in the steering namespace.
//
// The socket is transparent: a query arrives with whatever address the sandbox asked, and the reply
// leaves with it. Which sandbox asked is the packet's mark, which the kernel programs set; nothing
// in the packet is believed. Limits: kBatch datagrams a system call, kBatchesPerTick a turn of the loop.
#pragma once

#include <functional>
#include <memory>

#include "base/event_loop.h"
#include "base/fd.h"
#include "dnsproxy/resolver.h"

namespace postern {

class UdpListener {
 public:
  static constexpr std::size_t kBatch = 32;
  static constexpr int kBatchesPerTick = 4;
  static constexpr std::size_t kQueryMax = 4096;

  using OnQuery = std::function<void(const Client& client, Bytes message)>;

  static Result<std::unique_ptr<UdpListener>> make(EventLoop& loop, Fd socket, OnQuery on_query);
  UdpListener(const UdpListener&) = delete;
  UdpListener& operator=(const UdpListener&) = delete;
  ~UdpListener();

  /// Inside the callback replies are collected and leave together; else at once. One that the
  /// kernel does not take is a lost packet.
  void reply(const Client& client, Bytes message);

 private:
  struct Buffers;

  UdpListener(EventLoop& loop, Fd socket, OnQuery on_query);
  void on_readable();
  void flush();

  EventLoop& loop_;
  Fd socket_;
  OnQuery on_query_;
  std::unique_ptr<Buffers> buffers_;
  bool collecting_ = false;
};

}  // namespace postern
