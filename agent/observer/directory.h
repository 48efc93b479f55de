// SPDX-License-Identifier: Apache-2.0
//
// Directory: what the numbers in events stand for, as posternd told it. Sandboxes by id and address,
// rules by policy image and id.
//
// What posternd takes back is kept a while, because events about it may still be on their way.
// Thread: the loop's. Limits: kGoneMax sandboxes and policies that are gone. All text is printable.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ip.h"

namespace postern {

namespace api {
class ObserverUpdate;
class ObserverSandbox;
class ObserverPolicy;
}  // namespace api

struct SandboxInfo {
  std::uint32_t id = 0;
  std::string space;  ///< Namespace of the pod; kDefaultSpace outside a cluster.
  std::string pod;    ///< The interface's name outside a cluster.
  std::string interface;
  std::uint32_t ifindex = 0;
  std::vector<std::string> labels;
  std::vector<Address> addresses;
  bool gone = false;
};

struct RuleInfo {
  std::string text;    ///< "allow *.example.com 443/tcp"
  std::string origin;  ///< "agent.yaml:12"
  bool deny = false;
};

struct PolicyInfo {
  std::string name;
  std::string space;
  std::map<std::uint32_t, RuleInfo> rules;
  bool gone = false;
};

class Directory {
 public:
  static constexpr std::size_t kGoneMax = 1024;

  /// posternd tells everything anew: what it does not repeat is gone.
  void begin();
  void apply(const api::ObserverUpdate& update);

  /// Null for an id that was never told, or is long gone.
  const SandboxInfo* sandbox(std::uint32_t id) const;
  /// The living sandbox of this node that has the address.
  const SandboxInfo* sandbox_at(const Address& address) const;
  const PolicyInfo* policy(std::uint32_t id) const;
  const std::string& node() const { return node_; }

 private:
  void put(const api::ObserverSandbox& sandbox);
  void put(const api::ObserverPolicy& policy);
  void forget_addresses(std::uint32_t sandbox);
  void retire_sandbox(std::uint32_t id);
  void retire_policy(std::uint32_t id);

  std::string node_;
  std::unordered_map<std::uint32_t, SandboxInfo> sandboxes_;
  std::unordered_map<Address, std::uint32_t> by_address_;
  std::unordered_map<std::uint32_t, PolicyInfo> policies_;
  std::deque<std::uint32_t> gone_sandboxes_;
  std::deque<std::uint32_t> gone_policies_;
};

}  // namespace postern
