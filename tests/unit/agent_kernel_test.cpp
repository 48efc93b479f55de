// SPDX-License-Identifier: Apache-2.0
//
// What a kernel lacks, or its refusal of the programs means, in one line, and what to do: each branch, and which
// of several causes is said. tests/netns/node_lacks.py provokes those that this kernel can be made to have.
#include <sys/utsname.h>

#include <cerrno>

#include "agent/datapath/kernel.h"

#include <catch2/catch_test_macros.hpp>

namespace postern::testing {
namespace {

constexpr const char* kTakes =
    " is too old for the gate: boot 6.1 or newer, built with CONFIG_DEBUG_INFO_BTF=y, as those of distributions are";
constexpr const char* kOther = "the kernel refuses the gate's programs; log level debug shows why";

std::string no_btf(const std::string& release) {
  return "/sys/kernel/btf/vmlinux cannot be read: kernel " + release +
         " has no type information (BTF), by which the gate's programs are fitted to it: boot one built with "
         "CONFIG_DEBUG_INFO_BTF=y, as those of distributions are";
}

KernelFacts good(const std::string& release) { return {release, true, ""}; }
KernelFacts without_btf(const std::string& release) { return {release, false, ""}; }

TEST_CASE("kernel: one that cannot do it is told before anything is loaded", "[agent]") {
  struct Row {
    KernelFacts facts;
    std::string message;  // empty: it will do
  };
  const std::vector<Row> rows = {
      {good("6.1.0-18-cloud-amd64"), ""},
      {good("6.1"), ""},
      {good("6.18.44"), ""},
      {good("10.0"), ""},
      // The version first: an old kernel often lacks type information as well, and the version is what to change.
      {good("5.10.0-28-amd64"), "kernel 5.10.0-28-amd64" + std::string(kTakes)},
      {without_btf("5.4.17-2136.el7uek"), "kernel 5.4.17-2136.el7uek" + std::string(kTakes)},
      {good("6.0.9"), "kernel 6.0.9" + std::string(kTakes)},
      {good("4.19"), "kernel 4.19" + std::string(kTakes)},
      // Then the type information.
      {without_btf("6.1.0"), no_btf("6.1.0")},
      {without_btf("7.0.0"), no_btf("7.0.0")},
      // A release that is no number is not guessed at.
      {without_btf("unknown"), no_btf("unknown")},
      {good("custom"), ""},
      {good(""), ""},
      {good("5"), ""},
  };
  for (const Row& row : rows) {
    INFO(row.facts.release);
    const auto result = require_kernel(row.facts);
    REQUIRE(bool(result) == row.message.empty());
    if (!result) {
      CHECK(result.error().message() == row.message);
      CHECK(result.error().code() == Errc::kUnsupported);
    }
  }
}

TEST_CASE("kernel: a missing capability is named", "[agent]") {
  CHECK(require_capabilities(good("6.1.0")));
  const auto result = require_capabilities({"6.1.0", true, "CAP_BPF, CAP_NET_ADMIN"});
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == Errc::kDenied);
  CHECK(result.error().message() ==
        "CAP_BPF, CAP_NET_ADMIN is missing: run this as root, or give it CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON");
}

TEST_CASE("kernel: why it refused the programs, and what to do", "[agent]") {
  struct Row {
    int sys_errno;
    Errc code;
    std::string message;
  };
  const std::vector<Row> rows = {
      {ENOMEM, Errc::kFull,
       "the kernel has no memory for the gate's maps (about 40 MiB): raise this service's memory limit: Cannot "
       "allocate memory"},
      {EPERM, Errc::kDenied,
       "the kernel forbids loading programs: is it locked down, or does a security module forbid bpf?: Operation not "
       "permitted"},
      {ENOSYS, Errc::kUnsupported, "this kernel was built without CONFIG_BPF_SYSCALL: Function not implemented"},
      {EACCES, Errc::kDenied, kOther + std::string(": Permission denied")},
      {EINVAL, Errc::kInvalid, kOther + std::string(": Invalid argument")},
      {E2BIG, Errc::kFull, kOther + std::string(": Argument list too long")},
  };
  for (const Row& row : rows) {
    INFO("errno " << row.sys_errno);
    const Error error = explain_load_failure(row.sys_errno);
    CHECK(error.message() == row.message);
    CHECK(error.code() == row.code);
  }
}

TEST_CASE("kernel: the facts are this kernel's", "[agent]") {
  utsname system{};
  REQUIRE(::uname(&system) == 0);
  CHECK(kernel_facts().release == system.release);
}

TEST_CASE("kernel: pins need a BPF file system", "[agent]") {
  const std::string remedy =
      ": run mount -t bpf bpf /sys/fs/bpf as root of the machine, not of a container, as systemd does at boot. In a "
      "pod, mount the node's at ";
  const auto none = require_bpffs("/no/such/folder");
  REQUIRE_FALSE(none);
  CHECK(none.error().message() ==
        "the gate is pinned in a BPF file system, and /no/such/folder is none (No such file or directory)" + remedy +
            "/no/such/folder: volume hostPath: {path: /sys/fs/bpf}");
  const auto other = require_bpffs("/proc");
  REQUIRE_FALSE(other);
  CHECK(other.error().code() == Errc::kUnsupported);
  CHECK(other.error().message() == "the gate is pinned in a BPF file system, and /proc is none" + remedy +
                                       "/proc: volume hostPath: {path: /sys/fs/bpf}");
}

}  // namespace
}  // namespace postern::testing
