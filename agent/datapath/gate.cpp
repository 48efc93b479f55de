// SPDX-License-Identifier: Apache-2.0
#include "agent/datapath/gate.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstdarg>

#include "agent/datapath/kernel.h"
#include "agent/datapath/pins.h"
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

Gate::Gate(const std::string& dir, AttachKind kind) : dir_(dir), attachments_(dir + "/links", kind) {}
Gate::~Gate() = default;

Result<std::unique_ptr<Gate>> Gate::load(const std::string& pin_dir) { return load(pin_dir, best_attach_kind()); }

Result<std::unique_ptr<Gate>> Gate::load(const std::string& pin_dir, AttachKind kind) {
  libbpf_set_print(&log_libbpf);
  const KernelFacts facts = kernel_facts();
  POSTERN_RETURN_IF_ERROR(require_capabilities(facts));
  POSTERN_RETURN_IF_ERROR(require_kernel(facts));
  const std::string root = pin_dir.substr(0, pin_dir.find_last_not_of('/') + 1);
  if (auto mounted = require_bpffs(root.substr(0, root.find_last_of('/'))); !mounted) {
    return std::move(mounted).error().within("pin_dir " + root);
  }
  const std::string dir = root + "/v" + std::to_string(EGRESS_LAYOUT_VERSION);
  PinFolders folders;
  for (const std::string& folder : {root, dir, dir + "/links", dir + "/slots"}) {
    POSTERN_RETURN_IF_ERROR(folders.make(folder));
  }
  std::unique_ptr<Gate> made(new Gate(dir, kind));
  auto programs = made->load_programs();
  if (!programs) {
    return std::move(programs).error();
  }
  made->skeleton_ = std::move(*programs);
  POSTERN_RETURN_IF_ERROR(made->open_maps());
  folders.keep();
  return made;
}

Result<Skeleton<struct ::gate>> Gate::load_programs() const {
  Skeleton<struct ::gate> programs(::gate::open());
  if (!programs) {
    return Error::from_errno("opening the programs", errno);
  }
  POSTERN_RETURN_IF_ERROR(pin_maps(programs->obj, dir_));
  if (const int loaded = ::gate::load(programs.get()); loaded != 0) {
    return explain_load_failure(-loaded);
  }
  return programs;
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
  auto now = settings();
  if (!now) {
    return std::move(now).error();
  }
  if (now->layout_version != 0 && now->layout_version != EGRESS_LAYOUT_VERSION) {
    return Error(Errc::kInvalid, dir_ + " holds layout " + std::to_string(now->layout_version) + ", not " +
                                     std::to_string(EGRESS_LAYOUT_VERSION) + ": " + how_to_begin_anew(dir_));
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

// ---- programs ----

Result<> Gate::attach_sandbox(std::uint32_t ifindex) {
  // Towards the sandbox first: a flow that from_sandbox opens is then seen to be answered.
  POSTERN_RETURN_IF_ERROR(attachments_.attach(bpf_program__fd(skeleton_->progs.to_sandbox), ifindex, Hook::kEgress));
  return attachments_.attach(bpf_program__fd(skeleton_->progs.from_sandbox), ifindex, Hook::kIngress);
}

Result<> Gate::put_in_front(std::uint32_t ifindex, Hook hook) {
  const auto& programs = skeleton_->progs;
  const bpf_program* program = hook == Hook::kIngress ? programs.from_sandbox : programs.to_sandbox;
  return attachments_.put_in_front(bpf_program__fd(program), ifindex, hook);
}

Result<std::optional<std::uint32_t>> Gate::keep_in_front(std::uint32_t ifindex) {
  std::optional<std::uint32_t> found;
  for (const Hook hook : {Hook::kEgress, Hook::kIngress}) {
    auto before = attachments_.first_of_others(ifindex, hook);
    if (!before) {
      return std::move(before).error();
    }
    if (!*before) {
      continue;
    }
    found = *before;
    auto put = put_in_front(ifindex, hook);
    if (!put && put.error().code() == Errc::kExists) {
      if (!other_copy_) {
        auto copy = load_programs();
        if (!copy) {
          return std::move(copy).error();
        }
        other_copy_ = std::move(*copy);
      }
      std::swap(skeleton_, other_copy_);
      put = put_in_front(ifindex, hook);
    }
    POSTERN_RETURN_IF_ERROR(std::move(put));
  }
  return found;
}

Result<> Gate::detach_sandbox(std::uint32_t ifindex) {
  POSTERN_RETURN_IF_ERROR(attachments_.detach(ifindex, Hook::kIngress));
  return attachments_.detach(ifindex, Hook::kEgress);
}

bool Gate::has_sandbox_programs(std::uint32_t ifindex) const {
  return attachments_.is_attached(ifindex, Hook::kIngress);
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
