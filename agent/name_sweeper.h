// SPDX-License-Identifier: Apache-2.0
//
// NameSweeper: removes flows that have timed out, and names that nothing refers to, so that a sandbox
// that opens fresh flows and resolves fresh names without end fills nothing.
//
// A name stays while a grant or a flow has its number, and for kAgeS after it was made: its worker
// writes the name first and the grant after it. Thread: posternd's loop. Cost: reads all grants and
// flows once every kEveryMs.
#pragma once

#include "agent/datapath/gate.h"
#include "agent/sandbox/sandbox_table.h"
#include "base/event_loop.h"

namespace postern {

class NameSweeper {
 public:
  static constexpr std::uint64_t kEveryMs = 60'000;
  static constexpr std::uint64_t kAgeS = 60;

  NameSweeper(EventLoop& loop, Gate& gate, SandboxTable& sandboxes) : loop_(loop), gate_(gate), sandboxes_(sandboxes) {}
  ~NameSweeper() { loop_.cancel(timer_); }
  NameSweeper(const NameSweeper&) = delete;
  NameSweeper& operator=(const NameSweeper&) = delete;

  void start();
  /// @return how many were removed.
  Result<std::size_t> sweep(BootNs now);

 private:
  EventLoop& loop_;
  Gate& gate_;
  SandboxTable& sandboxes_;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace postern
