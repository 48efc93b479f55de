// SPDX-License-Identifier: Apache-2.0
//
// EventRing: the consumer of the kernel's event ring; KernelNames: what the name ids in events mean.
//
// Both work on descriptors that posternd gave, without a capability. The ring's position is memory that
// it shares with the kernel: a successor goes on where this one stopped, two at once must not be.
// The kernel wakes a consumer that has caught up for every event, on the processor that judges packets. So events
// are gathered for kGatherMs before they are read: a busy gate wakes us fifty times a second, not a thousand.
// Thread: the loop's. Limits: kDrainMax events before other descriptors get their turn.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/observer/flow_hub.h"
#include "base/event_loop.h"
#include "base/fd.h"
#include "bpf/layout.h"

struct ring_buffer;

namespace postern {

class EventRing {
 public:
  using OnEvent = std::function<void(const egress_event&)>;
  static constexpr int kDrainMax = 256;
  static constexpr std::uint64_t kGatherMs = 20;

  /// Maps and watches the ring. @return an error when the descriptor is not a ring that we may read.
  static Result<std::unique_ptr<EventRing>> make(EventLoop& loop, Fd map, OnEvent on_event);
  ~EventRing();
  EventRing(const EventRing&) = delete;
  EventRing& operator=(const EventRing&) = delete;

 private:
  EventRing(EventLoop& loop, Fd map, OnEvent on_event)
      : loop_(loop), map_(std::move(map)), on_event_(std::move(on_event)) {}
  static int on_sample(void* self, void* data, std::size_t size);
  void gather();
  void drain();

  EventLoop& loop_;
  Fd map_;
  OnEvent on_event_;
  ring_buffer* ring_ = nullptr;
  int left_ = 0;
  EventLoop::TimerId timer_ = 0;
};

class KernelNames final : public NameSource {
 public:
  void set(Fd map) { map_ = std::move(map); }
  std::string name(std::uint32_t id) const override;

 private:
  Fd map_;
};

}  // namespace postern
