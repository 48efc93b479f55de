// SPDX-License-Identifier: Apache-2.0
//
// From posternd's state to the bytes of its feeds: to the DNS workers and to the observer. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/config.h"
#include "agent/sandbox/sandbox.h"
#include "policies/image.h"

namespace postern {

/// The kernel's number of a rule's port set.
using PortSetOf = std::function<std::uint32_t(const PortSet&)>;

std::string settings_feed(const std::vector<Endpoint>& upstreams, std::uint32_t grant_s_min);
std::string policy_feed(std::uint32_t id, const PolicyImage& image, const PortSetOf& port_set_of);

/// What a sandbox is told to decide by. Numbers of 0: none.
struct SandboxPolicies {
  std::uint32_t policy = 0;
  std::uint32_t generation = 0;
  std::uint32_t staged_policy = 0;
  std::uint32_t staged_generation = 0;
};
std::string sandbox_feed(const Sandbox& sandbox, const SandboxPolicies& policies);

/// ObserverUpdate messages.
std::string observer_node(const std::string& name);
/// @param labels  of its pod; null: none.
std::string observer_sandbox(const Sandbox& sandbox, const std::map<std::string, std::string>* labels = nullptr);
std::string observer_sandbox_gone(std::uint32_t id);
std::string observer_policy(std::uint32_t id, const PolicyImage& image);
std::string observer_policy_gone(std::uint32_t id);

}  // namespace postern
