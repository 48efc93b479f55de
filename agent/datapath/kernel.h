// SPDX-License-Identifier: Apache-2.0
//
// What the kernel under us can do, and what a refusal of it means in one line.
//
// Facts are gathered apart from the judgement, so that tests need no old kernel.
#pragma once

#include <string>

#include "base/result.h"

namespace postern {

struct KernelFacts {
  std::string release;               ///< As uname says: "6.1.0-18-cloud-amd64".
  bool has_btf = false;              ///< /sys/kernel/btf/vmlinux is there.
  std::string missing_capabilities;  ///< Names, comma between them; empty: all three are there.
};

KernelFacts kernel_facts();

/// @return denied, with what to do, when a capability is missing: the verifier would think for long, and refuse.
Result<> require_capabilities(const KernelFacts& facts);

/// @return unsupported, with what to do, when the kernel is too old or lacks type information.
Result<> require_kernel(const KernelFacts& facts);

/// Why a kernel that has all of this refuses the programs, and what to do.
///
/// @param sys_errno  what the load returned, positive.
/// @return denied: a lockdown; unsupported: the kernel; full: its memory.
Error explain_load_failure(int sys_errno);

/// No BPF file system at `path`, and how to mount it. @param why more on it, such as an attempt to mount one; or empty.
Error no_bpffs(const std::string& path, const std::string& why);

/// @return unsupported, with how to mount it, when `path` is not on a BPF file system.
Result<> require_bpffs(const std::string& path);

}  // namespace postern
