// SPDX-License-Identifier: Apache-2.0
//
// SandboxTable: the sandboxes of this node, in step with the kernel's maps and with the file by
// which they are known again after a restart.
//
// The kernel's entry is written before a program is attached, and removed after it is detached: an
// interface with a program and no entry drops everything. Limit: EGRESS_SANDBOXES_MAX.
// Thread: posternd's loop.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/datapath/gate.h"
#include "agent/sandbox/sandbox.h"

namespace postern {

class SandboxTable {
 public:
  SandboxTable(Gate& gate, std::string file) : gate_(gate), file_(std::move(file)) {}

  /// Takes over the sandboxes of a posternd before us. What the file does not know stays denied and
  /// is named in the result; what has no interface any more is removed.
  Result<std::vector<std::string>> adopt();

  /// Gives a new sandbox an id, a slot and maps of its own. @return full; exists: another sandbox
  /// of this node has one of its addresses, or is on its interface.
  Result<Sandbox*> add(Sandbox sandbox);
  /// Gives a sandbox other addresses; what it no longer has is free for others. @return exists: one
  /// is another sandbox's; nothing is changed then.
  Result<> readdress(Sandbox& sandbox, std::vector<Address> addresses);
  /// Writes the kernel's entry: one write, upon which packets are judged by it.
  Result<> write(const Sandbox& sandbox, const PolicyImage* image);
  void remove(std::uint32_t id);

  /// By interface name, by id as text, or by "namespace/pod"; null: none.
  Sandbox* find(const std::string& name);
  Sandbox* find_ifindex(std::uint32_t ifindex);
  Sandbox* find_id(std::uint32_t id);
  std::vector<Sandbox*> all();
  std::size_t size() const { return sandboxes_.size(); }

  /// Writes the file, whole or not at all.
  Result<> save() const;

 private:
  Result<> claim_addresses(const Sandbox& sandbox);
  void free_addresses(const Sandbox& sandbox, const std::vector<Address>& keep);
  void erase_kernel(const Sandbox& sandbox);
  std::uint32_t free_slot() const;

  Gate& gate_;
  std::string file_;
  std::map<std::uint32_t, Sandbox> sandboxes_;  // by id
};

}  // namespace postern
