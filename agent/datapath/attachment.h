// SPDX-License-Identifier: Apache-2.0
//
// Attachments: tc programs on interfaces, put there and replaced without a gap.
//
// tcx: a link before all others, pinned under the interface's index. Somebody who comes later may get
// before ours, and what it passes skips the gate: look, and put a second link in front, then drop the
// first. clsact: a filter of priority 1 with a fixed handle, replaced by that handle; the qdisc is
// shared with others and never removed.
// Thread: posternd's loop.
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <optional>
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
  /// The id of the program that a packet meets before ours, or 0 when ours is gone and no other is there.
  /// Nothing: ours is first, as far as this kind can tell (clsact: always). Cost: two calls of bpf(2) and a look-up
  /// of the pin. @return not found: no such interface.
  Result<std::optional<std::uint32_t>> first_of_others(std::uint32_t ifindex, Hook hook);
  /// Puts the program before all others, then takes off the link of ours that was there: at each moment one of ours
  /// is on the interface. tcx only. @return exists: that very program hangs there already, and a list of programs
  /// takes each only once: give another copy of it.
  Result<> put_in_front(int program, std::uint32_t ifindex, Hook hook);
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
