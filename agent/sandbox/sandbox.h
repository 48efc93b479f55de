// SPDX-License-Identifier: Apache-2.0
//
// Sandbox: what one policy applies to. Plain data, its form in the kernel and its form in the file
// by which posternd knows its sandboxes again after a restart.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "bpf/layout.h"
#include "policies/denial.h"
#include "policies/image.h"

namespace postern {

using Mac = std::array<std::uint8_t, 6>;

/// "02:00:00:00:00:01". @return invalid for anything else.
Result<Mac> parse_mac(std::string_view text);
std::string to_string(const Mac& mac);

/// The pod that a sandbox is.
struct PodRef {
  std::string uid;  ///< Empty: it is no pod.
  std::string space;
  std::string name;

  explicit operator bool() const { return !uid.empty(); }
  friend bool operator==(const PodRef&, const PodRef&) = default;
};

enum class SandboxMode {
  kEnforce,   ///< What its policy allows passes.
  kLockdown,  ///< Nothing passes, in either direction, live connections neither; until a person ends it.
};
std::string_view name_of(SandboxMode mode);  ///< "enforce", "lockdown"
/// @return invalid: the two that there are.
Result<SandboxMode> parse_mode(std::string_view name);

struct Sandbox {
  std::uint32_t id = 0;    ///< Never reused.
  std::uint32_t slot = 0;  ///< Of its own maps; reused after detach.
  std::uint32_t ifindex = 0;
  std::string interface;
  std::string policy;  ///< Its policy key (policies/policy_set.h). Empty: everything is denied, by an answer to DNS.
  PodRef pod;
  bool held = false;  ///< Denied everything until it is known whose interface it is.
  SandboxMode mode = SandboxMode::kEnforce;
  std::vector<Address> addresses;
  Mac mac{};
  Mac host_mac{};
  std::vector<Prefix> link_prefixes;  ///< On the host interface itself.
  SearchList search;

  std::uint32_t policy_id = 0;   ///< Image in force; 0: none, everything is denied.
  std::uint32_t generation = 0;  ///< Its min_generation.
};

inline constexpr std::uint32_t kFlowAgeSMax = 24 * 3600;  // no packet renews a flow older than this

/// Under this image; null: under none.
egress_sandbox to_kernel(const Sandbox& sandbox, const PolicyImage* image);
egress_addr to_kernel(const Address& address);
Address from_kernel(const egress_addr& address);

/// The sandboxes as JSON, without what the kernel knows (policy id, generation), and back.
std::string to_json(const std::vector<const Sandbox*>& sandboxes);
Result<std::vector<Sandbox>> sandboxes_from_json(std::string_view text);

}  // namespace postern
