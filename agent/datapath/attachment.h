// SPDX-License-Identifier: Apache-2.0
//
// Attachments: tc programs on interfaces, put there and replaced without a gap.
//
// tcx: a link before all others, pinned under the interface's index. clsact: a filter of priority 1
// with a fixed handle, replaced by that handle; the qdisc is shared with others and never removed.
// Thread: posternd's loop.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <string>

#include "base/fd.h"

namespace postern {

/// How programs hang on an interface. tcx (kernel 6.6) cannot be deleted by others; a clsact filter can.
enum class AttachKind { kTcx, kClsact };
enum class Hook { kIngress, kEgress };  // as the interface sees it

/// tcx where the kernel has it.
AttachKind best_attach_kind();
/// Kernel 6.6's number; the headers of Debian 12 are of 6.1.
bpf_attach_type tcx_attach_type(Hook hook);

class Attachments {
 public:
  /// @param dir an existing folder of bpffs for the pinned links.
  Attachments(std::string dir, AttachKind kind) : dir_(std::move(dir)), kind_(kind) {}

  AttachKind kind() const { return kind_; }

  /// Puts the program there, or in place of the one of ours that is. @return not found: no such interface.
  Result<> attach(int program, std::uint32_t ifindex, Hook hook);
  /// Takes ours off. One that is not there, or whose interface is gone, is no error.
  Result<> detach(std::uint32_t ifindex, Hook hook);
  /// Is one of ours there?
  bool is_attached(std::uint32_t ifindex, Hook hook) const;

 private:
  std::string path_of(std::uint32_t ifindex, Hook hook) const;
  Result<> attach_tcx(int program, std::uint32_t ifindex, Hook hook);
  Result<> attach_clsact(int program, std::uint32_t ifindex, Hook hook);

  std::string dir_;
  AttachKind kind_;
};

}  // namespace postern
