// SPDX-License-Identifier: Apache-2.0
//
// ApiServer: gRPC on a unix socket that was opened before the privileges went. The loop accepts, gRPC
// does the rest.
//
// Who may connect is decided by the socket's mode. Thread: the loop's; gRPC starts threads of its own.
// Limits: kMessageMax bytes a request, kStreamsMax calls a connection; out of descriptors, accepting
// pauses for kPauseMs.
#pragma once

#include <grpcpp/grpcpp.h>
#include <sys/stat.h>

#include <memory>
#include <string>

#include "agent/observer/flow_hub.h"
#include "agent/observer/loop_queue.h"
#include "agent/observer/observer_service.h"
#include "base/event_loop.h"
#include "base/fd.h"

namespace postern {

/// A listening stream socket at `path` with mode `mode`; a stale one is replaced.
/// @return exists when somebody answers there.
Result<Fd> listen_stream(const std::string& path, mode_t mode);

class ApiServer {
 public:
  static constexpr int kMessageMax = 1 << 20;
  static constexpr int kStreamsMax = 100;
  static constexpr std::uint64_t kPauseMs = 1000;

  static Result<std::unique_ptr<ApiServer>> make(EventLoop& loop, Fd listener, FlowHub& hub, std::size_t flows_max);
  /// Ends every call.
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

 private:
  ApiServer(EventLoop& loop, Fd listener, FlowHub& hub, std::unique_ptr<LoopQueue> queue, std::size_t flows_max)
      : loop_(loop),
        listener_(std::move(listener)),
        hub_(hub),
        queue_(std::move(queue)),
        service_(*queue_, hub, flows_max) {}
  Result<> start();
  Result<> listen();
  void on_connection();

  EventLoop& loop_;
  Fd listener_;
  FlowHub& hub_;
  std::unique_ptr<LoopQueue> queue_;
  ObserverService service_;
  std::unique_ptr<grpc::Server> server_;
  EventLoop::TimerId pause_ = 0;
};

}  // namespace postern
