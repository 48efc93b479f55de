// SPDX-License-Identifier: Apache-2.0
//
// postern-setup: what takes root, once: the steering namespace and the sockets in it, for postern-dns.
#include <net/if.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "agent/setup/steering_namespace.h"
#include "base/channel.h"
#include "base/log.h"

namespace postern {
namespace {

constexpr std::size_t kLinkNameMax = IF_NAMESIZE - 1;

struct Options {
  std::string dns_socket = "/run/postern/dns.sock";
  std::string link_name = "postern-steer";
  std::uint32_t workers = 0;
  std::string log_level = "info";
};

int fail(const Error& error) {
  spdlog::error("{}", error.message());
  return 1;
}

Result<> mount_bpffs() {
  constexpr const char* kPath = "/sys/fs/bpf";
  struct statfs where {};
  if (::statfs(kPath, &where) != 0) {
    return Error::from_errno(std::string("looking at ") + kPath + " (is sysfs mounted?)", errno);
  }
  if (where.f_type == static_cast<decltype(where.f_type)>(BPF_FS_MAGIC)) {
    return {};
  }
  if (::mount("bpf", kPath, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0) {
    return Error::from_errno(std::string("mounting the BPF file system on ") + kPath, errno);
  }
  spdlog::info("mounted the BPF file system on {}", kPath);
  return {};
}

Result<Message> greet(const Fd& keeper) {
  POSTERN_RETURN_IF_ERROR(send_message(keeper.get(), static_cast<std::uint32_t>(DnsMessage::kHelloSetup), "", {}));
  auto reply = receive_message(keeper.get());
  return reply ? std::move(reply) : Result<Message>(std::move(reply).error().within("postern-dns closed the connection: its log says why"));
}

Result<> set_up(const Options& options) {
  if (::geteuid() != 0) {
    return Error(Errc::kDenied, "making a network namespace takes root: run this with sudo");
  }
  POSTERN_RETURN_IF_ERROR(mount_bpffs());
  auto keeper = connect_unix(options.dns_socket);
  if (!keeper) {
    return std::move(keeper).error().within("postern-dns does not run: start it first, or name its socket with --dns-socket");
  }
  auto reply = greet(*keeper);
  if (!reply) {
    return std::move(reply).error();
  }
  if (const auto steering = from_body<Steering>(reply->body);
      static_cast<DnsMessage>(reply->type) == DnsMessage::kSteering && steering) {
    char name[IF_NAMESIZE] = {};
    if (::if_indextoname(steering->node_ifindex, name) == nullptr) {
      return Error(Errc::kInvalid, "postern-dns has sockets, but their link is gone: restart postern-dns, then run this again");
    }
    spdlog::info("postern-dns has its sockets already, behind {}", name);
    return {};
  }
  const std::uint32_t workers =
      options.workers != 0 ? options.workers : std::clamp<std::uint32_t>(static_cast<std::uint32_t>(::sysconf(_SC_NPROCESSORS_ONLN)), 1, kWorkersMax);
  auto made = make_steering(options.link_name, workers);
  if (!made) {
    return std::move(made).error();
  }
  std::vector<int> fds;
  std::ranges::transform(made->sockets, std::back_inserter(fds), &Fd::get);
  POSTERN_RETURN_IF_ERROR(send_message(keeper->get(), static_cast<std::uint32_t>(DnsMessage::kSteering), to_body(made->steering), fds));
  // It has them once it says so: only then may this process, their other owner, end.
  reply = greet(*keeper);
  if (!reply) {
    return std::move(reply).error();
  }
  if (static_cast<DnsMessage>(reply->type) != DnsMessage::kSteering) {
    return Error(Errc::kInvalid, "postern-dns did not take the sockets: are both of the same version?");
  }
  spdlog::info("postern-dns has sockets for {} worker(s), behind {}", workers, options.link_name);
  return {};
}

}  // namespace
}  // namespace postern

int main(int argc, char** argv) {
  postern::Options options;
  CLI::App app{"postern-setup makes the network namespace in which postern-dns answers sandboxes, and its sockets.\n"
               "Run it as root, once after postern-dns was started; again it does nothing."};
  app.add_option("--dns-socket", options.dns_socket, "Where postern-dns listens")->capture_default_str();
  app.add_option("--link-name", options.link_name, "Name of the link to that namespace")->capture_default_str()->check([](const std::string& name) {
    return !name.empty() && name.size() <= postern::kLinkNameMax && name.find('/') == std::string::npos
               ? std::string()
               : std::string("an interface name has 1 to 15 characters and no slash");
  });
  app.add_option("--workers", options.workers, "DNS worker processes. Default: one a CPU")->check(CLI::Range(1u, postern::kWorkersMax));
  app.add_option("--log-level", options.log_level, "debug, info, warn or error")->capture_default_str();
  app.set_version_flag("--version", std::string("postern-setup ") + POSTERN_VERSION);
  CLI11_PARSE(app, argc, argv);
  if (auto logging = postern::start_log("postern-setup", options.log_level, postern::LogFormat::kText); !logging) {
    return postern::fail(logging.error());
  }
  if (auto done = postern::set_up(options); !done) {
    return postern::fail(done.error());
  }
  return 0;
}
