// SPDX-License-Identifier: Apache-2.0
//
// Gate's maps in maps: grants and flows by sandbox slot, prefixes by policy id.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <cerrno>

#include "agent/datapath/gate.h"
#include "base/clock.h"
#include "bpf/flow.h"
#include "gate.skel.h"

namespace postern {
namespace {

Fd make_hash(const char* name, std::size_t key, std::size_t value, std::uint32_t entries, bpf_map_type type) {
  bpf_map_create_opts options{};
  options.sz = sizeof(options);
  options.map_flags = BPF_F_NO_PREALLOC;
  return Fd(::bpf_map_create(type, name, static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(value), entries,
                             &options));
}

std::uint32_t id_of(const Fd& map) {
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  return ::bpf_map_get_info_by_fd(map.get(), &info, &size) == 0 ? info.id : 0;
}

}  // namespace

// An inner map is pinned beside its place in the outer one: looking it up there gives an id, and
// opening a map by id takes CAP_SYS_ADMIN.
Result<> Gate::put_slot(const bpf_map* outer, std::uint32_t slot, Fd inner) {
  const std::string path = slot_path(outer, slot);
  if (!inner) {
    return Error::from_errno("making a sandbox's map", errno);
  }
  ::unlink(path.c_str());
  if (::bpf_obj_pin(inner.get(), path.c_str()) != 0) {
    return Error::from_errno("pinning " + path, errno);
  }
  const int fd = inner.get();
  if (::bpf_map_update_elem(bpf_map__fd(outer), &slot, &fd, BPF_ANY) != 0) {
    const int failed = errno;
    ::unlink(path.c_str());
    return Error::from_errno("placing a sandbox's map", failed);
  }
  return {};
}

Result<> Gate::drop_slot(const bpf_map* outer, std::uint32_t slot) {
  ::unlink(slot_path(outer, slot).c_str());
  if (::bpf_map_delete_elem(bpf_map__fd(outer), &slot) != 0 && errno != ENOENT) {
    return Error::from_errno("removing a sandbox's map", errno);
  }
  return {};
}

std::string Gate::slot_path(const bpf_map* outer, std::uint32_t slot) const {
  return dir_ + "/slots/" + std::to_string(slot) + "-" + bpf_map__name(outer);
}

Result<Fd> Gate::open_slot(const bpf_map* outer, std::uint32_t slot) const {
  const std::string path = slot_path(outer, slot);
  Fd inner(::bpf_obj_get(path.c_str()));
  if (!inner) {
    return Error::from_errno("opening " + path, errno);
  }
  // A look-up in an outer map gives the inner one's id.
  std::uint32_t placed = 0;
  if (::bpf_map_lookup_elem(bpf_map__fd(outer), &slot, &placed) != 0 || placed != id_of(inner)) {
    return Error(Errc::kInvalid,
                 path + " is not the map that the programs use: detach this sandbox and attach it again");
  }
  return inner;
}

Result<> Gate::make_grants(std::uint32_t slot) {
  return put_slot(skeleton_->maps.grants, slot,
                  make_hash("grants", sizeof(egress_addr), sizeof(egress_grant), EGRESS_GRANTS_MAX, BPF_MAP_TYPE_HASH));
}

Result<> Gate::make_flows(std::uint32_t slot, std::uint32_t quota) {
  // What the slot's last sandbox sent is not this one's. One value for each CPU.
  const std::vector<egress_sandbox_state> none(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  if (::bpf_map_update_elem(bpf_map__fd(skeleton_->maps.sandbox_state), &slot, none.data(), BPF_ANY) != 0) {
    return Error::from_errno("clearing a sandbox's sums", errno);
  }
  POSTERN_RETURN_IF_ERROR(put_slot(
      skeleton_->maps.closed, slot,
      Fd(::bpf_map_create(BPF_MAP_TYPE_ARRAY, "closed", sizeof(std::uint32_t), sizeof(egress_closed), 1, nullptr))));
  return put_slot(skeleton_->maps.flows, slot,
                  make_hash("flows", sizeof(egress_flow_key), sizeof(egress_flow), quota, BPF_MAP_TYPE_HASH));
}

Result<> Gate::drop_grants(std::uint32_t slot) { return drop_slot(skeleton_->maps.grants, slot); }
Result<> Gate::drop_flows(std::uint32_t slot) {
  POSTERN_RETURN_IF_ERROR(drop_slot(skeleton_->maps.closed, slot));
  return drop_slot(skeleton_->maps.flows, slot);
}
Result<Fd> Gate::open_grants(std::uint32_t slot) const { return open_slot(skeleton_->maps.grants, slot); }

Result<GrantsMap> Gate::grants_of(std::uint32_t slot) const {
  auto inner = open_slot(skeleton_->maps.grants, slot);
  return inner ? GrantsMap::adopt(std::move(*inner), "grants") : Result<GrantsMap>(std::move(inner).error());
}

Result<FlowsMap> Gate::flows_of(std::uint32_t slot) const {
  auto inner = open_slot(skeleton_->maps.flows, slot);
  return inner ? FlowsMap::adopt(std::move(*inner), "flows") : Result<FlowsMap>(std::move(inner).error());
}

// A flow may come to life again between the walk and the erasing (the sandbox opens it anew): so it
// is taken out whole, looked at, and put back unless the programs opened it once more meanwhile.
Result<std::size_t> Gate::sweep_flows(const egress_sandbox& sandbox) {
  auto flows = flows_of(sandbox.slot);
  if (!flows) {
    return std::move(flows).error();
  }
  const auto alive = [&](const egress_flow_key& key, const egress_flow& flow) {
    return egress_flow_alive(&sandbox, &key, &flow, clock_ns(CLOCK_MONOTONIC_COARSE)) != 0;  // the programs' clock
  };
  std::size_t removed = 0;
  POSTERN_RETURN_IF_ERROR(flows->for_each([&](const egress_flow_key& key, const egress_flow& seen) -> Result<> {
    if (alive(key, seen)) {
      return {};
    }
    auto taken = flows->take(key);
    if (!taken) {
      return std::move(taken).error();
    }
    if (*taken && alive(key, **taken)) {
      static_cast<void>(flows->insert(key, **taken));
      return {};
    }
    ++removed;
    return {};
  }));
  return removed;
}

Result<> Gate::make_cidrs(std::uint32_t policy, const std::vector<CidrTableEntry>& entries) {
  if (entries.size() > EGRESS_CIDRS_MAX) {
    return Error(Errc::kFull, "more than " + std::to_string(EGRESS_CIDRS_MAX) + " prefixes: join neighbouring ones");
  }
  const Fd table =
      make_hash("cidrs", sizeof(egress_cidr_key), sizeof(egress_cidr_rule), EGRESS_CIDRS_MAX, BPF_MAP_TYPE_LPM_TRIE);
  if (!table) {
    return Error::from_errno("making a table of prefixes", errno);
  }
  for (const CidrTableEntry& entry : entries) {
    if (::bpf_map_update_elem(table.get(), &entry.key, &entry.rule, BPF_ANY) != 0) {
      return Error::from_errno("filling a table of prefixes", errno);
    }
  }
  const int fd = table.get();
  if (::bpf_map_update_elem(bpf_map__fd(skeleton_->maps.cidr_rules), &policy, &fd, BPF_ANY) != 0) {
    return Error::from_errno("placing a table of prefixes", errno);
  }
  return {};
}

Result<> Gate::drop_cidrs(std::uint32_t policy) {
  if (::bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.cidr_rules), &policy) != 0 && errno != ENOENT) {
    return Error::from_errno("removing a table of prefixes", errno);
  }
  return {};
}

Result<std::vector<std::uint32_t>> Gate::policies() const {
  // Only posternd's loop, which calls this, adds and erases here.
  std::vector<std::uint32_t> ids;
  std::uint32_t last = 0;
  std::uint32_t next = 0;
  for (const std::uint32_t* after = nullptr;
       ::bpf_map_get_next_key(bpf_map__fd(skeleton_->maps.cidr_rules), after, &next) == 0; after = &last) {
    last = next;
    ids.push_back(next);
  }
  if (errno != ENOENT) {
    return Error::from_errno("walking the tables of prefixes", errno);
  }
  return ids;
}

}  // namespace postern
