// SPDX-License-Identifier: Apache-2.0
#include "agent/observer/observer_service.h"

#include "agent/observer/flow_stream.h"
#include "base/clock.h"

namespace postern {
namespace {

grpc::Status busy() {
  return {grpc::StatusCode::RESOURCE_EXHAUSTED, "postern-observer has too many requests waiting: try again"};
}

std::int64_t now_unix_ns() { return static_cast<std::int64_t>(clock_ns(CLOCK_REALTIME)); }

/// A call that ends at once.
template <typename Response>
class Refusal final : public grpc::ServerWriteReactor<Response> {
 public:
  explicit Refusal(const grpc::Status& status) { this->Finish(status); }
  void OnDone() override { delete this; }
};

grpc::Status unimplemented() {
  return {grpc::StatusCode::UNIMPLEMENTED, "Postern has no agent or debug events: ask for flows (hubble observe)"};
}

}  // namespace

grpc::ServerWriteReactor<observer::GetFlowsResponse>* ObserverService::GetFlows(
    grpc::CallbackServerContext*, const observer::GetFlowsRequest* request) {
  auto query = FlowQuery::parse(*request);
  if (!query) {
    return new Refusal<observer::GetFlowsResponse>({grpc::StatusCode::INVALID_ARGUMENT, query.error().message()});
  }
  auto stream = FlowStream::make(std::move(*query), flows_max_);
  const bool posted = queue_.post([this, stream] {
    if (auto subscribed = hub_.subscribe(stream, stream->query()); !subscribed) {
      stream->refuse({grpc::StatusCode::RESOURCE_EXHAUSTED, subscribed.error().message()});
    }
  });
  if (!posted) {
    stream->refuse(busy());
  }
  return stream.get();
}

/// Has the loop fill the response; gRPC keeps it until the call is finished.
grpc::ServerUnaryReactor* ObserverService::on_loop(grpc::CallbackServerContext* context, LoopQueue::Work fill) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool posted = queue_.post([reactor, fill = std::move(fill)] {
    fill();
    reactor->Finish(grpc::Status::OK);
  });
  if (!posted) {
    reactor->Finish(busy());
  }
  return reactor;
}

grpc::ServerUnaryReactor* ObserverService::ServerStatus(grpc::CallbackServerContext* context,
                                                        const observer::ServerStatusRequest*,
                                                        observer::ServerStatusResponse* response) {
  return on_loop(context, [this, response] { *response = hub_.status(now_unix_ns()); });
}

grpc::ServerUnaryReactor* ObserverService::GetNodes(grpc::CallbackServerContext* context,
                                                    const observer::GetNodesRequest*,
                                                    observer::GetNodesResponse* response) {
  return on_loop(context, [this, response] { *response = hub_.nodes(); });
}

grpc::ServerUnaryReactor* ObserverService::GetNamespaces(grpc::CallbackServerContext* context,
                                                         const observer::GetNamespacesRequest*,
                                                         observer::GetNamespacesResponse* response) {
  return on_loop(context, [this, response] { *response = hub_.namespaces(now_unix_ns()); });
}

grpc::ServerWriteReactor<observer::GetAgentEventsResponse>* ObserverService::GetAgentEvents(
    grpc::CallbackServerContext*, const observer::GetAgentEventsRequest*) {
  return new Refusal<observer::GetAgentEventsResponse>(unimplemented());
}

grpc::ServerWriteReactor<observer::GetDebugEventsResponse>* ObserverService::GetDebugEvents(
    grpc::CallbackServerContext*, const observer::GetDebugEventsRequest*) {
  return new Refusal<observer::GetDebugEventsResponse>(unimplemented());
}

}  // namespace postern
