// SPDX-License-Identifier: Apache-2.0
//
// What is pinned: taken over when it is ours, refused when it is not, and what a refusal says.
#include <bpf/bpf.h>
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "agent/datapath/kernel.h"
#include "tests/bpf/lab.h"
#include "tests/bpf/world.h"

namespace postern::test {
namespace {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

std::string fresh_pins() {
  static int count = 0;
  return std::string(kBpffs) + "/pins-" + std::to_string(++count);
}

std::string versioned(const std::string& pins) { return pins + "/v" + std::to_string(EGRESS_LAYOUT_VERSION); }

/// Somebody else's map where ours would be.
void pin_hash(
    const std::string& pins, const char* name, std::uint32_t value_bytes, std::uint32_t entries, std::uint32_t flags) {
  ::mkdir(pins.c_str(), 0700);
  ::mkdir(versioned(pins).c_str(), 0700);
  bpf_map_create_opts options{};
  options.sz = sizeof(options);
  options.map_flags = flags;
  const Fd map(::bpf_map_create(BPF_MAP_TYPE_HASH, name, sizeof(std::uint32_t), value_bytes, entries, &options));
  REQUIRE(map);
  REQUIRE(::bpf_obj_pin(map.get(), (versioned(pins) + "/" + name).c_str()) == 0);
}

Error refusal(const std::string& pins) {
  auto gate = Gate::load(pins);
  REQUIRE_FALSE(gate);
  return std::move(gate).error();
}

}  // namespace

TEST_CASE("a pinned map of another layout is refused and left alone") {
  const std::string pins = fresh_pins();
  SECTION("value size") {
    pin_hash(pins, "sandboxes", 8, EGRESS_SANDBOXES_MAX, 0);
    const Error error = refusal(pins);
    CHECK(error.code() == Errc::kInvalid);
    CHECK_THAT(error.message(),
               StartsWith(versioned(pins) + "/sandboxes is of another version of Postern (value size 8, not 244): "));
    CHECK_THAT(error.message(), ContainsSubstring("remove " + versioned(pins)));
  }
  SECTION("number of entries") {
    pin_hash(pins, "sandboxes", sizeof(egress_sandbox), 1, 0);
    CHECK_THAT(refusal(pins).message(), ContainsSubstring("(number of entries 1, not 1024)"));
  }
  SECTION("flags") {
    pin_hash(pins, "sandboxes", sizeof(egress_sandbox), EGRESS_SANDBOXES_MAX, BPF_F_NO_PREALLOC);
    CHECK_THAT(refusal(pins).message(), ContainsSubstring("(flags 1, not 0)"));
  }
  CHECK(Fd(::bpf_obj_get((versioned(pins) + "/sandboxes").c_str())));
}

TEST_CASE("a folder that says it has another layout is refused") {
  const std::string pins = fresh_pins();
  {
    const auto gate = must(Gate::load(pins));
    const auto settings = must(Map<std::uint32_t, egress_settings>::adopt(
        Fd(::bpf_obj_get((versioned(pins) + "/settings").c_str())), "settings"));
    auto now = must(settings.lookup(0)).value();
    CHECK(now.layout_version == EGRESS_LAYOUT_VERSION);
    now.layout_version = EGRESS_LAYOUT_VERSION + 1;
    must(settings.update(0, now));
  }
  const Error error = refusal(pins);
  CHECK(error.code() == Errc::kInvalid);
  CHECK_THAT(error.message(), ContainsSubstring("holds layout 3, not 2"));
}

TEST_CASE("a new process takes over what was pinned") {
  const std::string pins = fresh_pins();
  const egress_flow_key key = {to_kernel(kOwn.v4), to_kernel(kWeb.v4), 1, 2, 6, {}};
  std::uint32_t sandbox_id = 0;
  {
    const auto gate = must(Gate::load(pins));
    sandbox_id = must(gate->next_sandbox_id());
    CHECK(must(gate->next_policy_id()) == 1);
    must(gate->set_generation(17));
    egress_sandbox sandbox{};
    sandbox.id = sandbox_id;
    must(gate->sandboxes().update(1, sandbox));
    must(gate->make_flows(5));
    must(gate->make_grants(5));
    must(must(gate->flows_of(5)).update(key, {.packets_out = 9}));
    must(must(gate->grants_of(5)).update(to_kernel(kWeb.v4), {}));
    must(gate->make_cidrs(7, {}));
  }
  const auto gate = must(Gate::load(pins));
  CHECK(must(gate->next_sandbox_id()) == sandbox_id + 1);  // never twice
  CHECK(must(gate->next_policy_id()) == 2);
  CHECK(must(gate->generation()) == 17);
  CHECK(must(gate->sandboxes().lookup(1)).value().id == sandbox_id);
  CHECK(must(must(gate->flows_of(5)).lookup(key)).value().packets_out == 9);
  CHECK(must(must(gate->grants_of(5)).lookup(to_kernel(kWeb.v4))).has_value());
  CHECK(must(gate->policies()) == std::vector<std::uint32_t>{7});
  const auto missing = gate->flows_of(6);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code() == Errc::kNotFound);
}

TEST_CASE("two gates with the same pins share their maps") {
  const std::string pins = fresh_pins();
  const auto one = must(Gate::load(pins));
  const auto two = must(Gate::load(pins + "/"));
  must(one->node_addrs().update(to_kernel(kNode.v4), 3));
  CHECK(must(two->node_addrs().lookup(to_kernel(kNode.v4))) == 3u);
}

TEST_CASE("pins need a BPF file system") {
  auto error = refusal("/tmp/postern-no-bpffs");
  CHECK(error.code() == Errc::kUnsupported);
  CHECK_THAT(error.message(), StartsWith("pin_dir /tmp/postern-no-bpffs: the gate is pinned in a BPF file system, and "
                                         "/tmp is none: run mount -t bpf bpf /sys/fs/bpf "));
  error = refusal("/no/such/folder/");
  CHECK(error.code() == Errc::kUnsupported);
  CHECK_THAT(error.message(), StartsWith("pin_dir /no/such/folder: the gate is pinned in a BPF file system, and "
                                         "/no/such is none (No such file or directory): "));
}

}  // namespace postern::test
