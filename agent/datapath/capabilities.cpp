// SPDX-License-Identifier: Apache-2.0
#include "agent/datapath/capabilities.h"

#include <sys/capability.h>
#include <sys/prctl.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>

namespace postern {
namespace {

constexpr std::array<cap_value_t, 3> kKept = {CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON};
constexpr std::array<const char*, 3> kNames = {"CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"};

using Capabilities = std::unique_ptr<std::remove_pointer_t<cap_t>, decltype(&cap_free)>;

}  // namespace

std::string missing_gate_capabilities() {
  const Capabilities now(cap_get_proc(), &cap_free);
  std::string missing;
  for (std::size_t i = 0; i < kKept.size(); ++i) {
    cap_flag_value_t has = CAP_CLEAR;
    cap_get_flag(now.get(), kKept[i], CAP_PERMITTED, &has);
    if (has != CAP_SET) {
      missing += (missing.empty() ? "" : ", ") + std::string(kNames[i]);
    }
  }
  return missing;
}

Result<> keep_only_gate_capabilities() {
  if (const std::string missing = missing_gate_capabilities(); !missing.empty()) {
    return Error(Errc::kDenied,
                 missing + " is missing: run this as root, or give it CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON");
  }
  // The bounding set while CAP_SETPCAP, if there, still allows it.
  for (cap_value_t capability = 0; cap_get_bound(capability) >= 0; ++capability) {
    bool kept = false;
    for (const cap_value_t wanted : kKept) {
      kept = kept || capability == wanted;
    }
    if (!kept && cap_drop_bound(capability) != 0 && errno != EPERM) {
      return Error::from_errno("dropping capabilities", errno);
    }
  }
  const Capabilities only(cap_init(), &cap_free);
  cap_set_flag(only.get(), CAP_PERMITTED, kKept.size(), kKept.data(), CAP_SET);
  cap_set_flag(only.get(), CAP_EFFECTIVE, kKept.size(), kKept.data(), CAP_SET);
  if (cap_set_proc(only.get()) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return Error::from_errno("dropping capabilities", errno);
  }
  cap_reset_ambient();
  return {};
}

}  // namespace postern
