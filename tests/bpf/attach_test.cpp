// SPDX-License-Identifier: Apache-2.0
//
// How the programs hang on an interface: before others, replaced without a gap, kept by pins, taken
// off without touching what is not ours. Each for tcx and for clsact.
#include <sched.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_adapters.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <thread>

#include "tests/bpf/lab.h"
#include "tests/bpf/wait.h"
#include "tests/bpf/witness.h"
#include "tests/bpf/world.h"

namespace postern::test {
namespace {

constexpr int kReplacements = 300;

const char* name_of(AttachKind kind) { return kind == AttachKind::kTcx ? "tcx" : "clsact"; }

bool has(AttachKind kind) { return kind == AttachKind::kClsact || best_attach_kind() == AttachKind::kTcx; }

/// Those that this kernel has.
std::vector<AttachKind> kinds() {
  return has(AttachKind::kTcx) ? std::vector{AttachKind::kTcx, AttachKind::kClsact} : std::vector{AttachKind::kClsact};
}

/// An interface without a sandbox, behind which an attached gate drops and counts every frame but none passes.
struct Link {
  Link() : ifindex(make_veth(name, peer)) {}
  ~Link() { run_tool({"ip", "link", "del", name}); }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  const std::string name = "attach";
  const std::string peer = "attach-peer";
  const std::uint32_t ifindex;
};

std::string fresh_pins() {
  static int count = 0;
  return std::string(kBpffs) + "/attach-" + std::to_string(++count);
}

std::unique_ptr<Gate> load(const std::string& pins, AttachKind kind) { return must(Gate::load(pins, kind)); }

Frame denied() { return Frame::out(kWeb.v4).tcp(kSyn); }

bool drops_one(Gate& gate, const Link& link) {
  const std::uint64_t before = packets_counted(gate, EGRESS_REASON_NO_SANDBOX, EGRESS_OUT);
  send(link.peer, denied());
  return eventually([&] { return packets_counted(gate, EGRESS_REASON_NO_SANDBOX, EGRESS_OUT) == before + 1; });
}

/// Sends denied frames without end, on any CPU.
class Flood {
 public:
  explicit Flood(const std::string& interface)
      : thread_([this, interface] {
          cpu_set_t all;
          CPU_ZERO(&all);
          for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            CPU_SET(cpu, &all);
          }
          ::sched_setaffinity(0, sizeof(all), &all);
          while (!stop_) {
            send(interface, denied());
            ++sent_;
          }
        }) {}
  ~Flood() { stop(); }
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;
  void stop() {
    stop_ = true;
    if (thread_.joinable()) {
      thread_.join();
    }
  }
  std::uint64_t sent() const { return sent_; }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> sent_ = 0;
  std::thread thread_;
};

/// Puts the lab's ordinary sandbox behind an interface of another gate: ARP passes.
void put_sandbox(Gate& gate, std::uint32_t ifindex) {
  egress_sandbox sandbox = must(Lab::get().gate().sandboxes().lookup(Lab::get().ifindex())).value();
  must(gate.sandboxes().update(ifindex, sandbox));
}

}  // namespace

TEST_CASE("a program behind ours sees what the gate forwards, and nothing else") {
  Lab::get().reset();
  struct Pair {
    AttachKind ours;
    AttachKind theirs;
  };
  const Pair pair =
      GENERATE(filter([](const Pair& each) { return has(each.ours) && has(each.theirs); },
                      values({Pair{AttachKind::kClsact, AttachKind::kClsact}, Pair{AttachKind::kTcx, AttachKind::kTcx},
                              Pair{AttachKind::kTcx, AttachKind::kClsact}})));
  const bool theirs_first = GENERATE(false, true);
  INFO(name_of(pair.ours) << " before " << name_of(pair.theirs) << (theirs_first ? ", theirs was there" : ""));
  Link link;
  const auto gate = load(fresh_pins(), pair.ours);
  put_sandbox(*gate, link.ifindex);
  Witness witness;
  const auto theirs = [&] { witness.attach(link.ifindex, Hook::kIngress, pair.theirs); };
  if (theirs_first) {
    theirs();
  }
  REQUIRE(gate->attach_sandbox(link.ifindex));
  if (!theirs_first) {
    theirs();
  }
  send(link.peer, denied());
  send(link.peer, Frame::arp(1, kOwn.v4, kNode.v4));
  CHECK(witness.sees(1));
  CHECK(witness.count() == 1);
  CHECK(packets_counted(*gate, EGRESS_REASON_NOT_GRANTED, EGRESS_OUT) == 1);
}

