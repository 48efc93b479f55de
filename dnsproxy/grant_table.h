// SPDX-License-Identifier: Apache-2.0
//
// GrantTable: the grants of one sandbox, found by their address and, when room is needed, by their end.
//
// Here and not in the book, because the sandbox chooses what is in it: it can hold its table full of
// live grants. Each lookup more must then cost next to nothing, or it would slow down all the
// sandboxes of this worker. So the table is never walked: each grant is filed under a time not after
// its end. One that was extended stays filed where it was, and is filed again when that time comes.
// Thread: the worker's loop. Owns nothing in the kernel. Limit: the book's, EGRESS_GRANTS_MAX.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "base/ip.h"
#include "bpf/layout.h"
#include "dnsproxy/keyed_hash.h"

namespace postern {

class GrantTable {
 public:
  struct Held {
    egress_grant grant{};
    std::uint64_t filed_ns = 0;  ///< Not after the grant's end, once refile() was told of it.
  };
  using ByAddress = std::unordered_map<Address, Held, KeyedHash>;

  std::size_t size() const { return held_.size(); }
  bool empty() const { return held_.empty(); }
  const ByAddress& all() const { return held_; }

  /// Null: there is none. What is found stays where it is until it is erased.
  egress_grant* find(const Address& address);
  const egress_grant* find(const Address& address) const;
  /// Adds the grant of an address that has none yet.
  egress_grant& add(const Address& address, const egress_grant& grant);
  /// To be told after each change of a grant's deadlines. Costs nothing when they were only extended.
  void refile(const Address& address);
  void erase(const Address& address);

  /// A grant that ended at `before` or earlier, the one that was filed first; nothing: there is none.
  /// Cost: the logarithm of the table's size, once more for each grant that was extended since it was filed.
  std::optional<Address> ended(BootNs before);

  /// Grants that ended() looked at; for the metrics.
  std::uint64_t looks() const { return looks_; }

 private:
  void file(const Address& address, Held& held, std::uint64_t at_ns);

  ByAddress held_;
  std::set<std::pair<std::uint64_t, Address>> filed_;  // {Held::filed_ns, address} of each
  std::uint64_t looks_ = 0;
};

}  // namespace postern
