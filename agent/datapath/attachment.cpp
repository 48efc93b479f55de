// SPDX-License-Identifier: Apache-2.0
#include "agent/datapath/attachment.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace postern {
namespace {

constexpr std::uint32_t kPriority = 1;
constexpr std::uint32_t kHandle = 0x706f7374;  // "post"
constexpr std::uint32_t kLoopback = 1;         // has this index in every network namespace

// From linux/bpf.h of kernel 6.6; Debian 12's is of 6.1. They are the kernel's ABI.
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47);
constexpr std::uint32_t kBefore = 1u << 3;  // BPF_F_BEFORE: without an anchor, before all others

bpf_tc_hook clsact_hook(std::uint32_t ifindex, Hook hook) {
  bpf_tc_hook out{};
  out.sz = sizeof(out);
  out.ifindex = static_cast<int>(ifindex);
  out.attach_point = hook == Hook::kIngress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
  return out;
}

bpf_tc_opts clsact_filter() {
  bpf_tc_opts out{};
  out.sz = sizeof(out);
  out.handle = kHandle;
  out.priority = kPriority;
  return out;
}

bpf_link_info info_of(const Fd& link) {
  bpf_link_info info{};
  std::uint32_t size = sizeof(info);
  return ::bpf_link_get_info_by_fd(link.get(), &info, &size) == 0 ? info : bpf_link_info{};
}

/// The interface a link hangs on; 0: on none any more. tcx and xdp keep it in the same place.
std::uint32_t ifindex_of(const Fd& link) { return info_of(link).xdp.ifindex; }

bool exists(std::uint32_t ifindex) {
  char name[IF_NAMESIZE];
  return ::if_indextoname(ifindex, name) != nullptr;
}

}  // namespace

bpf_attach_type tcx_attach_type(Hook hook) { return hook == Hook::kIngress ? kTcxIngress : kTcxEgress; }

AttachKind best_attach_kind() {
  // Asking an interface for its tcx programs is EINVAL on kernels that have none (before 6.6).
  struct bpf_prog_query_opts query {};
  query.sz = sizeof(query);
  const int asked = ::bpf_prog_query_opts(static_cast<int>(kLoopback), kTcxIngress, &query);
  return asked == 0 || errno == ENOENT ? AttachKind::kTcx : AttachKind::kClsact;
}

std::string Attachments::path_of(std::uint32_t ifindex, Hook hook) const {
  return dir_ + "/" + std::to_string(ifindex) + (hook == Hook::kIngress ? "-in" : "-out");
}

Result<> Attachments::attach(int program, std::uint32_t ifindex, Hook hook) {
  if (!exists(ifindex)) {
    return Error(Errc::kNotFound, "there is no interface with index " + std::to_string(ifindex));
  }
  return kind_ == AttachKind::kTcx ? attach_tcx(program, ifindex, hook) : attach_clsact(program, ifindex, hook);
}

Result<> Attachments::attach_tcx(int program, std::uint32_t ifindex, Hook hook) {
  const std::string path = path_of(ifindex, hook);
  if (const Fd pinned(::bpf_obj_get(path.c_str())); pinned) {
    if (ifindex_of(pinned) == ifindex) {
      if (::bpf_link_update(pinned.get(), program, nullptr) != 0) {
        return Error::from_errno("replacing the program on interface " + std::to_string(ifindex), errno);
      }
      return {};
    }
    ::unlink(path.c_str());  // of an interface that is gone and whose index was used again
  }
  return put_in_front(program, ifindex, hook);
}

