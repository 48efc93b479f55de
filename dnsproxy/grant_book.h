// SPDX-License-Identifier: Apache-2.0
//
// GrantBook: which addresses each sandbox may reach because of which names, in step with the kernel.
//
// The only writer of its sandboxes' grants. A slot of a grant belongs to one (name, rule) and is
// only ever extended. When an address has more owners than slots, a slot goes over to the rule as
// a whole, then to all rules with the same ports; if that does not help the claim is refused, so
// that the lookup fails instead of its connection.
// Limits: EGRESS_GRANTS_MAX addresses a sandbox. Expired ones stay kExpiredKeptS for the flow log
// ("lookup expired") unless their room is needed: then the one that ended first goes. A sandbox that
// holds its book full of live grants makes no lookup dearer (grant_table.h).
// Thread: the worker's loop.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "dnsproxy/grant_store.h"
#include "dnsproxy/grant_table.h"
#include "dnsproxy/keyed_hash.h"
#include "dnsproxy/wire.h"

namespace postern {

/// Leave that a lookup earned.
struct GrantClaim {
  Wire name;  ///< Lower case.
  std::uint32_t rule = 0;
  std::uint32_t group = 0;
  std::uint32_t port_set = 0;
  std::uint32_t generation = 0;
  BootNs deadline;
};

class GrantBook {
 public:
  static constexpr std::uint64_t kExpiredKeptS = 300;

  /// @param worker top byte of the name ids that this book makes.
  /// @param first_name_id where to begin in the lower three bytes; random, so that a restarted worker
  ///        seldom meets its predecessor's ids.
  GrantBook(GrantStore& store, std::uint8_t worker, std::uint32_t first_name_id)
      : store_(store), worker_(worker), next_name_(first_name_id & kNameIdMask) {}

  /// A sandbox that is known already keeps its grants, unless its map was replaced by another.
  void add_sandbox(std::uint32_t sandbox);
  void remove_sandbox(std::uint32_t sandbox);

  /// Lets a sandbox reach an address at least until the claim's deadline; never shortens another
  /// name's. @return ok once a connect would succeed; full: answer SERVFAIL.
  Result<> allow(std::uint32_t sandbox, const Address& address, const GrantClaim& claim, BootNs now);

  /// The names that hold this address for the sandbox now; for PTR.
  std::vector<std::string> names_of(std::uint32_t sandbox, const Address& address, BootNs now) const;

  /// Takes over what the kernel holds for a sandbox that we do not know yet (after a restart), a
  /// bounded step at a time. @return false when nothing is left to take over.
  bool adopt_some();
  /// Removes what has been expired for long, of one sandbox and a bounded number; the next call takes the next one.
  void purge(BootNs now);

  /// Counted for the metrics.
  struct Stats {
    std::uint64_t merged = 0;   ///< Slots that went over to a rule or a group.
    std::uint64_t refused = 0;  ///< Claims without room.
    std::uint64_t looks = 0;    ///< Grants looked at to find expired ones.
  };
  const Stats& stats() const { return stats_; }

 private:
  static constexpr std::uint32_t kNameIdMask = 0x00ffffff;
  static constexpr int kAdoptStep = 256;
  static constexpr int kPurgeStep = 1024;  // a system call each, while the worker's other sandboxes wait

  struct Adoption {
    std::uint32_t sandbox = 0;
    std::optional<Address> after;
  };
  struct Name {
    std::uint32_t id = 0;
    std::uint32_t slots = 0;
  };

  bool is_current(std::uint32_t sandbox, const GrantTable& grants);
  Result<egress_grant*> grant_of(std::uint32_t sandbox, GrantTable& grants, const Address& address, BootNs now);
  Result<std::uint32_t> acquire_name(Wire wire, BootNs now);
  void release_name(std::uint32_t id);
  void release_names(const egress_grant& grant);
  Result<egress_grant_slot*> slot_for(egress_grant& grant, const GrantClaim& claim, BootNs now);
  egress_grant_slot* merged_slot(egress_grant& grant, const GrantClaim& claim);
  /// Erases one grant that ended at `before` or earlier. False: there is none, or it cannot be erased.
  bool erase_ended(std::uint32_t sandbox, GrantTable& grants, BootNs before);

  GrantStore& store_;
  std::uint8_t worker_;
  std::uint32_t next_name_;
  std::map<std::uint32_t, GrantTable> sandboxes_;
  std::uint32_t purged_ = 0;  // the sandbox of the last purge
  std::unordered_map<std::string, Name, KeyedHash> names_;
  std::unordered_map<std::uint32_t, std::string> name_texts_;
  std::vector<Adoption> adoptions_;
  Stats stats_;
};

}  // namespace postern
