// SPDX-License-Identifier: Apache-2.0
//
// postern-dns: the filtering DNS forwarder. Started beside posternd, never by it.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/log.h"
#include "base/privileges.h"
#include "base/users.h"
#include "dnsproxy/check.h"
#include "dnsproxy/confine.h"
#include "dnsproxy/keeper.h"
#include "dnsproxy/kernel_maps.h"

namespace postern {
namespace {

struct Options {
  std::string socket = "/run/postern/dns.sock";
  std::string user = "nobody";
  std::string observer_user;
  std::string check;
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
  const auto user = own_user().uid == 0 ? find_user(options.user) : Result<User>(own_user());
  if (!user) {
    return fail(Error(user.error()).within("--user"));
  }
  const auto observer = options.observer_user.empty() ? user : find_user(options.observer_user);
  if (!observer) {
    return fail(Error(observer.error()).within("--observer-user"));
  }
  // Before anybody can connect: without bpf(2) every allowed name would be answered SERVFAIL.
  if (auto allowed = require_map_calls(); !allowed) {
    return fail(allowed.error());
  }
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
  if (auto dropped = drop_privileges(user->uid, user->gid); !dropped) {
    return fail(dropped.error());
  }
  Keeper keeper(**loop, std::move(*listener), {user->uid, observer->uid});
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
  app.add_option("--user", options.user, "User to become when started as root, by name or number")
      ->capture_default_str();
  app.add_option("--observer-user", options.observer_user,
                 "User that postern-observer runs as, by name or number (default: the same)");
  app.add_option("--check", options.check,
                 "Asks the postern-dns that runs, says nothing if all is well, and exits: live, it answers; ready, it "
                 "has its sockets too")
      ->check(CLI::IsMember({"live", "ready"}));
  app.add_option("--log-level", options.log_level, "debug, info, warn or error")->capture_default_str();
  app.add_flag("--log-json", options.log_json, "Log JSON lines");
  app.set_version_flag("--version", std::string("postern-dns ") + POSTERN_VERSION);
  CLI11_PARSE(app, argc, argv);
  if (!options.check.empty()) {
    if (const auto good = postern::check_keeper(options.socket, options.check == "ready"); !good) {
      std::fprintf(stderr, "postern-dns: %s\n", good.error().message().c_str());
      return 1;
    }
    return 0;
  }
  return postern::run(options);
}
