// SPDX-License-Identifier: Apache-2.0
#include "agent/datapath/gate.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>

#include "base/log.h"
#include "gate.skel.h"

namespace postern {
namespace {

constexpr std::uint32_t kZero = 0;

int log_libbpf(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) {
    return 0;
  }
  char text[1024];
  std::vsnprintf(text, sizeof(text), format, arguments);
  spdlog::debug("libbpf: {}", printable(text));
  return 0;
}

Result<> make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return Error::from_errno("making " + path, errno);
  }
  return {};
}

Result<> check_bpffs(const std::string& dir) {
  const std::string parent = dir.substr(0, dir.find_last_of('/'));
  struct statfs where {};
  if (::statfs(parent.c_str(), &where) != 0 || where.f_type != static_cast<decltype(where.f_type)>(BPF_FS_MAGIC)) {
    return Error(Errc::kUnsupported, parent + " is not a BPF file system: mount one (mount -t bpf bpf /sys/fs/bpf), or run postern-setup");
  }
  return {};
}

/// A pinned map must be what the skeleton would make.
Result<> check_pinned(const bpf_map* map, const std::string& path) {
  const Fd pinned(::bpf_obj_get(path.c_str()));
  if (!pinned) {
    return errno == ENOENT ? Result<>() : Result<>(Error::from_errno("opening " + path, errno));
  }
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  if (::bpf_map_get_info_by_fd(pinned.get(), &info, &size) != 0 || info.type != bpf_map__type(map) ||
      info.key_size != bpf_map__key_size(map) || info.value_size != bpf_map__value_size(map) ||
      info.max_entries != bpf_map__max_entries(map)) {
    return Error(Errc::kInvalid, path + " is not of this version of Postern: detach its sandboxes, stop it and remove the folder");
  }
  return {};
}

Error load_error(int sys_errno) {
  switch (sys_errno) {
    case EPERM:
    case EACCES:
      return Error::from_errno("the kernel refuses the programs; run with log level debug to see why", sys_errno);
    case ENOENT:
    case ENOTSUP:
    case EINVAL:
      return Error(Errc::kUnsupported, "this kernel cannot run the gate: it takes 6.1 or newer, with CONFIG_BPF_SYSCALL and BTF", sys_errno);
    default:
      return Error::from_errno("loading the programs", sys_errno);
  }
}

Fd make_hash(const char* name, std::size_t key, std::size_t value, std::uint32_t entries, bpf_map_type type) {
  bpf_map_create_opts options{};
  options.sz = sizeof(options);
  options.map_flags = BPF_F_NO_PREALLOC;
  return Fd(::bpf_map_create(type, name, static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(value), entries, &options));
}

template <typename K, typename V>
Result<> adopt(Map<K, V>& map, const bpf_map* from) {
  auto adopted = Map<K, V>::adopt(Fd(::fcntl(bpf_map__fd(from), F_DUPFD_CLOEXEC, 3)), bpf_map__name(from));
  if (!adopted) {
    return std::move(adopted).error();
  }
  map = std::move(*adopted);
  return {};
}

}  // namespace

Result<> check_map_sizes(int fd, std::size_t key_bytes, std::size_t value_bytes, std::string_view name) {
  bpf_map_info info{};
  std::uint32_t size = sizeof(info);
  if (::bpf_map_get_info_by_fd(fd, &info, &size) != 0) {
    return Error::from_errno("looking at map " + std::string(name), errno);
  }
  if (info.key_size != key_bytes || info.value_size != value_bytes) {
    return Error(Errc::kInvalid, "map " + std::string(name) + " has another layout than this program");
  }
  return {};
}

Gate::Gate(const std::string& dir, AttachKind kind) : dir_(dir), attachments_(dir + "/links", kind) {}
Gate::~Gate() = default;

Result<std::unique_ptr<Gate>> Gate::load(const std::string& pin_dir) { return load(pin_dir, best_attach_kind()); }

