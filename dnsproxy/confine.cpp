// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/confine.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>
#include <memory>

namespace postern {
namespace {

/// What both need: messages, memory, time, the log on stderr, and a clean end.
constexpr std::initializer_list<int> kCommonCalls = {
    SCMP_SYS(read),          SCMP_SYS(write),         SCMP_SYS(writev),
    SCMP_SYS(close),         SCMP_SYS(pread64),       SCMP_SYS(lseek),
    SCMP_SYS(fstat),         SCMP_SYS(fcntl),         SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),       SCMP_SYS(recvfrom),      SCMP_SYS(sendto),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),     SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),   SCMP_SYS(getsockopt),    SCMP_SYS(brk),
    SCMP_SYS(munmap),        SCMP_SYS(mremap),        SCMP_SYS(madvise),
    SCMP_SYS(futex),         SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
    SCMP_SYS(getrandom),     SCMP_SYS(rt_sigreturn),  SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),  SCMP_SYS(sigaltstack),   SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),          SCMP_SYS(exit_group),    SCMP_SYS(getpid),
    SCMP_SYS(gettid),        SCMP_SYS(sched_yield)};

/// Accepting and answering queries, and asking upstreams.
constexpr std::initializer_list<int> kWorkerCalls = {SCMP_SYS(recvmmsg), SCMP_SYS(sendmmsg),    SCMP_SYS(accept4),
                                                     SCMP_SYS(connect),  SCMP_SYS(getsockname), SCMP_SYS(setsockopt)};

/// Accepting posternd, making, counting and ending workers. A worker starts with these and gives them up.
constexpr std::initializer_list<int> kKeeperCalls = {
    SCMP_SYS(socketpair),      SCMP_SYS(signalfd4), SCMP_SYS(memfd_create), SCMP_SYS(fork),
    SCMP_SYS(wait4),           SCMP_SYS(waitid),    SCMP_SYS(kill),         SCMP_SYS(tgkill),
    SCMP_SYS(set_robust_list), SCMP_SYS(rseq)};

/// A new user namespace would bring capabilities, and with them most of the kernel, within reach.
constexpr scmp_datum_t kNamespaceFlags =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_KILL_PROCESS), &seccomp_release) {}

  void allow(std::initializer_list<int> calls) {
    for (const int call : calls) {
      note(seccomp_rule_add(context_.get(), SCMP_ACT_ALLOW, call, 0));
    }
  }
  /// The call, if the argument at `index` masked by `mask` equals `value`.
  void allow_if(int call, unsigned index, scmp_datum_t mask, scmp_datum_t value) {
    note(seccomp_rule_add(context_.get(), SCMP_ACT_ALLOW, call, 1,
                          scmp_arg_cmp{index, SCMP_CMP_MASKED_EQ, mask, value}));
  }
  void refuse(int call, int sys_errno) {
    note(seccomp_rule_add(context_.get(), SCMP_ACT_ERRNO(static_cast<std::uint32_t>(sys_errno)), call, 0));
  }

  Result<> load() {
    if (failed_ == 0) {
      note(seccomp_load(context_.get()));
    }
    if (failed_ != 0) {
      return Error::from_errno("loading the seccomp filter", -failed_);
    }
    return {};
  }

 private:
  void note(int result) { failed_ = failed_ == 0 && result < 0 ? result : failed_; }

  std::unique_ptr<void, decltype(&seccomp_release)> context_;
  int failed_ = 0;
};

/// Memory may never be made executable; map elements are all of bpf(2).
void add_common(Filter& filter) {
  filter.allow(kCommonCalls);
  filter.allow_if(SCMP_SYS(mmap), 2, PROT_EXEC, 0);
  filter.allow_if(SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
  for (const int command : {BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM, BPF_MAP_GET_NEXT_KEY}) {
    filter.allow_if(SCMP_SYS(bpf), 0, 0xffffffff, static_cast<scmp_datum_t>(command));
  }
  // glibc asks for these in passing and copes without.
  filter.refuse(SCMP_SYS(openat), EACCES);
  filter.refuse(SCMP_SYS(newfstatat), EACCES);
  filter.refuse(SCMP_SYS(readlink), EACCES);
  filter.refuse(SCMP_SYS(ioctl), ENOTTY);
}

void add_inet_sockets(Filter& filter) {
  for (const int family : {AF_INET, AF_INET6}) {
    filter.allow_if(SCMP_SYS(socket), 0, 0xffffffff, static_cast<scmp_datum_t>(family));
  }
}

}  // namespace

Result<> confine_keeper() {
  Filter filter;
  add_common(filter);
  filter.allow(kWorkerCalls);
  filter.allow(kKeeperCalls);
  add_inet_sockets(filter);
  filter.allow_if(SCMP_SYS(clone), 0, kNamespaceFlags, 0);
  filter.refuse(SCMP_SYS(clone3), ENOSYS);  // its flags cannot be looked at; glibc then takes clone
  // A worker adds its own, stricter filter on top.
  filter.allow({SCMP_SYS(seccomp), SCMP_SYS(prctl)});
  return filter.load();
}

Result<> confine_worker() {
  Filter filter;
  add_common(filter);
  filter.allow(kWorkerCalls);
  add_inet_sockets(filter);
  // abort() after a failed assertion: a signal to ourselves, so that the log tells it from a forbidden call.
  filter.allow_if(SCMP_SYS(tgkill), 0, 0xffffffff, static_cast<scmp_datum_t>(::getpid()));
  return filter.load();
}

}  // namespace postern
