// SPDX-License-Identifier: Apache-2.0
//
// Witness: somebody else's tc program on an interface, as a CNI has. Counts the frames that reach it.
#pragma once

#include <linux/pkt_cls.h>

#include <cstdint>

#include "agent/datapath/attachment.h"
#include "base/fd.h"

namespace postern::test {

class Witness {
 public:
  /// @param verdict what it returns for each: TC_ACT_OK ends the way, TC_ACT_UNSPEC lets the next program look.
  explicit Witness(int verdict = TC_ACT_OK);
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  ~Witness();

  /// As an ordinary program of this kernel: behind all tcx programs, or at clsact where there is no tcx.
  void attach(std::uint32_t ifindex, Hook hook) { attach(ifindex, hook, best_attach_kind()); }
  void attach(std::uint32_t ifindex, Hook hook, AttachKind kind) {
    kind == AttachKind::kTcx ? attach_tcx(ifindex, hook) : attach_clsact(ifindex, hook);
  }
  /// Behind all tcx programs that are there.
  void attach_tcx(std::uint32_t ifindex, Hook hook);
  /// Before all tcx programs that are there.
  void attach_before(std::uint32_t ifindex, Hook hook);
  /// At clsact, priority 2.
  void attach_clsact(std::uint32_t ifindex, Hook hook);
  std::uint32_t program_id() const;
  std::uint64_t count() const;
  /// Waits until it has seen that many, at most a second. @return whether it has.
  bool sees(std::uint64_t frames) const;

 private:
  void attach_link(std::uint32_t ifindex, Hook hook, std::uint32_t flags);

  Fd map_;
  Fd program_;
  Fd link_;
  std::uint32_t clsact_ifindex_ = 0;
  Hook clsact_hook_ = Hook::kIngress;
};

}  // namespace postern::test