Result<std::unique_ptr<Gate>> Gate::load(const std::string& pin_dir, AttachKind kind) {
  libbpf_set_print(&log_libbpf);
  POSTERN_RETURN_IF_ERROR(check_bpffs(pin_dir));
  const std::string dir = pin_dir + "/v" + std::to_string(EGRESS_LAYOUT_VERSION);
  for (const std::string& folder : {pin_dir, dir, dir + "/links", dir + "/slots"}) {
    POSTERN_RETURN_IF_ERROR(make_folder(folder));
  }
  std::unique_ptr<Gate> made(new Gate(dir, kind));
  made->skeleton_.reset(::gate::open());
  if (!made->skeleton_) {
    return Error::from_errno("opening the programs", errno);
  }
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, made->skeleton_->obj) {
    const std::string path = dir + "/" + bpf_map__name(map);
    POSTERN_RETURN_IF_ERROR(check_pinned(map, path));
    bpf_map__set_pin_path(map, path.c_str());
  }
  if (const int loaded = ::gate::load(made->skeleton_.get()); loaded != 0) {
    return load_error(-loaded);
  }
  POSTERN_RETURN_IF_ERROR(made->open_maps());
  return made;
}

Result<> Gate::open_maps() {
  const auto& maps = skeleton_->maps;
  POSTERN_RETURN_IF_ERROR(adopt(settings_, maps.settings));
  POSTERN_RETURN_IF_ERROR(adopt(sandboxes_, maps.sandboxes));
  POSTERN_RETURN_IF_ERROR(adopt(sandbox_addrs_, maps.sandbox_addrs));
  POSTERN_RETURN_IF_ERROR(adopt(port_sets_, maps.port_sets));
  POSTERN_RETURN_IF_ERROR(adopt(names_, maps.names));
  POSTERN_RETURN_IF_ERROR(adopt(name_ok_, maps.name_ok));
  POSTERN_RETURN_IF_ERROR(adopt(node_addrs_, maps.node_addrs));
  POSTERN_RETURN_IF_ERROR(adopt(closing_, maps.closing));
  auto now = settings();
  if (!now) {
    return std::move(now).error();
  }
  if (now->layout_version != 0 && now->layout_version != EGRESS_LAYOUT_VERSION) {
    return Error(Errc::kInvalid, dir_ + " holds layout " + std::to_string(now->layout_version) + ", not " + std::to_string(EGRESS_LAYOUT_VERSION));
  }
  return change_settings([](egress_settings& settings) { settings.layout_version = EGRESS_LAYOUT_VERSION; });
}

// ---- settings ----

Result<egress_settings> Gate::settings() const {
  auto now = settings_.lookup(kZero);
  if (!now) {
    return std::move(now).error();
  }
  return now->value_or(egress_settings{});
}

Result<> Gate::change_settings(const std::function<void(egress_settings&)>& change) {
  auto now = settings();
  if (!now) {
    return std::move(now).error();
  }
  change(*now);
  return settings_.update(kZero, *now);
}

Result<std::uint32_t> Gate::next_sandbox_id() {
  std::uint32_t id = 0;
  POSTERN_RETURN_IF_ERROR(change_settings([&](egress_settings& settings) { id = ++settings.next_sandbox_id; }));
  return id;
}

Result<std::uint32_t> Gate::next_policy_id() {
  std::uint32_t id = 0;
  POSTERN_RETURN_IF_ERROR(change_settings([&](egress_settings& settings) { id = ++settings.next_policy_id; }));
  return id;
}

Result<std::uint32_t> Gate::generation() const {
  auto now = settings();
  return now ? Result<std::uint32_t>(now->generation) : Result<std::uint32_t>(std::move(now).error());
}

Result<> Gate::set_generation(std::uint32_t generation) {
  return change_settings([&](egress_settings& settings) { settings.generation = generation; });
}

Result<> Gate::set_steering(std::uint32_t ifindex, const std::array<std::uint8_t, 6>& mac) {
  return change_settings([&](egress_settings& settings) {
    settings.steer_ifindex = ifindex;
    std::copy(mac.begin(), mac.end(), settings.steer_mac);
  });
}

// ---- maps of one sandbox, tables of one policy ----

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
  return inner;
}

