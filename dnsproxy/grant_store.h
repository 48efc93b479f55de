// SPDX-License-Identifier: Apache-2.0
//
// The seam to the kernel's grants and names: what the resolver writes before it answers.
#pragma once

#include <cstdint>
#include <optional>

#include "base/ip.h"
#include "base/result.h"
#include "bpf/layout.h"

namespace postern {

class GrantStore {
 public:
  GrantStore() = default;
  GrantStore(const GrantStore&) = delete;
  GrantStore& operator=(const GrantStore&) = delete;
  virtual ~GrantStore() = default;

  /// Replaces the grant of an address. @return ok once a connect would succeed; full (E2BIG): the
  /// sandbox's quota, answer SERVFAIL; not found: the sandbox is gone, drop the query.
  virtual Result<> write_grant(std::uint32_t sandbox, const Address& address, const egress_grant& grant) = 0;
  virtual Result<> erase_grant(std::uint32_t sandbox, const Address& address) = 0;
  /// @return nothing when the address has no grant.
  virtual Result<std::optional<egress_grant>> read_grant(std::uint32_t sandbox, const Address& address) = 0;
  /// The next granted address behind `after` in no particular order; nothing at the end.
  virtual Result<std::optional<Address>> next_grant(std::uint32_t sandbox, const std::optional<Address>& after) = 0;
  /// Adds a name under a fresh id. @return exists: take another id. full: answer SERVFAIL.
  virtual Result<> add_name(std::uint32_t id, const egress_name& name) = 0;
};

}  // namespace postern