Result<> Attachments::put_in_front(int program, std::uint32_t ifindex, Hook hook) {
  bpf_link_create_opts options{};
  options.sz = sizeof(options);
  options.flags = kBefore;
  const Fd link(::bpf_link_create(program, static_cast<int>(ifindex), tcx_attach_type(hook), &options));
  if (!link) {
    return Error::from_errno("attaching to interface " + std::to_string(ifindex), errno);
  }
  const std::string path = path_of(ifindex, hook);
  const std::string fresh = path + "-new";
  const Fd old(::bpf_obj_get(path.c_str()));
  ::unlink(fresh.c_str());  // of a posternd that died in between
  if (::bpf_obj_pin(link.get(), fresh.c_str()) != 0 || std::rename(fresh.c_str(), path.c_str()) != 0) {
    const int failed = errno;
    ::unlink(fresh.c_str());
    return Error::from_errno("pinning " + path, failed);  // the link ends with its descriptor: nothing is left
  }
  if (old) {
    static_cast<void>(::bpf_link_detach(old.get()));  // at once; with its last descriptor it would end a little later
  }
  return {};
}

Result<std::optional<std::uint32_t>> Attachments::first_of_others(std::uint32_t ifindex, Hook hook) {
  if (kind_ != AttachKind::kTcx) {
    return std::optional<std::uint32_t>();
  }
  std::array<std::uint32_t, 1> programs{};
  std::array<std::uint32_t, 1> links{};
  struct bpf_prog_query_opts query {};
  query.sz = sizeof(query);
  query.prog_cnt = programs.size();
  query.prog_ids = programs.data();
  query.link_ids = links.data();
  // ENOSPC: there are more behind the first, which alone matters. ENOENT: there is none.
  if (::bpf_prog_query_opts(static_cast<int>(ifindex), tcx_attach_type(hook), &query) != 0 && errno != ENOSPC &&
      errno != ENOENT) {
    return Error::from_errno("listing the programs of interface " + std::to_string(ifindex), errno);
  }
  const Fd ours(::bpf_obj_get(path_of(ifindex, hook).c_str()));
  if (ours && links[0] != 0 && info_of(ours).id == links[0]) {
    return std::optional<std::uint32_t>();
  }
  return std::optional(programs[0]);
}

Result<> Attachments::attach_clsact(int program, std::uint32_t ifindex, Hook hook) {
  bpf_tc_hook at = clsact_hook(ifindex, hook);
  if (const int made = ::bpf_tc_hook_create(&at); made != 0 && made != -EEXIST) {
    return Error::from_errno("making the clsact qdisc of interface " + std::to_string(ifindex), -made);
  }
  bpf_tc_opts filter = clsact_filter();
  filter.prog_fd = program;
  filter.flags = BPF_TC_F_REPLACE;
  if (const int attached = ::bpf_tc_attach(&at, &filter); attached != 0) {
    return Error::from_errno("attaching to interface " + std::to_string(ifindex), -attached);
  }
  return {};
}

bool Attachments::is_attached(std::uint32_t ifindex, Hook hook) const {
  if (kind_ == AttachKind::kTcx) {
    const Fd pinned(::bpf_obj_get(path_of(ifindex, hook).c_str()));
    return pinned && ifindex_of(pinned) == ifindex;
  }
  bpf_tc_hook at = clsact_hook(ifindex, hook);
  bpf_tc_opts filter = clsact_filter();
  return exists(ifindex) && ::bpf_tc_query(&at, &filter) == 0;
}

Result<> Attachments::detach(std::uint32_t ifindex, Hook hook) {
  if (kind_ == AttachKind::kTcx) {
    const std::string path = path_of(ifindex, hook);
    if (const Fd pinned(::bpf_obj_get(path.c_str()));
        pinned && ifindex_of(pinned) == ifindex && ::bpf_link_detach(pinned.get()) != 0 && errno != ENOLINK) {
      return Error::from_errno("detaching from interface " + std::to_string(ifindex), errno);
    }
    ::unlink(path.c_str());
    return {};
  }
  if (!exists(ifindex)) {
    return {};
  }
  bpf_tc_hook at = clsact_hook(ifindex, hook);
  bpf_tc_opts filter = clsact_filter();
  if (const int detached = ::bpf_tc_detach(&at, &filter); detached != 0 && detached != -ENOENT && detached != -EINVAL) {
    return Error::from_errno("detaching from interface " + std::to_string(ifindex), -detached);
  }
  return {};
}

}  // namespace postern
