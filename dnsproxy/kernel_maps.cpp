// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/kernel_maps.h"

#include <linux/bpf.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/bpf_calls.h"

namespace postern {
namespace {

/// Elements of our maps are not allocated beforehand: the kernel takes them from a small stock of the
/// processor, which an interrupt fills again. A burst may find it empty for a moment (ENOMEM).
constexpr int kStockTries = 200;

int once(bpf_cmd command, bpf_attr& attr) { return ::syscall(__NR_bpf, command, &attr, sizeof(attr)) == 0 ? 0 : errno; }

/// One map command of bpf(2). 0, or the errno.
int map_command(bpf_cmd command, int map, const void* key, void* value, std::uint64_t flags) {
  bpf_attr attr;
  std::memset(&attr, 0, sizeof(attr));
  attr.map_fd = static_cast<std::uint32_t>(map);
  attr.key = reinterpret_cast<std::uint64_t>(key);
  attr.value = reinterpret_cast<std::uint64_t>(value);  // in a union with next_key
  attr.flags = flags;
  int failed = once(command, attr);
  for (int i = 0; failed == ENOMEM && i < kStockTries; ++i) {
    ::sched_yield();
    failed = once(command, attr);
  }
  return failed;
}

}  // namespace

Result<> require_map_calls() {
  auto good = require_bpf_calls({BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM, BPF_MAP_GET_NEXT_KEY},
                                "postern/dns.json");
  return good ? std::move(good) : Result<>(std::move(good).error().within("grants cannot be written"));
}

Result<int> KernelMaps::grants_of(std::uint32_t sandbox) const {
  const auto found = grants_.find(sandbox);
  if (found == grants_.end()) {
    return Error(Errc::kNotFound, "no grants map for sandbox " + std::to_string(sandbox));
  }
  return found->second.get();
}

Result<> KernelMaps::write_grant(std::uint32_t sandbox, const Address& address, const egress_grant& grant) {
  auto map = grants_of(sandbox);
  if (!map) {
    return std::move(map).error();
  }
  egress_grant copy = grant;
  if (const int failed = map_command(BPF_MAP_UPDATE_ELEM, *map, address.bytes.data(), &copy, BPF_ANY)) {
    return Error::from_errno("writing a grant", failed);
  }
  return {};
}

Result<> KernelMaps::erase_grant(std::uint32_t sandbox, const Address& address) {
  auto map = grants_of(sandbox);
  if (!map) {
    return std::move(map).error();
  }
  const int failed = map_command(BPF_MAP_DELETE_ELEM, *map, address.bytes.data(), nullptr, 0);
  if (failed != 0 && failed != ENOENT) {
    return Error::from_errno("erasing a grant", failed);
  }
  return {};
}

Result<std::optional<egress_grant>> KernelMaps::read_grant(std::uint32_t sandbox, const Address& address) {
  auto map = grants_of(sandbox);
  if (!map) {
    return std::move(map).error();
  }
  egress_grant grant{};
  const int failed = map_command(BPF_MAP_LOOKUP_ELEM, *map, address.bytes.data(), &grant, 0);
  if (failed == ENOENT) {
    return std::optional<egress_grant>();
  }
  if (failed != 0) {
    return Error::from_errno("reading a grant", failed);
  }
  return std::optional(grant);
}

Result<std::optional<Address>> KernelMaps::next_grant(std::uint32_t sandbox, const std::optional<Address>& after) {
  auto map = grants_of(sandbox);
  if (!map) {
    return std::move(map).error();
  }
  Address next;
  const int failed =
      map_command(BPF_MAP_GET_NEXT_KEY, *map, after ? after->bytes.data() : nullptr, next.bytes.data(), 0);
  if (failed == ENOENT) {
    return std::optional<Address>();
  }
  if (failed != 0) {
    return Error::from_errno("listing grants", failed);
  }
  return std::optional(next);
}

Result<> KernelMaps::add_name(std::uint32_t id, const egress_name& name) {
  egress_name copy = name;
  if (const int failed = map_command(BPF_MAP_UPDATE_ELEM, names_.get(), &id, &copy, BPF_NOEXIST)) {
    return Error::from_errno("writing a name", failed);
  }
  return {};
}

}  // namespace postern
