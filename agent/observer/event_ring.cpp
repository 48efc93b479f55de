// SPDX-License-Identifier: Apache-2.0
#include "agent/observer/event_ring.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstring>

#include "policies/dns_name.h"

namespace postern {

Result<std::unique_ptr<EventRing>> EventRing::make(EventLoop& loop, Fd map, OnEvent on_event) {
  std::unique_ptr<EventRing> ring(new EventRing(loop, std::move(map), std::move(on_event)));
  EventRing* raw = ring.get();
  raw->ring_ = ring_buffer__new(raw->map_.get(), &EventRing::on_sample, raw, nullptr);
  if (raw->ring_ == nullptr) {
    return Error::from_errno("mapping the event ring", errno);
  }
  POSTERN_RETURN_IF_ERROR(loop.watch(raw->map_.get(), EPOLLIN, [raw](std::uint32_t) { raw->gather(); }));
  return ring;
}

EventRing::~EventRing() {
  loop_.cancel(timer_);
  loop_.unwatch(map_.get());
  ring_buffer__free(ring_);
}

int EventRing::on_sample(void* self, void* data, std::size_t size) {
  auto& ring = *static_cast<EventRing*>(self);
  if (size == sizeof(egress_event)) {
    egress_event event;
    std::memcpy(&event, data, sizeof(event));
    ring.on_event_(event);
  }
  return --ring.left_ > 0 ? 0 : -EAGAIN;  // the record is consumed in either case
}

void EventRing::gather() {
  static_cast<void>(loop_.rewatch(map_.get(), 0));
  timer_ = loop_.after_ms(kGatherMs, [this] { drain(); });
}

void EventRing::drain() {
  left_ = kDrainMax;
  static_cast<void>(ring_buffer__consume(ring_));
  if (left_ == 0) {
    timer_ = loop_.after_ms(0, [this] { drain(); });
  } else {
    static_cast<void>(loop_.rewatch(map_.get(), EPOLLIN));
  }
}

std::string KernelNames::name(std::uint32_t id) const {
  egress_name name{};
  if (!map_ || bpf_map_lookup_elem(map_.get(), &id, &name) != 0) {
    return {};
  }
  const std::string text = text_of({name.wire, name.length});
  return text == "?" || text == "." ? std::string() : text;
}

}  // namespace postern
