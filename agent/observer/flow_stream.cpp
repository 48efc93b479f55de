// SPDX-License-Identifier: Apache-2.0
#include "agent/observer/flow_stream.h"

#include <algorithm>

namespace postern {
namespace {

Entry lost_before(const observer::GetFlowsResponse& next, std::uint64_t count) {
  auto entry = std::make_shared<observer::GetFlowsResponse>();
  auto& lost = *entry->mutable_lost_events();
  lost.set_source(flow::HUBBLE_RING_BUFFER);
  lost.set_num_events_lost(count);
  *lost.mutable_last() = next.time();
  *entry->mutable_time() = next.time();
  entry->set_node_name(next.node_name());
  return entry;
}

}  // namespace

std::shared_ptr<FlowStream> FlowStream::make(FlowQuery query, std::size_t waiting_max) {
  std::shared_ptr<FlowStream> stream(new FlowStream(std::move(query), waiting_max));
  stream->self_ = stream;
  return stream;
}

void FlowStream::start(std::vector<Entry> entries, bool more) {
  {
    const std::lock_guard lock(mutex_);
    waiting_max_ = std::max(waiting_max_, entries.size());
    waiting_.assign(std::make_move_iterator(entries.begin()), std::make_move_iterator(entries.end()));
    complete_ = !more;
  }
  advance();
}

void FlowStream::push(const Entry& entry) {
  {
    const std::lock_guard lock(mutex_);
    if (finished_ || cancelled_) {
      return;
    }
    waiting_.push_back(entry);
    if (waiting_.size() > waiting_max_) {
      waiting_.pop_front();
      ++dropped_;
    }
  }
  advance();
}

void FlowStream::end() {
  {
    const std::lock_guard lock(mutex_);
    complete_ = true;
  }
  advance();
}

bool FlowStream::gone() const {
  const std::lock_guard lock(mutex_);
  return finished_ || cancelled_;
}

void FlowStream::refuse(const grpc::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    complete_ = true;
    status_ = status;
  }
  advance();
}

/// With the lock held. @return whether current_ is to be sent.
bool FlowStream::take_next() {
  if (waiting_.empty()) {
    return false;
  }
  if (dropped_ > 0) {
    current_ = lost_before(*waiting_.front(), std::exchange(dropped_, 0));
    return true;
  }
  current_ = std::move(waiting_.front());
  waiting_.pop_front();
  return true;
}

void FlowStream::advance() {
  grpc::Status status;
  bool finish = false;
  {
    const std::lock_guard lock(mutex_);
    if (busy_ || finished_) {
      return;
    }
    busy_ = !cancelled_ && take_next();
    if (!busy_ && !cancelled_ && !complete_) {
      return;
    }
    finished_ = finish = !busy_;
    status = cancelled_ ? grpc::Status(grpc::StatusCode::CANCELLED, "cancelled") : status_;
  }
  // Only one thread gets here at a time: busy_ and finished_ keep the others out.
  if (finish) {
    Finish(status);  // *this may be gone now
    return;
  }
  current_ = query_.shown(std::move(current_));
  StartWrite(current_.get());
}

void FlowStream::OnWriteDone(bool ok) {
  {
    const std::lock_guard lock(mutex_);
    busy_ = false;
    cancelled_ = cancelled_ || !ok;
  }
  advance();
}

void FlowStream::OnCancel() {
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    waiting_.clear();
  }
  advance();
}

void FlowStream::OnDone() {
  const auto keep = std::move(self_);  // the last one out destroys
}

}  // namespace postern
