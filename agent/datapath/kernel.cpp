// SPDX-License-Identifier: Apache-2.0
#include "agent/datapath/kernel.h"

#include <linux/magic.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "agent/datapath/capabilities.h"

namespace postern {
namespace {

constexpr const char* kBtf = "/sys/kernel/btf/vmlinux";
// The oldest kernel that the tests run on.
constexpr unsigned kMajor = 6;
constexpr unsigned kMinor = 1;

bool older_than_floor(const std::string& release) {
  unsigned major = 0;
  unsigned minor = 0;
  if (std::sscanf(release.c_str(), "%u.%u", &major, &minor) != 2) {
    return false;  // not a version we know how to compare: the kernel's own words then say more
  }
  return major < kMajor || (major == kMajor && minor < kMinor);
}

}  // namespace

KernelFacts kernel_facts() {
  KernelFacts facts;
  utsname system{};
  if (::uname(&system) == 0) {
    facts.release = system.release;
  }
  facts.has_btf = ::access(kBtf, R_OK) == 0;
  facts.missing_capabilities = missing_gate_capabilities();
  return facts;
}

Result<> require_capabilities(const KernelFacts& facts) {
  if (!facts.missing_capabilities.empty()) {
    return Error(Errc::kDenied, facts.missing_capabilities +
                                    " is missing: run this as root, or give it CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON");
  }
  return {};
}

Result<> require_kernel(const KernelFacts& facts) {
  if (older_than_floor(facts.release)) {
    return Error(Errc::kUnsupported, "kernel " + facts.release +
                                         " is too old for the gate: boot 6.1 or newer, built with "
                                         "CONFIG_DEBUG_INFO_BTF=y, as those of distributions are");
  }
  if (!facts.has_btf) {
    return Error(Errc::kUnsupported, std::string(kBtf) + " cannot be read: kernel " + facts.release +
                                         " has no type information (BTF), by which the gate's programs are fitted to "
                                         "it: boot one built with CONFIG_DEBUG_INFO_BTF=y, as those of distributions "
                                         "are");
  }
  return {};
}

Error explain_load_failure(int sys_errno) {
  switch (sys_errno) {
    case ENOMEM:
      return {Errc::kFull,
              "the kernel has no memory for the gate's maps (about 40 MiB): raise this service's memory limit",
              sys_errno};
    case EPERM:
      return {Errc::kDenied,
              "the kernel forbids loading programs: is it locked down, or does a security module forbid bpf?",
              sys_errno};
    case ENOSYS:
      return {Errc::kUnsupported, "this kernel was built without CONFIG_BPF_SYSCALL", sys_errno};
    default:
      return Error::from_errno("the kernel refuses the gate's programs; log level debug shows why", sys_errno);
  }
}

Error no_bpffs(const std::string& path, const std::string& why) {
  return {Errc::kUnsupported, "the gate is pinned in a BPF file system, and " + path + " is none" + why +
                                  ": run mount -t bpf bpf /sys/fs/bpf as root of the machine, not of a container, as "
                                  "systemd does at boot. In a pod, mount the node's at " +
                                  path + ": volume hostPath: {path: /sys/fs/bpf}"};
}

Result<> require_bpffs(const std::string& path) {
  struct statfs where {};
  if (::statfs(path.c_str(), &where) != 0) {
    return no_bpffs(path, std::string(" (") + std::strerror(errno) + ")");
  }
  if (where.f_type != static_cast<decltype(where.f_type)>(BPF_FS_MAGIC)) {
    return no_bpffs(path, "");
  }
  return {};
}

}  // namespace postern
