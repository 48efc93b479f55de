// SPDX-License-Identifier: Apache-2.0
#include "tests/bpf/witness.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_cls.h>

#include <array>
#include <cerrno>

#include "tests/bpf/lab.h"
#include "tests/bpf/wait.h"

namespace postern::test {
namespace {

constexpr std::uint32_t kZero = 0;
constexpr std::uint32_t kPriority = 2;
constexpr std::uint32_t kHandle = 9;
constexpr std::uint32_t kBefore = 1u << 3;  // BPF_F_BEFORE of kernel 6.6

bpf_insn instruction(int code, std::uint8_t dst, std::uint8_t src, std::int16_t offset, std::int32_t immediate) {
  bpf_insn out{};
  out.code = static_cast<std::uint8_t>(code);
  out.dst_reg = dst & 0xf;
  out.src_reg = src & 0xf;
  out.off = offset;
  out.imm = immediate;
  return out;
}

/// count[0] += 1; return verdict. By hand, so that the tests need no second BPF object.
std::array<bpf_insn, 11> counting(int map, int verdict) {
  return {instruction(BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0),
          instruction(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0),
          instruction(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4),
          instruction(BPF_LD | BPF_IMM | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map),
          instruction(0, 0, 0, 0, 0),
          instruction(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
          instruction(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 2, 0),
          instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0, 0, 1),
          instruction(BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_0, BPF_REG_1, 0, BPF_ADD),
          instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, verdict),
          instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)};
}

bpf_tc_hook clsact(std::uint32_t ifindex, Hook hook) {
  bpf_tc_hook at{};
  at.sz = sizeof(at);
  at.ifindex = static_cast<int>(ifindex);
  at.attach_point = hook == Hook::kIngress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
  return at;
}

bpf_tc_opts own_filter() {
  bpf_tc_opts filter{};
  filter.sz = sizeof(filter);
  filter.handle = kHandle;
  filter.priority = kPriority;
  return filter;
}

}  // namespace

Witness::Witness(int verdict)
    : map_(::bpf_map_create(BPF_MAP_TYPE_ARRAY, "witness", sizeof(std::uint32_t), sizeof(std::uint64_t), 1, nullptr)) {
  const auto code = counting(map_.get(), verdict);
  program_ = Fd(::bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "witness", "Dual BSD/GPL", code.data(), code.size(), nullptr));
  must(program_ ? Result<>() : Result<>(Error::from_errno("loading the witness", errno)));
}

Witness::~Witness() {
  if (clsact_ifindex_ != 0) {
    bpf_tc_hook at = clsact(clsact_ifindex_, clsact_hook_);
    bpf_tc_opts filter = own_filter();
    static_cast<void>(::bpf_tc_detach(&at, &filter));  // or its interface is gone
  }
}

void Witness::attach_tcx(std::uint32_t ifindex, Hook hook) { attach_link(ifindex, hook, 0); }

void Witness::attach_before(std::uint32_t ifindex, Hook hook) { attach_link(ifindex, hook, kBefore); }

void Witness::attach_link(std::uint32_t ifindex, Hook hook, std::uint32_t flags) {
  bpf_link_create_opts options{};
  options.sz = sizeof(options);
  options.flags = flags;
  link_ = Fd(::bpf_link_create(program_.get(), static_cast<int>(ifindex), tcx_attach_type(hook), &options));
  must(link_ ? Result<>() : Result<>(Error::from_errno("attaching the witness", errno)));
}

void Witness::attach_clsact(std::uint32_t ifindex, Hook hook) {
  bpf_tc_hook at = clsact(ifindex, hook);
  static_cast<void>(::bpf_tc_hook_create(&at));  // or it is there
  bpf_tc_opts filter = own_filter();
  filter.prog_fd = program_.get();
  const int attached = ::bpf_tc_attach(&at, &filter);
  must(attached == 0 ? Result<>() : Result<>(Error::from_errno("attaching the witness", -attached)));
  clsact_ifindex_ = ifindex;
  clsact_hook_ = hook;
}

std::uint32_t Witness::program_id() const {
  bpf_prog_info info{};
  std::uint32_t size = sizeof(info);
  must(::bpf_obj_get_info_by_fd(program_.get(), &info, &size) == 0
           ? Result<>()
           : Result<>(Error::from_errno("asking for the witness's id", errno)));
  return info.id;
}

std::uint64_t Witness::count() const {
  std::uint64_t frames = 0;
  ::bpf_map_lookup_elem(map_.get(), &kZero, &frames);
  return frames;
}

bool Witness::sees(std::uint64_t frames) const {
  return eventually([&] { return count() >= frames; });
}

}  // namespace postern::test
