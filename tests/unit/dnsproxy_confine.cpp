// SPDX-License-Identifier: Apache-2.0
//
// The seccomp filters, each tried in a child: what must work works, what must not kills.
#include "dnsproxy/confine.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <functional>

#include "base/channel.h"
#include "base/log.h"
#include "dnsproxy/upstream_pool.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define POSTERN_SANITIZED 1
#else
#define POSTERN_SANITIZED 0
#endif

namespace postern {
namespace {

/// How a child ends that does this: "0" for exit status 0, "SIGSYS" when a filter killed it.
std::string end_of(const std::function<int()>& child) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    ::_exit(child());
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return WIFSIGNALED(status) ? (WTERMSIG(status) == SIGSYS ? "SIGSYS" : "signal " + std::to_string(WTERMSIG(status)))
                             : std::to_string(WEXITSTATUS(status));
}

/// As a worker: under both filters, as the keeper's child is.
std::string worker_end(const std::function<int()>& act) {
  return end_of([&] { return confine_keeper() && confine_worker() ? act() : 99; });
}

std::string keeper_end(const std::function<int()>& act) {
  return end_of([&] { return confine_keeper() ? act() : 99; });
}

bool skipped() {
  if (POSTERN_SANITIZED) {
    SUCCEED("a sanitizer makes calls of its own");
  }
  return POSTERN_SANITIZED;
}

TEST_CASE("confine: a worker can do its work", "[dnsproxy]") {
  if (skipped()) {
    return;
  }
  CHECK(worker_end([] {
          auto loop = EventLoop::make().value();
          SystemClock clock;
          int failures = 0;
          UpstreamPool pool(
              *loop, clock, [](std::uint64_t, Answer) {}, [&](std::uint64_t, UpstreamFailure) { ++failures; });
          pool.set_upstreams({Endpoint::parse("127.0.0.1:1", 53).value(), Endpoint::parse("[::1]:1", 53).value()});
          for (std::uint64_t ticket = 0; ticket < 50; ++ticket) {
            pool.ask(ticket, {std::string("\1a\0", 3), kTypeA, false, false});
            static_cast<void>(loop->run_once(0));
          }
          std::vector<std::string> memory;
          for (int i = 0; i < 64; ++i) {
            memory.emplace_back(1u << 20, 'x');
          }
          memory.clear();
          spdlog::debug("a line that is not shown");
          spdlog::info("");
          return 0;
        }) == "0");
}

TEST_CASE("confine: nothing with a path works, and files stay closed", "[dnsproxy]") {
  if (skipped()) {
    return;
  }
  CHECK(worker_end([] { return ::open("/etc/passwd", O_RDONLY) == -1 && errno == EACCES ? 0 : 1; }) == "0");
  CHECK(keeper_end([] { return ::open("/etc/passwd", O_RDONLY) == -1 && errno == EACCES ? 0 : 1; }) == "0");
  CHECK(worker_end([] { return ::unlink("/tmp/x"); }) == "SIGSYS");
  CHECK(keeper_end([] { return ::execl("/bin/true", "true", nullptr); }) == "SIGSYS");
  CHECK(worker_end([] { return ::execl("/bin/true", "true", nullptr); }) == "SIGSYS");
}

TEST_CASE("confine: a worker makes no processes, no other sockets and no code", "[dnsproxy]") {
  if (skipped()) {
    return;
  }
  CHECK(worker_end([] { return ::fork() == 0 ? 1 : 2; }) == "SIGSYS");
  CHECK(worker_end([] { return ::socket(AF_UNIX, SOCK_STREAM, 0); }) == "SIGSYS");
  CHECK(worker_end([] { return ::socket(AF_NETLINK, SOCK_RAW, 0); }) == "SIGSYS");
  CHECK(worker_end([] { return ::socket(AF_PACKET, SOCK_RAW, 0); }) == "SIGSYS");
  CHECK(worker_end([] {
          return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? 1 : 2;
        }) == "SIGSYS");
  CHECK(worker_end([] { return ::kill(::getppid(), SIGKILL); }) == "SIGSYS");
  CHECK(worker_end([] { return static_cast<int>(::syscall(SYS_tgkill, 1, 1, SIGKILL)); }) == "SIGSYS");
  CHECK(worker_end([] { return static_cast<int>(::syscall(SYS_bpf, 0 /* BPF_MAP_CREATE */, nullptr, 0)); }) ==
        "SIGSYS");
  CHECK(worker_end([] { return static_cast<int>(::syscall(SYS_bpf, 5 /* BPF_PROG_LOAD */, nullptr, 0)); }) == "SIGSYS");
}

TEST_CASE("confine: no namespace can be made, whichever way", "[dnsproxy]") {
  if (skipped()) {
    return;
  }
  CHECK(keeper_end([] { return ::unshare(CLONE_NEWUSER); }) == "SIGSYS");
  CHECK(keeper_end([] {
          return static_cast<int>(::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, 0));
        }) == "SIGSYS");
  CHECK(keeper_end([] { return ::syscall(SYS_clone3, nullptr, 0) == -1 && errno == ENOSYS ? 0 : 1; }) == "0");
}

TEST_CASE("confine: a keeper can do its work", "[dnsproxy]") {
  if (skipped()) {
    return;
  }
  CHECK(keeper_end([] {
          auto ends = channel_pair();
          if (!ends) {
            return 1;
          }
          const pid_t pid = ::fork();
          if (pid == 0) {
            ::_exit(send_message(ends->second.get(), 1, std::string(100'000, 'x'), {0}) ? 0 : 1);
          }
          int status = 0;
          if (::waitpid(pid, &status, 0) != pid || status != 0) {
            return 2;
          }
          const auto message = receive_message(ends->first.get());
          return message && message->body.size() == 100'000 && message->fds.size() == 1 && message->fds[0].duplicate()
                     ? 0
                     : 3;
        }) == "0");
}

TEST_CASE("confine: a failed assertion ends a worker as one", "[dnsproxy]") {
  if (skipped()) {
    return;
  }
  CHECK(worker_end([]() -> int {
          ::signal(SIGABRT, SIG_DFL);  // not the test runner's
          std::abort();
        }) == "signal " + std::to_string(SIGABRT));
}

}  // namespace
}  // namespace postern
