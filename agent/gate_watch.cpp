// SPDX-License-Identifier: Apache-2.0
#include "agent/gate_watch.h"

#include "base/log.h"

namespace postern {
namespace {

std::string who(std::uint32_t program) {
  return program == 0
             ? "the gate was taken off "
             : "another program (bpftool prog show id " + std::to_string(program) + ") came before the gate on ";
}

}  // namespace

void GateWatch::start() {
  check(SystemClock().now());
  timer_ = loop_.after_ms(kEveryMs, [this] { start(); });
}

void GateWatch::check(BootNs now) {
  std::erase_if(findings_, [&](const auto& each) { return sandboxes_.find_id(each.first) == nullptr; });
  for (const Sandbox* sandbox : sandboxes_.all()) {
    // One without an entry is not attached yet.
    if (const auto entry = gate_.sandboxes().lookup(sandbox->ifindex); entry && *entry) {
      check_sandbox(*sandbox, now);
    }
  }
}

void GateWatch::check_sandbox(const Sandbox& sandbox, BootNs now) {
  const auto before = gate_.keep_in_front(sandbox.ifindex);
  if (!before) {
    if (before.error().code() == Errc::kNotFound) {
      return;  // its interface goes right now, and the sandbox with it
    }
    Finding& finding = findings_[sandbox.id];
    finding.interface = sandbox.interface;
    if (finding.failure != before.error().message()) {
      finding.failure = before.error().message();
      spdlog::error("sandbox {}: the gate may not be first on {}: {}", sandbox.id, sandbox.interface, finding.failure);
    }
    return;
  }
  if (!*before) {
    if (const auto known = findings_.find(sandbox.id); known != findings_.end()) {
      known->second.failure.clear();
    }
    return;
  }
  Finding& finding = findings_[sandbox.id];
  finding.interface = sandbox.interface;
  finding.failure.clear();
  finding.program = **before;
  finding.last = now;
  ++finding.times;
  spdlog::warn("sandbox {}: {}{}; it is in front again ({} times so far)", sandbox.id, who(finding.program),
               sandbox.interface, finding.times);
}

std::vector<std::string> GateWatch::problems(BootNs now) const {
  std::vector<std::string> lines;
  for (const auto& [id, finding] : findings_) {
    if (sandboxes_.find_id(id) == nullptr) {
      continue;  // detached since the last look
    }
    if (!finding.failure.empty()) {
      lines.push_back("the gate may not be the first program on " + finding.interface +
                      ", and packets may skip it: " + finding.failure +
                      "; take off what is before it (bpftool net show dev " + finding.interface + ")");
    } else if (finding.times != 0 && now - finding.last < kShownS * kNsPerS) {
      lines.push_back(who(finding.program) + finding.interface + ", " + std::to_string(finding.times) +
                      " time(s), the last " + std::to_string((now - finding.last) / kNsPerS) +
                      " s ago; each time packets could skip the gate for up to " + std::to_string(kEveryMs) +
                      " ms, until it was in front again: attach that program behind the others");
    }
  }
  return lines;
}

}  // namespace postern
