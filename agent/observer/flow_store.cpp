// SPDX-License-Identifier: Apache-2.0
#include "agent/observer/flow_store.h"

#include <utility>

#include "base/clock.h"

namespace postern {
namespace {

constexpr std::int64_t kRateWindowNs = 60 * static_cast<std::int64_t>(kNsPerS);

/// A flow's own submessages as they lie in memory, and the strings behind them, which the wire form counts.
constexpr std::size_t kMessageBytes = 2560;

}  // namespace

std::size_t memory_of(const observer::GetFlowsResponse& entry) { return kMessageBytes + 2 * entry.ByteSizeLong(); }

std::int64_t unix_ns_of(const google::protobuf::Timestamp& time) {
  // A client may send any number; what a 64-bit count of nanoseconds holds ends in 2262.
  constexpr std::int64_t kSecondsMax = std::int64_t{1} << 33;
  const std::int64_t seconds = std::min(std::max(time.seconds(), -kSecondsMax), kSecondsMax);
  return seconds * static_cast<std::int64_t>(kNsPerS) + time.nanos();
}

void FlowStore::add(Entry entry) {
  seen_ += entry->has_flow() ? 1 : 0;
  bytes_ += memory_of(*entry);
  entries_.push_back(std::move(entry));
  while (entries_.size() > flows_max_ || (bytes_ > bytes_max_ && entries_.size() > 1)) {
    drop_oldest();
  }
}

void FlowStore::drop_oldest() {
  bytes_ -= memory_of(*entries_.front());
  entries_.pop_front();
}

double FlowStore::rate(std::int64_t now_unix_ns) const {
  std::size_t recent = 0;
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    if (now_unix_ns - unix_ns_of((*entry)->time()) > kRateWindowNs) {
      break;
    }
    recent += (*entry)->has_flow() ? 1 : 0;
  }
  return static_cast<double>(recent) * static_cast<double>(kNsPerS) / static_cast<double>(kRateWindowNs);
}

}  // namespace postern
