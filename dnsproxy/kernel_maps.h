// SPDX-License-Identifier: Apache-2.0
//
// KernelMaps: the GrantStore over BPF maps, through descriptors that posternd made and sent.
//
// Plain bpf(2), not libbpf: four map commands are all that the seccomp filter leaves this process,
// and libbpf would bring an ELF parser into it. Needs no capability (the descriptors are the leave).
#pragma once

#include <unordered_map>

#include "base/fd.h"
#include "dnsproxy/grant_store.h"

namespace postern {

/// @return an error that says what to do, when this process may not write grants, whatever descriptors it is given.
Result<> require_map_calls();

class KernelMaps final : public GrantStore {
 public:
  void set_names(Fd map) { names_ = std::move(map); }
  void set_sandbox(std::uint32_t sandbox, Fd grants) { grants_[sandbox] = std::move(grants); }
  void remove_sandbox(std::uint32_t sandbox) { grants_.erase(sandbox); }

  Result<> write_grant(std::uint32_t sandbox, const Address& address, const egress_grant& grant) override;
  Result<> erase_grant(std::uint32_t sandbox, const Address& address) override;
  Result<std::optional<egress_grant>> read_grant(std::uint32_t sandbox, const Address& address) override;
  Result<std::optional<Address>> next_grant(std::uint32_t sandbox, const std::optional<Address>& after) override;
  Result<> add_name(std::uint32_t id, const egress_name& name) override;

 private:
  Result<int> grants_of(std::uint32_t sandbox) const;

  Fd names_;
  std::unordered_map<std::uint32_t, Fd> grants_;
};

}  // namespace postern
