// SPDX-License-Identifier: Apache-2.0
//
// FlowStore: the last flows of this node, oldest first, with the losses between them.
//
// Thread: the loop's. Entries are immutable and shared with the streams that send them.
// Limits: a number of entries and a number of bytes of memory; what is over either goes, oldest first.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "api/observer.pb.h"

namespace postern {

/// One entry as it goes over the wire: a flow, or lost events.
using Entry = std::shared_ptr<const observer::GetFlowsResponse>;

/// Bytes of memory that an entry takes, rather too many than too few. Asking the message itself
/// (SpaceUsedLong) walks it by reflection, which takes longer than everything else that is done with it.
std::size_t memory_of(const observer::GetFlowsResponse& entry);

/// Nanoseconds since 1970 of a timestamp.
std::int64_t unix_ns_of(const google::protobuf::Timestamp& time);

class FlowStore {
 public:
  static constexpr std::size_t kFlowsDefault = 4095;
  static constexpr std::size_t kFlowsMax = 65535;
  static constexpr std::size_t kBytesMax = std::size_t{64} << 20;

  explicit FlowStore(std::size_t flows_max, std::size_t bytes_max = kBytesMax)
      : flows_max_(flows_max), bytes_max_(bytes_max) {}

  void add(Entry entry);
  const std::deque<Entry>& entries() const { return entries_; }
  std::size_t flows_max() const { return flows_max_; }
  std::size_t bytes() const { return bytes_; }
  /// Flows since the start, also those that are gone. Losses are not flows.
  std::uint64_t seen() const { return seen_; }
  /// Flows a second over the last minute.
  double rate(std::int64_t now_unix_ns) const;

 private:
  void drop_oldest();

  std::size_t flows_max_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::uint64_t seen_ = 0;
  std::deque<Entry> entries_;
};

}  // namespace postern