Result<> Gate::make_grants(std::uint32_t slot) {
  return put_slot(skeleton_->maps.grants, slot, make_hash("grants", sizeof(egress_addr), sizeof(egress_grant), EGRESS_GRANTS_MAX, BPF_MAP_TYPE_HASH));
}

Result<> Gate::make_flows(std::uint32_t slot) {
  return put_slot(skeleton_->maps.flows, slot, make_hash("flows", sizeof(egress_flow_key), sizeof(egress_flow), EGRESS_FLOWS_MAX, BPF_MAP_TYPE_HASH));
}

Result<> Gate::drop_grants(std::uint32_t slot) { return drop_slot(skeleton_->maps.grants, slot); }
Result<> Gate::drop_flows(std::uint32_t slot) { return drop_slot(skeleton_->maps.flows, slot); }
Result<Fd> Gate::open_grants(std::uint32_t slot) const { return open_slot(skeleton_->maps.grants, slot); }

Result<GrantsMap> Gate::grants_of(std::uint32_t slot) const {
  auto inner = open_slot(skeleton_->maps.grants, slot);
  return inner ? GrantsMap::adopt(std::move(*inner), "grants") : Result<GrantsMap>(std::move(inner).error());
}

Result<FlowsMap> Gate::flows_of(std::uint32_t slot) const {
  auto inner = open_slot(skeleton_->maps.flows, slot);
  return inner ? FlowsMap::adopt(std::move(*inner), "flows") : Result<FlowsMap>(std::move(inner).error());
}

Result<> Gate::make_cidrs(std::uint32_t policy, const std::vector<CidrTableEntry>& entries) {
  if (entries.size() > EGRESS_CIDRS_MAX) {
    return Error(Errc::kFull, "more than " + std::to_string(EGRESS_CIDRS_MAX) + " prefixes: join neighbouring ones");
  }
  const Fd table = make_hash("cidrs", sizeof(egress_cidr_key), sizeof(egress_cidr_rule), EGRESS_CIDRS_MAX, BPF_MAP_TYPE_LPM_TRIE);
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
  std::vector<std::uint32_t> ids;
  std::uint32_t key = 0;
  const std::uint32_t* after = nullptr;
  while (::bpf_map_get_next_key(bpf_map__fd(skeleton_->maps.cidr_rules), after, &key) == 0) {
    ids.push_back(key);
    after = &ids.back();
    ids.reserve(EGRESS_POLICIES_MAX);  // `after` points into it
  }
  return ids;
}

// ---- programs ----

Result<> Gate::attach_sandbox(std::uint32_t ifindex) {
  // Towards the sandbox first: a flow that from_sandbox opens is then seen to be answered.
  POSTERN_RETURN_IF_ERROR(attachments_.attach(bpf_program__fd(skeleton_->progs.to_sandbox), ifindex, Hook::kEgress));
  return attachments_.attach(bpf_program__fd(skeleton_->progs.from_sandbox), ifindex, Hook::kIngress);
}

Result<> Gate::detach_sandbox(std::uint32_t ifindex) {
  POSTERN_RETURN_IF_ERROR(attachments_.detach(ifindex, Hook::kIngress));
  return attachments_.detach(ifindex, Hook::kEgress);
}

Result<> Gate::attach_steering(std::uint32_t ifindex) {
  return attachments_.attach(bpf_program__fd(skeleton_->progs.from_steering), ifindex, Hook::kIngress);
}

Result<std::vector<Fd>> Gate::observer_maps() const {
  std::vector<Fd> fds;
  Fd ring(::fcntl(bpf_map__fd(skeleton_->maps.events), F_DUPFD_CLOEXEC, 3));
  if (!ring) {
    return Error::from_errno("duplicating the event ring", errno);
  }
  fds.push_back(std::move(ring));
  for (const char* name : {"counters", "sandbox_state", "names"}) {
    struct bpf_obj_get_opts options {};
    options.sz = sizeof(options);
    options.file_flags = BPF_F_RDONLY;
    Fd map(::bpf_obj_get_opts((dir_ + "/" + name).c_str(), &options));
    if (!map) {
      return Error::from_errno("opening " + std::string(name), errno);
    }
    fds.push_back(std::move(map));
  }
  return fds;
}

}  // namespace postern
