// SPDX-License-Identifier: Apache-2.0
//
// Gate: the kernel side of Postern, loaded, pinned and attached. The only code that does so.
//
// Everything is pinned below one folder of bpffs, with the layout's version in its name: it outlives
// this process, and a new build of the same layout takes it over. Programs are replaced in place,
// never detached first. Thread: posternd's loop. Needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/datapath/attachment.h"
#include "agent/datapath/map.h"
#include "agent/datapath/skeleton.h"
#include "bpf/layout.h"

struct gate;     // the generated skeleton
struct bpf_map;  // libbpf's

namespace postern {

/// One entry of a policy's table of prefixes.
struct CidrTableEntry {
  egress_cidr_key key;
  egress_cidr_rule rule;
};

using GrantsMap = Map<egress_addr, egress_grant>;
using FlowsMap = Map<egress_flow_key, egress_flow>;

class Gate {
 public:
  /// Loads the programs, or takes over what is pinned. @param pin_dir a folder of bpffs, made if it
  /// is not there. @return unsupported: the kernel is too old or bpffs is not mounted; invalid: what
  /// is pinned there is not ours; denied: a capability is missing. Each says what to do.
  static Result<std::unique_ptr<Gate>> load(const std::string& pin_dir);
  /// With a given kind of attachment, for tests of both on one kernel.
  static Result<std::unique_ptr<Gate>> load(const std::string& pin_dir, AttachKind kind);
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate();

  AttachKind attach_kind() const { return attachments_.kind(); }
  std::string_view attachment_name() const { return attachments_.kind() == AttachKind::kTcx ? "tcx" : "clsact"; }

  const Map<std::uint32_t, egress_sandbox>& sandboxes() const { return sandboxes_; }
  const Map<egress_addr, std::uint32_t>& sandbox_addrs() const { return sandbox_addrs_; }
  const Map<std::uint32_t, egress_port_set>& port_sets() const { return port_sets_; }
  const Map<std::uint32_t, egress_name>& names() const { return names_; }
  const Map<egress_name_ok_key, egress_name_ok>& name_ok() const { return name_ok_; }
  const Map<egress_addr, std::uint32_t>& node_addrs() const { return node_addrs_; }

  /// Counters that go on where a posternd before us stopped; a number is never given twice.
  Result<std::uint32_t> next_sandbox_id();
  Result<std::uint32_t> next_policy_id();
  Result<std::uint32_t> generation() const;
  Result<> set_generation(std::uint32_t generation);
  /// Where DNS is steered to. mac: of the link's other end.
  Result<> set_steering(std::uint32_t ifindex, const std::array<std::uint8_t, 6>& mac);

  /// Maps of one sandbox, by its slot. Making replaces what was there; the old one goes when nobody
  /// holds it any more.
  Result<> make_grants(std::uint32_t slot);
  Result<> make_flows(std::uint32_t slot, std::uint32_t quota = EGRESS_FLOWS_MAX);
  Result<> drop_grants(std::uint32_t slot);
  Result<> drop_flows(std::uint32_t slot);
  Result<Fd> open_grants(std::uint32_t slot) const;
  Result<GrantsMap> grants_of(std::uint32_t slot) const;
  Result<FlowsMap> flows_of(std::uint32_t slot) const;
  /// Removes the flows of a sandbox that have timed out: they forward nothing any more, and take up
  /// its quota. @return how many.
  Result<std::size_t> sweep_flows(const egress_sandbox& sandbox);

  /// A policy's table of prefixes, filled before anybody can see it. @return full: over EGRESS_CIDRS_MAX.
  Result<> make_cidrs(std::uint32_t policy, const std::vector<CidrTableEntry>& entries);
  Result<> drop_cidrs(std::uint32_t policy);
  /// Every policy id that has a table.
  Result<std::vector<std::uint32_t>> policies() const;

  /// Puts both programs on a sandbox's interface, or replaces them there.
  Result<> attach_sandbox(std::uint32_t ifindex);
  /// Sees to it that no program of others runs before ours on a sandbox's interface, or instead of it. @return the id
  /// of one that did (0: ours was gone), ours being in front again; nothing: all is well.
  /// Cost: six calls of bpf(2). Once per process it loads the programs a second time.
  Result<std::optional<std::uint32_t>> keep_in_front(std::uint32_t ifindex);
  /// Takes them off. An interface that is gone is no error.
  Result<> detach_sandbox(std::uint32_t ifindex);
  /// Is the program that judges what the sandbox sends on its interface?
  bool has_sandbox_programs(std::uint32_t ifindex) const;
  /// Puts from_steering on the node's end of the steering link.
  Result<> attach_steering(std::uint32_t ifindex);

  /// For the observer, in the order of ObserverMap (api/control.h): all but the ring are read-only.
  Result<std::vector<Fd>> observer_maps() const;

  /// For tests: the loaded programs and maps.
  struct ::gate& skeleton() {
    return *skeleton_;
  }

 private:
  Gate(const std::string& dir, AttachKind kind);
  Result<Skeleton<struct ::gate>> load_programs() const;
  Result<> put_in_front(std::uint32_t ifindex, Hook hook);
  Result<> open_maps();
  Result<> change_settings(const std::function<void(egress_settings&)>& change);
  Result<egress_settings> settings() const;
  std::string slot_path(const bpf_map* outer, std::uint32_t slot) const;
  Result<> put_slot(const bpf_map* outer, std::uint32_t slot, Fd inner);
  Result<> drop_slot(const bpf_map* outer, std::uint32_t slot);
  Result<Fd> open_slot(const bpf_map* outer, std::uint32_t slot) const;

  std::string dir_;
  Attachments attachments_;
  Skeleton<struct ::gate> skeleton_;
  Map<std::uint32_t, egress_settings> settings_;
  Map<std::uint32_t, egress_sandbox> sandboxes_;
  Map<egress_addr, std::uint32_t> sandbox_addrs_;
  Map<std::uint32_t, egress_port_set> port_sets_;
  Map<std::uint32_t, egress_name> names_;
  Map<egress_name_ok_key, egress_name_ok> name_ok_;
  Map<egress_addr, std::uint32_t> node_addrs_;
  Skeleton<struct ::gate> other_copy_;  // of the same programs, on the same maps; empty until it is needed
};

}  // namespace postern
