// SPDX-License-Identifier: Apache-2.0
//
// postern-observer: the flow log. Started beside posternd and postern-dns; each lives without it.
#include <linux/bpf.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <random>

#include "agent/observer/api_server.h"
#include "agent/observer/event_ring.h"
#include "agent/observer/links.h"
#include "api/control.h"
#include "base/bpf_calls.h"
#include "base/log.h"
#include "base/privileges.h"
#include "base/users.h"

namespace postern {
namespace {

constexpr mode_t kSocketMode = 0660;
constexpr std::uint64_t kTickMs = 1000;

struct Options {
  std::string control = "/run/postern/control.sock";
  std::string dns = "/run/postern/dns.sock";
  std::string listen = "/run/postern/observer.sock";
  std::string user = "nobody";
  std::string node_name;
  std::size_t flows = FlowStore::kFlowsDefault;
  std::string log_level = "info";
  bool log_json = false;
};

int fail(const Error& error) {
  spdlog::error("{}", error.message());
  return 1;
}

FlowHubOptions hub_options(const Options& options) {
  utsname system{};
  ::uname(&system);
  std::random_device random;
  const std::uint64_t seed = std::uint64_t{random()} << 32 | random();
  return {options.flows, printable(options.node_name), printable(system.nodename), seed};
}

/// What is on the loop: the hub with its sources on one side and the API on the other.
class Observer {
 public:
  Observer(EventLoop& loop, const Options& options)
      : loop_(loop),
        hub_(hub_options(options), names_),
        agent_(loop,
               options.control,
               {.on_maps = [this](std::vector<Fd> maps) { take_maps(std::move(maps)); },
                .on_update = [this](const api::ObserverUpdate& update) { hub_.directory().apply(update); }}),
        dns_(loop,
             options.dns,
             {.on_connected = [this](bool connected) { hub_.set_dns_connected(connected); },
              .on_event = [this](const egress_dns_event& event) { hub_.on_dns(event, boot_to_unix_ns()); }}) {}

  FlowHub& hub() { return hub_; }

  void start() {
    agent_.start();
    dns_.start();
    tick();
  }

 private:
  void take_maps(std::vector<Fd> maps) {
    hub_.directory().begin();
    names_.set(std::move(maps[static_cast<std::size_t>(ObserverMap::kNames)]));
    ring_.reset();  // before its successor: one consumer at a time
    auto ring = EventRing::make(loop_, std::move(maps[static_cast<std::size_t>(ObserverMap::kEvents)]),
                                [this](const egress_event& event) { hub_.on_packet(event, boot_to_unix_ns()); });
    if (!ring) {
      spdlog::error("packets are not seen: {}", ring.error().message());
      return;
    }
    ring_ = std::move(*ring);
  }

  void tick() {
    hub_.tick(static_cast<std::int64_t>(clock_ns(CLOCK_REALTIME)));
    loop_.after_ms(kTickMs, [this] { tick(); });
  }

  EventLoop& loop_;
  KernelNames names_;
  FlowHub hub_;
  std::unique_ptr<EventRing> ring_;
  AgentLink agent_;
  DnsEventLink dns_;
};

Result<> become(const std::string& name) {
  const auto user = own_user().uid == 0 ? find_user(name) : Result<User>(own_user());
  return user ? drop_privileges(user->uid, user->gid) : Result<>(Error(user.error()).within("--user"));
}

int run(const Options& options) {
  if (auto logging =
          start_log("postern-observer", options.log_level, options.log_json ? LogFormat::kJson : LogFormat::kText);
      !logging) {
    return fail(logging.error());
  }
  if (auto allowed = require_bpf_calls({BPF_MAP_LOOKUP_ELEM}, "postern/observer.json"); !allowed) {
    return fail(std::move(allowed).error().within("names of flows cannot be read"));
  }
  auto loop = EventLoop::make();
  if (!loop) {
    return fail(loop.error());
  }
  auto listener = listen_stream(options.listen, kSocketMode);
  if (!listener) {
    const bool live = listener.error().code() == Errc::kExists;
    return fail(std::move(listener).error().within(
        live ? "another postern-observer runs: stop it first, or give this one its own --listen"
             : "opening the API's socket (does its folder exist?)"));
  }
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  // Both before gRPC's threads exist: they inherit what this thread gave up and which signals it blocks.
  if (auto dropped = become(options.user); !dropped) {
    return fail(dropped.error());
  }
  EventLoop& running = **loop;
  if (auto signals = running.on_signals({SIGTERM, SIGINT}, [&running](int) { running.stop(); }); !signals) {
    return fail(signals.error());
  }
  Observer observer(running, options);
  auto server = ApiServer::make(running, std::move(*listener), observer.hub(), options.flows);
  if (!server) {
    return fail(server.error());
  }
  spdlog::info("postern-observer {} serves Hubble's API on {}", POSTERN_VERSION, options.listen);
  observer.start();
  if (auto ran = running.run(); !ran) {
    return fail(ran.error());
  }
  spdlog::info("stopping; {} events were lost since the start", observer.hub().lost());
  return 0;
}

}  // namespace
}  // namespace postern

int main(int argc, char** argv) {
  postern::Options options;
  CLI::App app{
      "postern-observer keeps the last flows of this node's sandboxes (what they tried, what was blocked and why) and\n"
      "serves them as Hubble's Observer API. It waits for posternd and postern-dns; they do not wait for it."};
  app.add_option("--control", options.control, "posternd's socket")->capture_default_str();
  app.add_option("--dns-socket", options.dns, "postern-dns' socket")->capture_default_str();
  app.add_option("--listen", options.listen, "Unix socket to serve on; root and its group may connect")
      ->capture_default_str();
  app.add_option("--flows", options.flows, "Flows to keep; older ones go")
      ->check(CLI::Range(std::size_t{1}, postern::FlowStore::kFlowsMax))
      ->capture_default_str();
  app.add_option("--node-name", options.node_name, "Node name in flows (default: the one posternd knows)");
  app.add_option("--user", options.user, "User to become when started as root, by name or number")
      ->capture_default_str();
  app.add_option("--log-level", options.log_level, "debug, info, warn or error")->capture_default_str();
  app.add_flag("--log-json", options.log_json, "Log JSON lines");
  app.set_version_flag("--version", std::string("postern-observer ") + POSTERN_VERSION);
  app.footer(
      "See what was blocked: `postern observe --blocked`, or `hubble observe --server "
      "unix:///run/postern/observer.sock`.");
  CLI11_PARSE(app, argc, argv);
  return postern::run(options);
}
