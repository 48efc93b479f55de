// SPDX-License-Identifier: Apache-2.0
//
// postern-setup: what takes root: the BPF file system, the steering namespace, and the sockets in it for
// postern-dns; on a cluster also what a node needs before, and how to be rid of all of it.
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdio>

#include "agent/datapath/kernel.h"
#include "agent/setup/bpffs.h"
#include "agent/setup/prepare.h"
#include "agent/setup/removal.h"
#include "agent/setup/steering_setup.h"
#include "api/dns_feed.h"
#include "base/log.h"

namespace postern {
namespace {

constexpr const char* kRunDir = "/run/postern";

struct Options {
  SetupOptions setup;
  PrepareOptions prepare;
  RemovalOptions removal;
  bool stay = false;
  bool remove_and_stay = false;
  std::string log_level = "info";
};

Result<> make_run_dir() {
  if (::mkdir(kRunDir, 0755) != 0 && errno != EEXIST) {
    return Error::from_errno(std::string("making ") + kRunDir, errno);
  }
  return {};
}

Result<> set_up(const Options& options) {
  POSTERN_RETURN_IF_ERROR(require_kernel(kernel_facts()));
  if (options.stay) {
    return set_up_and_stay(options.setup);  // `prepare` made the folders, and a mount would be this container's alone
  }
  POSTERN_RETURN_IF_ERROR(mount_bpffs());
  POSTERN_RETURN_IF_ERROR(make_run_dir());
  return set_up_steering(options.setup);
}

Result<> remove_all(const Options& options) {
  POSTERN_RETURN_IF_ERROR(remove_everything(options.removal));
  if (options.remove_and_stay) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    ::sigprocmask(SIG_BLOCK, &ends, nullptr);
    ::sigwaitinfo(&ends, nullptr);
  }
  return {};
}

std::string check_link_name(const std::string& name) {
  const bool good = !name.empty() && name.size() < IF_NAMESIZE && name != "." && name != ".." &&
                    std::ranges::all_of(
                        name, [](unsigned char c) { return std::isgraph(c) != 0 && c != '/' && c != ':' && c != '%'; });
  return good ? ""
              : "an interface name has 1 to 15 characters, none of them a space, a slash, a colon or a percent sign";
}

void add_setup(CLI::App& app, Options& options) {
  SetupOptions& setup = options.setup;
  app.add_option("--dns-socket", setup.dns_socket, "Where postern-dns listens")->capture_default_str();
  app.add_option("--link-name", setup.link_name, "Name of the link to that namespace")
      ->capture_default_str()
      ->check(CLI::Validator(check_link_name, "NAME"));
  app.add_option("--workers", setup.workers, "DNS worker processes. Default: one a CPU, 32 at most")
      ->check(CLI::Range(1u, kWorkersMax));
  app.add_option("--wait", setup.wait_s, "Seconds to wait for postern-dns, and for posternd to give back what it kept")
      ->capture_default_str()
      ->check(CLI::Range(0u, 600u));
  app.add_option("--sysctls", setup.sysctls, "Where the node's /proc/sys/net is writable")->capture_default_str();
  app.add_flag("--stay", options.stay,
               "For a container: gives up all capabilities afterwards, and stays to hand the sockets to the next "
               "postern-dns");
}

CLI::App* add_prepare(CLI::App& app, PrepareOptions& options) {
  CLI::App* command = app.add_subcommand(
      "prepare",
      "For a pod, before its other containers: looks at the node, makes folders for daemons that are not "
      "root, installs their seccomp profiles");
  command->add_option("--run-dir", options.run_dir, "Folder of the sockets")->capture_default_str();
  command->add_option("--bpf-dir", options.bpf_dir, "The node's BPF file system")->capture_default_str();
  command->add_option("--dns-user", options.dns_user, "User of postern-dns, by name or number")->capture_default_str();
  command->add_option("--observer-user", options.observer_user, "User of postern-observer, by name or number")
      ->capture_default_str();
  command->add_option("--profiles-from", options.profiles_from, "Folder with seccomp profiles")->capture_default_str();
  command->add_option("--profiles-to", options.profiles_to,
                      "Folder to copy them to, below the kubelet's seccomp folder");
  return command;
}

CLI::App* add_remove(CLI::App& app, Options& options) {
  RemovalOptions& removal = options.removal;
  CLI::App* command = app.add_subcommand(
      "remove", "Takes the gate off this machine: nothing is enforced any more. Once the daemons are stopped");
  command->add_option("--run-dir", removal.run_dir, "Folder of the sockets")->capture_default_str();
  command->add_option("--pin-dir", removal.pin_dir, "Folder of the pins")->capture_default_str();
  command->add_option("--link-name", removal.link_name, "Name of the steering link")->capture_default_str();
  command->add_option("--profiles", removal.profiles, "Folder of the installed seccomp profiles");
  command->add_option("--wait", removal.wait_s, "Seconds to wait for daemons that are about to end")
      ->capture_default_str()
      ->check(CLI::Range(0u, 600u));
  command->add_flag("--stay", options.remove_and_stay, "For a container: does not end afterwards, until it is ended");
  return command;
}

int run(const CLI::App& app, const Options& options) {
  if (auto logging = start_log("postern-setup", options.log_level, LogFormat::kText); !logging) {
    std::fprintf(stderr, "postern-setup: %s\n", logging.error().message().c_str());
    return 1;
  }
  Result<> done =
      Error(Errc::kDenied, "this changes network namespaces and system folders, which takes root: run it with sudo");
  if (::geteuid() == 0) {
    done = app.got_subcommand("prepare")  ? prepare_node(options.prepare)
           : app.got_subcommand("remove") ? remove_all(options)
                                          : set_up(options);
  }
  if (!done) {
    spdlog::error("{}", done.error().message());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace postern

int main(int argc, char** argv) {
  postern::Options options;
  CLI::App app{
      "postern-setup makes the network namespace in which postern-dns answers sandboxes, and its sockets.\n"
      "Run it as root once postern-dns was started; again it does nothing."};
  postern::add_setup(app, options);
  app.require_subcommand(0, 1);
  CLI::App* prepare = postern::add_prepare(app, options.prepare);
  CLI::App* remove = postern::add_remove(app, options);
  for (CLI::App* each : {&app, prepare, remove}) {
    each->add_option("--log-level", options.log_level, "debug, info, warn or error")->capture_default_str();
  }
  app.set_version_flag("--version", std::string("postern-setup ") + POSTERN_VERSION);
  app.footer(
      "Exit status 0: postern-dns has its sockets, from this run or an earlier one. Otherwise nothing of it is left,\n"
      "but for /run/postern and the BPF file system on /sys/fs/bpf.");
  CLI11_PARSE(app, argc, argv);
  return postern::run(app, options);
}