TEST_CASE("replacing the programs leaves no gap") {
  const AttachKind kind = GENERATE(from_range(kinds()));
  INFO(name_of(kind));
  Link link;
  const auto gate = load(fresh_pins(), kind);
  REQUIRE(gate->attach_sandbox(link.ifindex));
  Witness witness;
  witness.attach(link.ifindex, Hook::kIngress, kind);
  Flood flood(link.peer);
  for (int i = 0; i < kReplacements; ++i) {
    REQUIRE(gate->attach_sandbox(link.ifindex));
  }
  CHECK(eventually([&] { return flood.sent() > kReplacements; }));
  CHECK(witness.count() == 0);
  // The same would see a gap if there were one.
  CHECK(eventually([&] {
    must(gate->detach_sandbox(link.ifindex));
    must(gate->attach_sandbox(link.ifindex));
    return witness.count() > 0;
  }));
}

TEST_CASE("the gate outlives its process and is taken over") {
  const AttachKind kind = GENERATE(from_range(kinds()));
  INFO(name_of(kind));
  Link link;
  const std::string pins = fresh_pins();
  auto gate = load(pins, kind);
  REQUIRE(gate->attach_sandbox(link.ifindex));
  REQUIRE(drops_one(*gate, link));
  Witness witness;
  witness.attach(link.ifindex, Hook::kIngress, kind);
  gate.reset();
  send(link.peer, denied());
  gate = load(pins, kind);
  CHECK(eventually([&] { return packets_counted(*gate, EGRESS_REASON_NO_SANDBOX, EGRESS_OUT) == 2; }));
  REQUIRE(gate->attach_sandbox(link.ifindex));
  CHECK(drops_one(*gate, link));
  CHECK(packets_counted(*gate, EGRESS_REASON_NO_SANDBOX, EGRESS_OUT) == 3);  // one program, not two
  CHECK(witness.count() == 0);
}

TEST_CASE("an interface index that is used again") {
  const AttachKind kind = GENERATE(from_range(kinds()));
  INFO(name_of(kind));
  constexpr std::uint32_t kIndex = 4711;
  const auto gate = load(fresh_pins(), kind);
  for (int i = 0; i < 2; ++i) {
    REQUIRE(make_veth("again", "again-peer", kIndex) == kIndex);
    REQUIRE(gate->attach_sandbox(kIndex));
    send("again-peer", denied());
    CHECK(eventually([&] {
      return packets_counted(*gate, EGRESS_REASON_NO_SANDBOX, EGRESS_OUT) == static_cast<std::uint64_t>(i) + 1;
    }));
    run_tool({"ip", "link", "del", "again"});
  }
  CHECK(gate->detach_sandbox(kIndex));  // it is gone: no error
  const auto attached = gate->attach_sandbox(kIndex);
  REQUIRE_FALSE(attached);
  CHECK(attached.error().code() == Errc::kNotFound);
  CHECK(attached.error().message() == "there is no interface with index 4711");
}

TEST_CASE("taking the gate off leaves other programs alone") {
  const AttachKind kind = GENERATE(from_range(kinds()));
  INFO(name_of(kind));
  Link link;
  const auto gate = load(fresh_pins(), kind);
  REQUIRE(gate->attach_sandbox(link.ifindex));
  Witness witness;
  witness.attach_clsact(link.ifindex, Hook::kIngress);
  REQUIRE(drops_one(*gate, link));
  REQUIRE(gate->detach_sandbox(link.ifindex));
  REQUIRE(gate->detach_sandbox(link.ifindex));  // once more is no error
  send(link.peer, denied());
  CHECK(witness.sees(1));
  CHECK(packets_counted(*gate, EGRESS_REASON_NO_SANDBOX, EGRESS_OUT) == 1);
  REQUIRE(gate->attach_sandbox(link.ifindex));
  CHECK(drops_one(*gate, link));
}

