// SPDX-License-Identifier: Apache-2.0
//
// What a worker knows of a policy and of a sandbox: what posternd fed it, in a form to decide by.
// Immutable once made; a new image is a new object.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ip.h"
#include "policies/denial.h"
#include "policies/name_matcher.h"
#include "policies/ports.h"

namespace postern {

struct WorkerRule {
  std::uint32_t id = 0;
  std::uint32_t port_set = 0;  ///< Kernel id; 0: the name resolves, but opens nothing.
  std::uint32_t group = 0;     ///< All rules with these ports; owner of merged grants.
  PortSet ports;
};

struct WorkerPolicy {
  std::uint32_t id = 0;
  std::string name;
  NameMatcher names;
  std::vector<WorkerRule> rules;  ///< What names' indices mean.
  std::vector<Prefix> private_allowed;
  std::uint32_t grace_s = 0;
  DenialTail denial;
};

struct SandboxView {
  std::uint32_t id = 0;
  std::shared_ptr<const WorkerPolicy> policy;  ///< That the kernel enforces. Null: none yet, all fails.
  std::uint32_t generation = 0;
  /// The image that the kernel will enforce next. From the moment it is here we decide by it; what
  /// it opens anew is held back until it is the policy.
  std::shared_ptr<const WorkerPolicy> staged;
  std::uint32_t staged_generation = 0;
  SearchList search;
};

}  // namespace postern
