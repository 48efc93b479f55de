// SPDX-License-Identifier: Apache-2.0
//
// ObserverService: Hubble's Observer calls. Checks a request on gRPC's thread, then has the loop
// answer it.
//
// Threads: gRPC's; the hub is touched only by what the queue does on the loop.
// Limits: LoopQueue's and FlowHub's.
#pragma once

#include "agent/observer/flow_hub.h"
#include "agent/observer/loop_queue.h"
#include "api/observer.grpc.pb.h"

namespace postern {

class ObserverService final : public observer::Observer::CallbackService {
 public:
  ObserverService(LoopQueue& queue, FlowHub& hub, std::size_t flows_max)
      : queue_(queue), hub_(hub), flows_max_(flows_max) {}

  grpc::ServerWriteReactor<observer::GetFlowsResponse>* GetFlows(grpc::CallbackServerContext* context,
                                                                 const observer::GetFlowsRequest* request) override;
  grpc::ServerUnaryReactor* ServerStatus(grpc::CallbackServerContext* context,
                                         const observer::ServerStatusRequest* request,
                                         observer::ServerStatusResponse* response) override;
  grpc::ServerUnaryReactor* GetNodes(grpc::CallbackServerContext* context,
                                     const observer::GetNodesRequest* request,
                                     observer::GetNodesResponse* response) override;
  grpc::ServerUnaryReactor* GetNamespaces(grpc::CallbackServerContext* context,
                                          const observer::GetNamespacesRequest* request,
                                          observer::GetNamespacesResponse* response) override;
  /// Of Cilium's agent: Unimplemented.
  grpc::ServerWriteReactor<observer::GetAgentEventsResponse>* GetAgentEvents(
      grpc::CallbackServerContext* context, const observer::GetAgentEventsRequest* request) override;
  grpc::ServerWriteReactor<observer::GetDebugEventsResponse>* GetDebugEvents(
      grpc::CallbackServerContext* context, const observer::GetDebugEventsRequest* request) override;

 private:
  grpc::ServerUnaryReactor* on_loop(grpc::CallbackServerContext* context, LoopQueue::Work fill);

  LoopQueue& queue_;
  FlowHub& hub_;
  std::size_t flows_max_;
};

}  // namespace postern
