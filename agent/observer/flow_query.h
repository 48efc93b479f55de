// SPDX-License-Identifier: Apache-2.0
//
// FlowQuery: what a GetFlows request asks for, checked; which entries of the store it means; and what
// of a flow is sent. The semantics are Hubble's agent's. Pure.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "agent/observer/flow_filter.h"
#include "agent/observer/flow_store.h"
#include "api/observer.pb.h"

namespace postern {

class FlowQuery {
 public:
  static constexpr int kMaskPathsMax = 256;

  /// @return invalid, naming the field, for a request that cannot be honoured as it is.
  static Result<FlowQuery> parse(const observer::GetFlowsRequest& request);

  bool follow() const { return follow_; }
  /// What is in the store: the last (or first) `number` flows that match, oldest first, with the
  /// losses among them. Following without a number or a time means new flows only.
  std::vector<Entry> select(const std::deque<Entry>& entries) const;
  /// Whether an entry is sent to a client that follows. Losses always are.
  bool wants(const observer::GetFlowsResponse& entry) const;
  /// Whether the time is past the end that the request set.
  bool is_over(std::int64_t unix_ns) const { return until_ns_ && unix_ns > *until_ns_; }
  /// The entry as the client wants it: itself, or a copy with the fields of the mask.
  Entry shown(Entry entry) const;

 private:
  bool follow_ = false;
  bool first_ = false;
  std::uint64_t number_ = 0;  ///< 0: no limit.
  std::optional<std::int64_t> since_ns_;
  std::optional<std::int64_t> until_ns_;
  std::optional<google::protobuf::FieldMask> mask_;
  std::shared_ptr<const FlowFilters> allow_;
  std::shared_ptr<const FlowFilters> deny_;
};

}  // namespace postern
