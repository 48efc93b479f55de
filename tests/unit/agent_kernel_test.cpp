// SPDX-License-Identifier: Apache-2.0
//
// What a kernel's refusal of the programs means, in one line, and what to do: each branch, and which
// of several causes is said. tests/netns/bad_input.py provokes those that this kernel can be made to have.
#include <sys/utsname.h>

#include <cerrno>

#include "agent/datapath/kernel.h"

#include <catch2/catch_test_macros.hpp>

namespace postern::testing {
namespace {

struct Row {
  int sys_errno;
  KernelFacts facts;
  Errc code;
  std::string message;
};

constexpr const char* kTakes = " is too old for the gate: it takes 6.1 or newer";
constexpr const char* kNoBtf =
    "this kernel has no type information (/sys/kernel/btf/vmlinux): run one built with CONFIG_DEBUG_INFO_BTF, as those "
    "of distributions are";
constexpr const char* kOther = "the kernel refuses the gate's programs; log level debug shows why";

KernelFacts good(const std::string& release = "6.1.0-18-cloud-amd64") { return {release, true, ""}; }
KernelFacts without_btf(const std::string& release) { return {release, false, ""}; }
KernelFacts lacking(const std::string& capabilities) { return {"5.10.0", false, capabilities}; }

TEST_CASE("kernel: why it refused the programs, and what to do", "[agent]") {
  const std::vector<Row> rows = {
      // A missing capability first: it explains everything, whatever else is wrong too.
      {EPERM, lacking("CAP_PERFMON"), Errc::kDenied,
       "CAP_PERFMON is missing: run this as root, or give it CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"},
      {EINVAL, lacking("CAP_BPF, CAP_NET_ADMIN"), Errc::kDenied,
       "CAP_BPF, CAP_NET_ADMIN is missing: run this as root, or give it CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"},
      // Then the version: an old kernel often lacks type information as well, and the version is what to change.
      {EINVAL, good("5.10.0-28-amd64"), Errc::kUnsupported,
       "kernel 5.10.0-28-amd64" + std::string(kTakes) + ": Invalid argument"},
      {ESRCH, without_btf("5.4.17-2136.el7uek"), Errc::kUnsupported,
       "kernel 5.4.17-2136.el7uek" + std::string(kTakes) + ": No such process"},
      {EACCES, good("6.0.9"), Errc::kUnsupported, "kernel 6.0.9" + std::string(kTakes) + ": Permission denied"},
      {EPERM, good("4.19"), Errc::kUnsupported, "kernel 4.19" + std::string(kTakes) + ": Operation not permitted"},
      // Then the type information.
      {ESRCH, without_btf("6.1.0"), Errc::kUnsupported, kNoBtf + std::string(": No such process")},
      {EINVAL, without_btf("7.0.0"), Errc::kUnsupported, kNoBtf + std::string(": Invalid argument")},
      {EINVAL, without_btf("unknown"), Errc::kUnsupported, kNoBtf + std::string(": Invalid argument")},
      // Then what the kernel itself said.
      {ENOMEM, good(), Errc::kFull,
       "the kernel has no memory for the gate's maps (about 40 MiB): raise this service's memory limit: Cannot "
       "allocate "
       "memory"},
      {EPERM, good(), Errc::kDenied,
       "the kernel forbids loading programs: is it locked down, or does a security module forbid bpf?: Operation not "
       "permitted"},
      {ENOSYS, good(), Errc::kUnsupported,
       "this kernel was built without CONFIG_BPF_SYSCALL: Function not implemented"},
      {EACCES, good(), Errc::kDenied, kOther + std::string(": Permission denied")},
      {EINVAL, good("6.18.44"), Errc::kInvalid, kOther + std::string(": Invalid argument")},
      {E2BIG, good("10.0"), Errc::kFull, kOther + std::string(": Argument list too long")},
      // A release that is no number is not guessed at.
      {EINVAL, good("custom"), Errc::kInvalid, kOther + std::string(": Invalid argument")},
      {EINVAL, good(""), Errc::kInvalid, kOther + std::string(": Invalid argument")},
      {EINVAL, good("5"), Errc::kInvalid, kOther + std::string(": Invalid argument")},
  };
  for (const Row& row : rows) {
    INFO(row.facts.release << ", errno " << row.sys_errno);
    const Error error = explain_load_failure(row.sys_errno, row.facts);
    CHECK(error.message() == row.message);
    CHECK(error.code() == row.code);
    CHECK(error.message().find('\n') == std::string::npos);
  }
}

TEST_CASE("kernel: the facts are this kernel's", "[agent]") {
  utsname system{};
  REQUIRE(::uname(&system) == 0);
  CHECK(kernel_facts().release == system.release);
}

TEST_CASE("kernel: pins need a BPF file system", "[agent]") {
  const auto none = require_bpffs("/no/such/folder");
  REQUIRE_FALSE(none);
  CHECK(
      none.error().message() ==
      "the pins' folder /no/such/folder (pin_dir lies in a mounted BPF file system, such as /sys/fs/bpf): No such file "
      "or directory");
  const auto other = require_bpffs("/proc");
  REQUIRE_FALSE(other);
  CHECK(other.error().code() == Errc::kUnsupported);
  CHECK(other.error().message() ==
        "/proc is not a BPF file system: run postern-setup, or mount -t bpf bpf /sys/fs/bpf");
}

}  // namespace
}  // namespace postern::testing
