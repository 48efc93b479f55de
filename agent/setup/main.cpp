// SPDX-License-Identifier: Apache-2.0
//
// postern-setup: what takes root, once: the BPF file system, the steering namespace, and the sockets
// in it for postern-dns. Ends when postern-dns has them.
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>

#include "agent/netlink/links.h"
#include "agent/setup/bpffs.h"
#include "agent/setup/keeper_client.h"
#include "base/log.h"

namespace postern {
namespace {

constexpr const char* kRunDir = "/run/postern";

struct Options {
  std::string dns_socket = "/run/postern/dns.sock";
  std::string link_name = "postern-steer";
  std::uint32_t workers = 0;
  std::uint32_t wait_s = 5;
  std::string log_level = "info";
};

int fail(const Error& error) {
  spdlog::error("{}", error.message());
  return 1;
}

std::uint32_t workers_of(const Options& options) {
  const auto cpus = static_cast<std::uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  return options.workers != 0 ? options.workers : std::min(cpus, kWorkersMax);
}

Result<> make_run_dir() {
  if (::mkdir(kRunDir, 0755) != 0 && errno != EEXIST) {
    return Error::from_errno(std::string("making ") + kRunDir, errno);
  }
  return {};
}

/// It has sockets: they are of use only as long as their link is there.
Result<> check_link(const Steering& steering) {
  const auto link = find_link(steering.node_ifindex);
  if (!link || !is_steering_link(*link)) {
    return Error(
        Errc::kNotFound,
        "postern-dns has sockets, but the link to them was removed: stop postern-dns and posternd (which keeps "
        "duplicates), start postern-dns, run this again, then start posternd");
  }
  spdlog::info("nothing to do: postern-dns has its sockets already, {} worker(s) behind {}", steering.workers,
               link->name);
  return {};
}

Result<> make_and_give(const Options& options, const KeeperClient& keeper) {
  auto made = make_steering(options.link_name, workers_of(options));
  if (!made) {
    return std::move(made).error();
  }
  POSTERN_RETURN_IF_ERROR(keeper.give(*made));
  made->link.leave();
  spdlog::info("postern-dns has sockets for {} worker(s), behind {}", made->steering.workers, options.link_name);
  return {};
}

Result<> set_up(const Options& options) {
  if (::geteuid() != 0) {
    return Error(Errc::kDenied, "making a network namespace takes root: run this with sudo");
  }
  const BootNs deadline = SystemClock().now() + options.wait_s * kNsPerS;
  POSTERN_RETURN_IF_ERROR(make_run_dir());
  POSTERN_RETURN_IF_ERROR(mount_bpffs());
  auto keeper = KeeperClient::connect(options.dns_socket, deadline);
  if (!keeper) {
    return std::move(keeper).error();
  }
  for (;;) {
    const auto steering = keeper->ask();
    if (!steering) {
      return steering.error();
    }
    if (*steering) {
      return check_link(**steering);
    }
    // After a restart of postern-dns posternd hands it the sockets it kept; if there is no posternd,
    // the kernel is about to remove the link whose last socket was closed.
    const auto link = find_link(options.link_name);
    if (!link || !is_steering_link(*link)) {
      return make_and_give(options, *keeper);
    }
    if (!poll_again(deadline)) {
      return Error(Errc::kExists,
                   options.link_name +
                       " is there, but nobody gives postern-dns the sockets behind it: start posternd, which "
                       "keeps duplicates, or stop whoever holds them (ss -lpn), then run this again");
    }
  }
}

std::string check_link_name(const std::string& name) {
  const bool good = !name.empty() && name.size() < IF_NAMESIZE && name != "." && name != ".." &&
                    std::ranges::all_of(
                        name, [](unsigned char c) { return std::isgraph(c) != 0 && c != '/' && c != ':' && c != '%'; });
  return good ? ""
              : "an interface name has 1 to 15 characters, none of them a space, a slash, a colon or a percent sign";
}

}  // namespace
}  // namespace postern

int main(int argc, char** argv) {
  postern::Options options;
  CLI::App app{
      "postern-setup makes the network namespace in which postern-dns answers sandboxes, and its sockets.\n"
      "Run it as root once postern-dns was started; again it does nothing."};
  app.add_option("--dns-socket", options.dns_socket, "Where postern-dns listens")->capture_default_str();
  app.add_option("--link-name", options.link_name, "Name of the link to that namespace")
      ->capture_default_str()
      ->check(CLI::Validator(postern::check_link_name, "NAME"));
  app.add_option("--workers", options.workers, "DNS worker processes. Default: one a CPU, 32 at most")
      ->check(CLI::Range(1u, postern::kWorkersMax));
  app.add_option("--wait", options.wait_s,
                 "Seconds to wait for postern-dns, and for posternd to give back what it kept")
      ->capture_default_str()
      ->check(CLI::Range(0u, 600u));
  app.add_option("--log-level", options.log_level, "debug, info, warn or error")->capture_default_str();
  app.set_version_flag("--version", std::string("postern-setup ") + POSTERN_VERSION);
  app.footer(
      "Exit status 0: postern-dns has its sockets, from this run or an earlier one. Otherwise nothing of it is left,\n"
      "but for /run/postern and the BPF file system on /sys/fs/bpf.");
  CLI11_PARSE(app, argc, argv);
  if (auto logging = postern::start_log("postern-setup", options.log_level, postern::LogFormat::kText); !logging) {
    std::fprintf(stderr, "postern-setup: %s\n", logging.error().message().c_str());
    return 1;
  }
  if (auto done = postern::set_up(options); !done) {
    return postern::fail(done.error());
  }
  return 0;
}
