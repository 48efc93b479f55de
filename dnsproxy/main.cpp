// SPDX-License-Identifier: Apache-2.0
//
// postern-dns: the filtering DNS forwarder. Started beside posternd, never by it.
#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/log.h"
#include "base/privileges.h"
#include "dnsproxy/confine.h"
#include "dnsproxy/keeper.h"

namespace postern {
namespace {

struct Options {
  std::string socket = "/run/postern/dns.sock";
  std::string user = "nobody";
  std::string log_level = "info";
  bool log_json = false;
};

int fail(const Error& error) {
  spdlog::error("{}", error.message());
  return 1;
}

int run(const Options& options) {
  if (auto logging =
          start_log("postern-dns", options.log_level, options.log_json ? LogFormat::kJson : LogFormat::kText);
      !logging) {
    return fail(logging.error());
  }
  const passwd* user = ::getpwnam(options.user.c_str());
  if (::geteuid() == 0 && user == nullptr) {
    return fail({Errc::kNotFound, "there is no user \"" + printable(options.user) + "\": name another with --user"});
  }
  const uid_t uid = ::geteuid() == 0 ? user->pw_uid : ::geteuid();
  const gid_t gid = ::geteuid() == 0 ? user->pw_gid : ::getegid();
  auto loop = EventLoop::make();
  if (!loop) {
    return fail(loop.error());
  }
  // Who may do what is decided by the credentials of the connection.
  auto listener = listen_unix(options.socket, 0666);
  if (!listener) {
    return fail(std::move(listener).error().within("is another postern-dns running?"));
  }
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;  // upstream sockets and one map a sandbox
  ::setrlimit(RLIMIT_NOFILE, &files);
  if (auto dropped = drop_privileges(uid, gid); !dropped) {
    return fail(dropped.error());
  }
  Keeper keeper(**loop, std::move(*listener), uid);
  if (auto started = keeper.start(); !started) {
    return fail(started.error());
  }
  if (auto confined = confine_keeper(); !confined) {
    return fail(confined.error());
  }
  spdlog::info("postern-dns {} listens on {}", POSTERN_VERSION, options.socket);
  if (auto ran = (*loop)->run(); !ran) {
    return fail(ran.error());
  }
  return 0;
}

}  // namespace
}  // namespace postern

int main(int argc, char** argv) {
  postern::Options options;
  CLI::App app{
      "postern-dns answers the DNS questions of sandboxes: allowed names with real answers, others with none.\n"
      "It waits for sockets from postern-setup and for policies from posternd."};
  app.add_option("--socket", options.socket, "Where posternd, postern-setup and postern-observer connect")
      ->capture_default_str();
  app.add_option("--user", options.user, "User to become when started as root")->capture_default_str();
  app.add_option("--log-level", options.log_level, "debug, info, warn or error")->capture_default_str();
  app.add_flag("--log-json", options.log_json, "Log JSON lines");
  app.set_version_flag("--version", std::string("postern-dns ") + POSTERN_VERSION);
  CLI11_PARSE(app, argc, argv);
  return postern::run(options);
}
