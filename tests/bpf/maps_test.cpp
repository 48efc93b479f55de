// SPDX-License-Identifier: Apache-2.0
//
// The typed maps and the gate's maps in maps.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <set>

#include "base/clock.h"
#include "bpf/flow.h"
#include "gate.skel.h"
#include "tests/bpf/lab.h"
#include "tests/bpf/row.h"

namespace postern::test {
namespace {

using Catch::Matchers::ContainsSubstring;

Packet connection(std::uint16_t local_port) { return sends(Frame::out(kWeb.v4).tcp(kAck, kHttps, local_port)); }

egress_flow live_flow() {
  return {.opened_mono_ns = mono_ns(),
          .last_in_mono_ns = mono_ns(),
          .generation = kGeneration,
          .state = EGRESS_FLOW_ANSWERED | EGRESS_BASIS_GRANT << EGRESS_FLOW_BASIS_SHIFT};
}

egress_flow dead_flow() {
  egress_flow flow = live_flow();
  flow.last_in_mono_ns -= EGRESS_TCP_IDLE_NS + EGRESS_S;
  return flow;
}

egress_sandbox sandbox_of(Lab& lab) { return must(lab.gate().sandboxes().lookup(lab.ifindex())).value(); }

}  // namespace

TEST_CASE("a map of other sizes is not adopted") {
  Lab& lab = Lab::get();
  const auto fd_of = [](const Fd& fd) { return must(fd.duplicate()); };
  const Fd names(must(lab.gate().names().duplicate()));
  CHECK(Map<std::uint32_t, egress_name>::adopt(fd_of(names), "names"));
  const auto wrong = Map<std::uint32_t, egress_grant>::adopt(fd_of(names), "names");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message() == "map names has another layout than this program");
}

TEST_CASE("a map is read, written and walked") {
  Lab& lab = Lab::get();
  lab.reset();
  const auto grants = must(lab.gate().grants_of(kSlot));
  constexpr std::uint32_t kMany = 3000;  // several of the kernel's batches
  Address address = kWeb.v6;
  for (std::uint32_t i = 0; i < kMany; ++i) {
    address.bytes[14] = static_cast<std::uint8_t>(i >> 8);
    address.bytes[15] = static_cast<std::uint8_t>(i);
    must(grants.insert(to_kernel(address), egress_grant{.slots = {{.rule = i}}}));
  }
  std::set<std::uint32_t> seen;
  must(grants.for_each([&](const egress_addr& key, const egress_grant& grant) {
    seen.insert(grant.slots[0].rule);
    return grants.erase(key);  // as it goes
  }));
  CHECK(seen.size() == kMany);
  CHECK_FALSE(must(grants.lookup(to_kernel(address))).has_value());
  CHECK(grants.erase(to_kernel(address)));  // not there: no error
  must(grants.insert(to_kernel(address), {}));
  CHECK(grants.insert(to_kernel(address), {}).error().code() == Errc::kExists);
  CHECK(must(grants.take(to_kernel(address))).has_value());
  CHECK_FALSE(must(grants.take(to_kernel(address))).has_value());
}

TEST_CASE("a sandbox's table of flows is its quota") {
  Lab& lab = Lab::get();
  lab.reset();
  lab.limit_flows(2);
  const auto flows = must(lab.gate().flows_of(kSlot));
  const auto add = [&](std::uint16_t port) {
    return flows.insert({to_kernel(kOwn.v4), to_kernel(kWeb.v4), port, 1, 6, {}}, live_flow());
  };
  CHECK(add(1));
  CHECK(add(2));
  CHECK(add(3).error().code() == Errc::kFull);
}

TEST_CASE("finished flows wait for their last packets, and use up no quota") {
  Lab& lab = Lab::get();
  lab.reset();
  lab.limit_flows(EGRESS_CLOSED_MAX + 3);  // two live, one that begins
  lab.grant(kWeb.v4);
  const auto opens = [&](std::uint16_t port) {
    return lab.run(sends(Frame::out(kWeb.v4).tcp(kSyn, kHttps, port))).reason == EGRESS_REASON_ALLOWED_BY_NAME;
  };
  const auto reset = [&](std::uint16_t port) {
    return lab.run(receives(Frame::in(kWeb.v4).tcp(kRst, kHttps, port))).reason == EGRESS_REASON_KNOWN_FLOW;
  };
  constexpr std::uint16_t kLive = 100;
  constexpr std::uint16_t kAgain = 101;
  constexpr std::uint16_t kFirst = 1000;
  REQUIRE(opens(kLive));
  REQUIRE(opens(kAgain));
  REQUIRE(reset(kAgain));
  REQUIRE(opens(kAgain));  // its old key is in the ring still
  for (std::uint16_t i = 1; i < EGRESS_CLOSED_MAX; ++i) {
    const auto port = static_cast<std::uint16_t>(kFirst + i);
    if (!opens(port) || !reset(port)) {
      FAIL("connection " << i);
    }
  }
  CHECK(lab.finished_count() == EGRESS_CLOSED_MAX - 1);
  CHECK(lab.run(connection(kFirst + 1)).reason == EGRESS_REASON_KNOWN_FLOW);
  // The first takes the place of kAgain's key, the others of flows.
  for (const std::uint16_t port : std::to_array<std::uint16_t>({2, 3, 4})) {
    CHECK(opens(port));
    CHECK(reset(port));
  }
  CHECK(lab.finished_count() == EGRESS_CLOSED_MAX);
  CHECK(lab.run(connection(kFirst + 1)).reason == EGRESS_REASON_NO_FLOW);
  CHECK(lab.flow_count() == 2);
  CHECK(lab.run(connection(kLive)).reason == EGRESS_REASON_KNOWN_FLOW);
  CHECK(lab.run(connection(kAgain)).reason == EGRESS_REASON_KNOWN_FLOW);
}

