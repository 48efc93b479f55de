// SPDX-License-Identifier: Apache-2.0
//
// FlowStream: one GetFlows call. The loop puts entries in, gRPC's threads send them one by one.
//
// A client that reads too slowly loses the oldest of what waits for it and is told how many.
// Threads: FlowSink's methods are the loop's, On*() gRPC's; a mutex guards what both touch, and is
// never held while gRPC is called. Lives until gRPC is done with it and the loop has let go.
// Limits: the first answer, or waiting_max entries if that is more.
#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "agent/observer/flow_hub.h"
#include "agent/observer/flow_query.h"

namespace postern {

class FlowStream final : public FlowSink, public grpc::ServerWriteReactor<observer::GetFlowsResponse> {
 public:
  static std::shared_ptr<FlowStream> make(FlowQuery query, std::size_t waiting_max);

  const FlowQuery& query() const { return query_; }
  void start(std::vector<Entry> entries, bool more) override;
  void push(const Entry& entry) override;
  void end() override;
  bool gone() const override;
  /// Ends a call that never began.
  void refuse(const grpc::Status& status);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  FlowStream(FlowQuery query, std::size_t waiting_max) : query_(std::move(query)), waiting_max_(waiting_max) {}
  void advance();
  bool take_next();

  const FlowQuery query_;
  std::size_t waiting_max_;
  std::shared_ptr<FlowStream> self_;
  Entry current_;  // what gRPC is sending

  mutable std::mutex mutex_;
  std::deque<Entry> waiting_;
  std::uint64_t dropped_ = 0;
  bool complete_ = false;  // nothing more will come
  bool busy_ = false;      // gRPC is sending current_
  bool cancelled_ = false;
  bool finished_ = false;
  grpc::Status status_;
};

}  // namespace postern
