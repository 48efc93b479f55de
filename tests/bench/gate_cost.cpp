// SPDX-License-Identifier: Apache-2.0
//
// gate_cost: what the from_sandbox program costs a packet, in ns, as JSON. Root; in namespaces of its own.
//
// bpf_ns_first: a connection's first packet: a SYN to an address that a name gave. It is repeated as it is, and yet
//   opens a flow each time: a SYN is judged by grants, never by a flow, and the flow it begins takes the place of the
//   one before (a new element of the table is made, linked, and the old one freed, so a little more than in a table
//   without it). Counters and the event are part of it: batches stay below the rate above which events are only
//   counted, the rate's window is wound on between batches and the ring is emptied, as the observer does.
// bpf_ns_flow: a packet of a flow that is known and answered.
// Each value is the median of kRuns runs by BPF_PROG_TEST_RUN with repeat; a run that was judged otherwise is an error.
#include <bpf/libbpf.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>

#include "gate.skel.h"
#include "tests/bpf/lab.h"
#include "tests/bpf/world.h"

namespace postern::test {
namespace {

constexpr std::size_t kRuns = 11;
constexpr std::uint32_t kFirstBatch = 400;  // below EGRESS_EVENTS_PER_S
constexpr std::uint32_t kFirstBatches = 25;
constexpr std::uint32_t kFlowPackets = 100'000;
static_assert(kFirstBatch < EGRESS_EVENTS_PER_S);

using Ring = std::unique_ptr<ring_buffer, decltype(&ring_buffer__free)>;
using Runs = std::array<double, kRuns>;

Ring open_ring(Lab& lab) {
  const auto ignore = [](void*, void*, std::size_t) { return 0; };
  return {ring_buffer__new(bpf_map__fd(lab.gate().skeleton().maps.events), ignore, nullptr, nullptr),
          &ring_buffer__free};
}

double measured(const Outcome& outcome, unsigned reason, std::uint32_t packets) {
  if (outcome.verdict != Verdict::kNext || outcome.reason != reason || outcome.counted != packets) {
    must(Error(Errc::kInvalid,
               std::string("what is measured was judged otherwise: ") + egress_reason_label(outcome.reason)));
  }
  return outcome.duration_ns;
}

double first_packet_ns(Lab& lab, ring_buffer* ring) {
  const Packet syn = {Program::kFromSandbox, Frame::out(kWeb.v4).tcp(kSyn)};
  double sum = 0;
  for (std::uint32_t batch = 0; batch < kFirstBatches; ++batch) {
    lab.begin_next_second();
    ring_buffer__consume(ring);
    sum += measured(lab.run(syn, kFirstBatch), EGRESS_REASON_ALLOWED_BY_NAME, kFirstBatch);
  }
  return sum / kFirstBatches;
}

double known_flow_ns(Lab& lab) {
  const Packet data = {Program::kFromSandbox, Frame::out(kWeb.v4).tcp(kAck).payload(1000)};
  lab.run({Program::kFromSandbox, Frame::out(kWeb.v4).tcp(kSyn)});
  lab.run({Program::kToSandbox, Frame::in(kWeb.v4).tcp(kSynAck)});
  return measured(lab.run(data, kFlowPackets), EGRESS_REASON_KNOWN_FLOW, kFlowPackets);
}

double median(Runs runs) {
  std::ranges::nth_element(runs, runs.begin() + kRuns / 2);
  return runs[kRuns / 2];
}

void measure() {
  Lab& lab = Lab::get();
  lab.reset();
  lab.grant(kWeb.v4);
  const Ring ring = open_ring(lab);
  Runs first{};
  Runs flow{};
  for (std::size_t run = 0; run < kRuns; ++run) {
    first[run] = first_packet_ns(lab, ring.get());
    flow[run] = known_flow_ns(lab);
  }
  std::printf("{\"bpf_ns_first\": %.0f, \"bpf_ns_flow\": %.0f, \"runs\": %zu}\n", median(first), median(flow), kRuns);
}

}  // namespace
}  // namespace postern::test

int main() {
  if (const auto entered = postern::test::enter_world(); !entered) {
    std::fprintf(stderr, "gate_cost: %s: run this as root\n", entered.error().message().c_str());
    return 1;
  }
  postern::test::stay_on_one_cpu();
  postern::test::measure();
  return 0;
}
