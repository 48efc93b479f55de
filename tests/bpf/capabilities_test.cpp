// SPDX-License-Identifier: Apache-2.0
//
// These tests run with the gate's three capabilities and no other; with one less, each says which.
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <memory>

#include "agent/datapath/capabilities.h"
#include "tests/bpf/lab.h"
#include "tests/bpf/world.h"

namespace postern::test {
namespace {

using Capabilities = std::unique_ptr<std::remove_pointer_t<cap_t>, decltype(&cap_free)>;

bool has(cap_value_t capability, cap_flag_t set) {
  const Capabilities now(cap_get_proc(), &cap_free);
  cap_flag_value_t value = CAP_CLEAR;
  cap_get_flag(now.get(), capability, set, &value);
  return value == CAP_SET;
}

void drop(cap_value_t capability) {
  const Capabilities now(cap_get_proc(), &cap_free);
  for (const cap_flag_t set : {CAP_EFFECTIVE, CAP_PERMITTED}) {
    cap_set_flag(now.get(), set, 1, &capability, CAP_CLEAR);
  }
  must(cap_set_proc(now.get()) == 0 ? Result<>() : Result<>(Error::from_errno("dropping a capability", errno)));
}

/// Runs in a child, whose capabilities go with it. @return what it said.
template <typename Said>
std::string in_child(const Said& said) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string text = said();
    const bool wrote = ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::_exit(wrote ? 0 : 1);
  }
  ::close(ends[1]);
  const Fd out(ends[0]);
  std::string text;
  std::array<char, 512> part{};
  for (ssize_t got = 0; (got = ::read(out.get(), part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<std::size_t>(got));
  }
  ::waitpid(child, nullptr, 0);
  return text;
}

}  // namespace

TEST_CASE("this process has three capabilities and can get no other") {
  for (cap_value_t capability = 0; cap_get_bound(capability) >= 0; ++capability) {
    const bool kept = capability == CAP_BPF || capability == CAP_NET_ADMIN || capability == CAP_PERFMON;
    INFO("capability " << capability);
    CHECK(has(capability, CAP_EFFECTIVE) == kept);
    CHECK(has(capability, CAP_PERMITTED) == kept);
    CHECK_FALSE(has(capability, CAP_INHERITABLE));
    CHECK((cap_get_bound(capability) == 1) == kept);
    CHECK(cap_get_ambient(capability) == 0);
  }
  CHECK(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

TEST_CASE("a missing capability is named") {
  const std::string how = " is missing: run this as root, or give it CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON";
  const auto without = [&](cap_value_t capability) {
    return in_child([&] {
      drop(capability);
      const auto loaded = Gate::load(std::string(kBpffs) + "/capabilities");
      const auto kept = keep_only_gate_capabilities();
      return (loaded ? "loaded" : loaded.error().message()) + "\n" + (kept ? "kept" : kept.error().message());
    });
  };
  CHECK(without(CAP_PERFMON) == "CAP_PERFMON" + how + "\nCAP_PERFMON" + how);
  CHECK(without(CAP_BPF) == "CAP_BPF" + how + "\nCAP_BPF" + how);
  CHECK(without(CAP_NET_ADMIN) == "CAP_NET_ADMIN" + how + "\nCAP_NET_ADMIN" + how);
  const std::string none = in_child([] {
    for (const cap_value_t capability : {CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON}) {
      drop(capability);
    }
    const auto kept = keep_only_gate_capabilities();
    return kept ? std::string("kept") : kept.error().message();
  });
  CHECK(none == "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON" + how);
}

}  // namespace postern::test