TEST_CASE("a program that came before ours skips the gate until ours is in front again") {
  if (!has(AttachKind::kTcx)) {
    return;
  }
  const Hook hook = GENERATE(Hook::kIngress, Hook::kEgress);
  Link link;
  const auto gate = load(fresh_pins(), AttachKind::kTcx);
  REQUIRE(gate->attach_sandbox(link.ifindex));
  CHECK_FALSE(must(gate->keep_in_front(link.ifindex)));
  Witness front;
  front.attach_before(link.ifindex, hook);
  const auto counted = [&] {
    return packets_counted(*gate, EGRESS_REASON_NO_SANDBOX, hook == Hook::kIngress ? EGRESS_OUT : EGRESS_IN);
  };
  const std::string from = hook == Hook::kIngress ? link.peer : link.name;
  const std::uint64_t before = counted();
  send(from, denied());
  REQUIRE(front.sees(1));
  CHECK(counted() == before);
  CHECK(must(gate->keep_in_front(link.ifindex)) == front.program_id());
  CHECK_FALSE(must(gate->keep_in_front(link.ifindex)));
  send(from, denied());
  CHECK(eventually([&] { return counted() == before + 1; }));
  CHECK(front.count() == 1);
}

TEST_CASE("coming in front again leaves no gap, however often, and no second gate behind it") {
  if (!has(AttachKind::kTcx)) {
    return;
  }
  constexpr int kTimes = 100;
  Link link;
  const std::string pins = fresh_pins();
  const auto gate = load(pins, AttachKind::kTcx);
  REQUIRE(gate->attach_sandbox(link.ifindex));
  Witness rear;
  rear.attach_tcx(link.ifindex, Hook::kIngress);
  Flood flood(link.peer);
  for (int i = 0; i < kTimes; ++i) {
    Witness front(TC_ACT_UNSPEC);
    front.attach_before(link.ifindex, Hook::kIngress);
    REQUIRE(must(gate->keep_in_front(link.ifindex)) == front.program_id());
    REQUIRE_FALSE(must(gate->keep_in_front(link.ifindex)));
  }
  CHECK(eventually([&] { return flood.sent() > kTimes; }));
  CHECK(rear.count() == 0);
  flood.stop();
  REQUIRE(gate->detach_sandbox(link.ifindex));
  send(link.peer, denied());
  CHECK(rear.sees(1));
}

TEST_CASE("a gate that somebody took off is put there again") {
  if (!has(AttachKind::kTcx)) {
    return;
  }
  Link link;
  const std::string pins = fresh_pins();
  const auto gate = load(pins, AttachKind::kTcx);
  REQUIRE(gate->attach_sandbox(link.ifindex));
  run_tool({"bpftool", "link", "detach", "pinned",
            pins + "/v" + std::to_string(EGRESS_LAYOUT_VERSION) + "/links/" + std::to_string(link.ifindex) + "-in"});
  CHECK_FALSE(drops_one(*gate, link));
  CHECK(must(gate->keep_in_front(link.ifindex)) == 0u);
  CHECK(drops_one(*gate, link));
  CHECK_FALSE(must(gate->keep_in_front(link.ifindex)));
}

TEST_CASE("a clsact qdisc that somebody deleted is made again") {
  Link link;
  const auto gate = load(fresh_pins(), AttachKind::kClsact);
  REQUIRE(gate->attach_sandbox(link.ifindex));
  REQUIRE(drops_one(*gate, link));
  run_tool({"tc", "qdisc", "del", "dev", link.name, "clsact"});
  CHECK_FALSE(drops_one(*gate, link));
  REQUIRE(gate->attach_sandbox(link.ifindex));
  CHECK(drops_one(*gate, link));
}

TEST_CASE("tcx is chosen where the kernel has it") {
  CHECK(best_attach_kind() == (kernel_is_at_least(6, 6) ? AttachKind::kTcx : AttachKind::kClsact));
}

}  // namespace postern::test