TEST_CASE("flows that have timed out are swept, and no others") {
  Lab& lab = Lab::get();
  lab.reset();
  for (std::uint16_t port = 1000; port < 1700; ++port) {
    lab.put_flow(connection(port), port % 7 == 0 ? live_flow() : dead_flow());
  }
  CHECK(must(lab.gate().sweep_flows(sandbox_of(lab))) == 600);
  CHECK(lab.flow_count() == 100);
  CHECK(lab.flow_of(connection(1001)).has_value());
  CHECK(must(lab.gate().sweep_flows(sandbox_of(lab))) == 0);
  lab.change_sandbox([](egress_sandbox& sandbox) { sandbox.flow_age_s_max = 60; });
  lab.change_flow(connection(1001), [](egress_flow& flow) { flow.opened_mono_ns -= 61 * EGRESS_S; });
  CHECK(must(lab.gate().sweep_flows(sandbox_of(lab))) == 1);
}

TEST_CASE("a slot's next sandbox begins with nothing of its last one") {
  Lab& lab = Lab::get();
  lab.reset();
  lab.put_flow(connection(kLocalPort), live_flow());
  lab.grant(kWeb.v4);
  CHECK(lab.run(connection(kLocalPort)).reason == EGRESS_REASON_KNOWN_FLOW);
  CHECK(lab.state().flow_packets[EGRESS_OUT] == 1);
  must(lab.gate().drop_flows(kSlot));
  must(lab.gate().drop_grants(kSlot));
  // Without its maps a slot opens nothing.
  CHECK_FALSE(lab.gate().flows_of(kSlot));
  must(lab.gate().make_grants(kSlot));
  lab.grant(kWeb.v4);
  CHECK(lab.run(sends(Frame::out(kWeb.v4).tcp(kSyn))).reason == EGRESS_REASON_FLOW_QUOTA);
  must(lab.gate().make_flows(kSlot));
  CHECK(lab.flow_count() == 0);
  CHECK(lab.state().flow_packets[EGRESS_OUT] == 0);
}

TEST_CASE("a slot's map that is not the one in use is refused") {
  Lab& lab = Lab::get();
  lab.reset();
  const Fd strange(::bpf_map_create(BPF_MAP_TYPE_HASH, "flows", sizeof(egress_flow_key), sizeof(egress_flow),
                                    EGRESS_FLOWS_MAX, nullptr));
  bpf_map_create_opts options{};
  options.sz = sizeof(options);
  options.map_flags = BPF_F_NO_PREALLOC;
  const Fd placed(
      ::bpf_map_create(BPF_MAP_TYPE_HASH, "flows", sizeof(egress_flow_key), sizeof(egress_flow), 5, &options));
  const int fd = placed.get();
  REQUIRE(::bpf_map_update_elem(bpf_map__fd(lab.gate().skeleton().maps.flows), &kSlot, &fd, BPF_ANY) == 0);
  const auto flows = lab.gate().flows_of(kSlot);
  REQUIRE_FALSE(flows);
  CHECK_THAT(flows.error().message(), ContainsSubstring("is not the map that the programs use"));
  must(lab.gate().make_flows(kSlot));
  // The kernel itself refuses one of another kind.
  const int strange_fd = strange.get();
  CHECK(::bpf_map_update_elem(bpf_map__fd(lab.gate().skeleton().maps.flows), &kSlot, &strange_fd, BPF_ANY) != 0);
}

TEST_CASE("a policy's table of prefixes is complete before it is seen") {
  Lab& lab = Lab::get();
  lab.reset();
  must(lab.gate().make_cidrs(500, {}));
  must(lab.gate().make_cidrs(501, {}));
  const auto ids = must(lab.gate().policies());
  CHECK(std::set<std::uint32_t>(ids.begin(), ids.end()) == std::set<std::uint32_t>{kPolicy, 500, 501});
  must(lab.gate().drop_cidrs(500));
  must(lab.gate().drop_cidrs(501));
  must(lab.gate().drop_cidrs(501));  // not there: no error
  CHECK(must(lab.gate().policies()) == std::vector<std::uint32_t>{kPolicy});
  const auto much = lab.gate().make_cidrs(502, std::vector<CidrTableEntry>(EGRESS_CIDRS_MAX + 1));
  REQUIRE_FALSE(much);
  CHECK(much.error().code() == Errc::kFull);
}

TEST_CASE("the observer's maps can be read and not written") {
  Lab& lab = Lab::get();
  lab.reset();
  const auto maps = must(lab.gate().observer_maps());
  REQUIRE(maps.size() == 4);
  CHECK(lab.run(sends(Frame::out(kWeb.v4).tcp(kSyn))).reason == EGRESS_REASON_NOT_GRANTED);
  egress_counter_key key{};
  REQUIRE(::bpf_map_get_next_key(maps[1].get(), nullptr, &key) == 0);
  CHECK(key.reason == EGRESS_REASON_NOT_GRANTED);
  CHECK(::bpf_map_delete_elem(maps[1].get(), &key) != 0);
  CHECK(errno == EPERM);
  const std::vector<egress_sandbox_state> states(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  CHECK(::bpf_map_update_elem(maps[2].get(), &kSlot, states.data(), BPF_ANY) != 0);
  CHECK(errno == EPERM);
  CHECK(::bpf_map_update_elem(maps[3].get(), &kName, std::vector<char>(sizeof(egress_name)).data(), BPF_ANY) != 0);
  CHECK(errno == EPERM);
}

}  // namespace postern::test
