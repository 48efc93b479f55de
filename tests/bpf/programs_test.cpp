// SPDX-License-Identifier: Apache-2.0
//
// The programs themselves: what they cost the verifier, and the one of the steering namespace.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_cls.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdio>

#include "agent/datapath/skeleton.h"
#include "agent/datapath/steer_mark.h"
#include "gate.skel.h"
#include "steering.skel.h"
#include "tests/bpf/lab.h"
#include "tests/bpf/witness.h"
#include "tests/bpf/world.h"

namespace postern::test {
namespace {

/// What the verifier of the kernel with the most looked at, when that was last looked into; a quarter
/// more is allowed. Over it: see what grew before raising it, since kernels differ by more than that.
struct Bound {
  const char* program;
  std::uint32_t verified;
};
constexpr Bound kBounds[] = {{"from_sandbox", 15'869}, {"to_sandbox", 13'386}, {"from_steering", 1'914}};
constexpr std::uint32_t kMargin = 4;  // a quarter

}  // namespace

TEST_CASE("the verifier's work is bounded") {
  for (const Bound& bound : kBounds) {
    const bpf_program* program = bpf_object__find_program_by_name(Lab::get().gate().skeleton().obj, bound.program);
    REQUIRE(program != nullptr);
    bpf_prog_info info{};
    std::uint32_t size = sizeof(info);
    REQUIRE(::bpf_prog_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0);
    std::printf("%s: the verifier looked at %u instructions (bound %u)\n", bound.program, info.verified_insns,
                bound.verified + bound.verified / kMargin);
    CHECK(info.verified_insns <= bound.verified + bound.verified / kMargin);
  }
}

TEST_CASE("the sandbox's id becomes a mark in the steering namespace") {
  const Skeleton<::steering> programs(::steering::open_and_load());
  REQUIRE(programs);
  const auto run = [&](const Mac& source) {
    const Bytes frame = Frame::out(kWeb.v4).udp(53).src_mac(source).bytes();
    __sk_buff out{};
    bpf_test_run_opts options{};
    options.sz = sizeof(options);
    options.data_in = frame.data();
    options.data_size_in = static_cast<std::uint32_t>(frame.size());
    options.ctx_out = &out;
    options.ctx_size_out = sizeof(out);
    REQUIRE(::bpf_prog_test_run_opts(bpf_program__fd(programs->progs.steer_mark), &options) == 0);
    return std::pair(static_cast<int>(options.retval), out.mark);
  };
  CHECK(run({0x02, 0x50, 0x12, 0x34, 0x56, 0x78}) == std::pair(TC_ACT_UNSPEC, 0x12345678u));
  CHECK(run({0x02, 0x50, 0, 0, 0, 7}) == std::pair(TC_ACT_UNSPEC, 7u));
  CHECK(run(kOwnMac).first == TC_ACT_SHOT);
  CHECK(run({0x00, 0x50, 0, 0, 0, 7}).first == TC_ACT_SHOT);
}

TEST_CASE("the mark's program stays on its interface") {
  const std::uint32_t ifindex = make_veth("mark", "mark-peer");
  REQUIRE(attach_steer_mark(ifindex));
  REQUIRE(attach_steer_mark(ifindex));  // again is no error, and no second one
  Witness witness;
  witness.attach_clsact(ifindex, Hook::kIngress);
  send("mark-peer", Frame::out(kWeb.v4).udp(53));  // not from a sandbox
  send("mark-peer", Frame::out(kWeb.v4).udp(53).src_mac({0x02, 0x50, 0, 0, 0, 7}));
  CHECK(witness.sees(1));
  CHECK(witness.count() == 1);
  run_tool({"ip", "link", "del", "mark"});
}

}  // namespace postern::test
