// SPDX-License-Identifier: Apache-2.0
//
// GateWatch: sees to it that on each sandbox's interface nobody's program runs before the gate's.
//
// Another agent may attach there later and ask to be first. What its program accepts or redirects, the
// gate never sees; the kernel tells nobody of it. So each interface is looked at every kEveryMs, which
// is also how long such a program can let packets past. Kernels without tcx: see on_filter_removed in
// daemon.cpp. Thread: posternd's loop. Cost: seven short calls of bpf(2) a sandbox each time.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/datapath/gate.h"
#include "agent/sandbox/sandbox_table.h"
#include "base/event_loop.h"

namespace postern {

class GateWatch {
 public:
  static constexpr std::uint64_t kEveryMs = 1000;
  /// How long `status` shows what happened, after the last time.
  static constexpr std::uint64_t kShownS = 3600;

  GateWatch(EventLoop& loop, Gate& gate, SandboxTable& sandboxes) : loop_(loop), gate_(gate), sandboxes_(sandboxes) {}
  ~GateWatch() { loop_.cancel(timer_); }
  GateWatch(const GateWatch&) = delete;
  GateWatch& operator=(const GateWatch&) = delete;

  /// Looks at once, and every kEveryMs from then on.
  void start();
  /// A line for each interface where somebody was first of late, or still is.
  std::vector<std::string> problems(BootNs now) const;

 private:
  struct Finding {
    std::string interface;
    std::uint64_t times = 0;
    std::uint32_t program = 0;  // the last one; 0: the gate was gone
    BootNs last;
    std::string failure;  // why the gate is not in front now; empty: it is
  };

  void check(BootNs now);
  void check_sandbox(const Sandbox& sandbox, BootNs now);

  EventLoop& loop_;
  Gate& gate_;
  SandboxTable& sandboxes_;
  EventLoop::TimerId timer_ = 0;
  std::map<std::uint32_t, Finding> findings_;  // by sandbox id
};

}  // namespace postern
