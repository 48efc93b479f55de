// SPDX-License-Identifier: Apache-2.0
//
// kube_watch: a ClusterWatch alone, for tests/e2e/kube_watch_test.py. Prints what it is told as JSON lines.
//
// Also prints how long its loop was ever kept from a timer that is due every kTickMs: nothing about the
// API server may block it. Reads commands from standard input, a JSON object a line: {"event": {...}}
// posts a core/v1 Event, {"forget_gap": true} begins that measurement again. Ends at SIGTERM or at the end of its
// input, with the counters.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "agent/kube/cluster_watch.h"
#include "agent/kube/line_splitter.h"
#include "base/log.h"

namespace postern {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kTickMs = 10;
constexpr std::size_t kCommandMax = 64u << 10;

struct Options {
  std::string kubeconfig;
  std::string host;
  std::string port;
  std::string folder;
  std::string node = "node-1";
  std::size_t body_max = ApiClient::kBodyMax;
};

void say(const Json& line) {
  std::printf("%s\n", line.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
  std::fflush(stdout);
}

int fail(const Error& error) {
  say({{"what", "failed"}, {"text", error.message()}});
  return 1;
}

class Probe {
 public:
  Probe(EventLoop& loop, ApiClient& client, const Options& options)
      : loop_(loop),
        client_(client),
        node_(options.node),
        commands_(kCommandMax),
        watch_(loop, client, node_, callbacks()) {}

  Result<> run() {
    POSTERN_RETURN_IF_ERROR(loop_.on_signals({SIGTERM, SIGINT}, [this](int) { loop_.stop(); }));
    POSTERN_RETURN_IF_ERROR(loop_.watch(STDIN_FILENO, EPOLLIN, [this](std::uint32_t) { on_input(); }));
    ticked_ = clock_.now();
    tick();
    watch_.start();
    say({{"what", "started"}});
    POSTERN_RETURN_IF_ERROR(loop_.run());
    const auto counters = watch_.counters();
    say({{"what", "end"},
         {"lists", counters.lists},
         {"relists", counters.relists},
         {"reconnects", counters.reconnects},
         {"failures", counters.failures},
         {"events", counters.events},
         {"unreadable", counters.unreadable},
         {"pods", watch_.pods().size()},
         {"namespaces", watch_.namespaces().size()},
         {"synced", watch_.synced()},
         {"trouble", watch_.trouble()},
         {"longest_gap_ms", longest_gap_ms_}});
    return {};
  }

 private:
  static ClusterWatch::Callbacks callbacks() {
    ClusterWatch::Callbacks made;
    made.on_pod = [](const PodInfo& pod) {
      Json addresses = Json::array();
      for (const Address& address : pod.addresses) {
        addresses.push_back(address.to_string());
      }
      say({{"what", "pod"},
           {"uid", pod.uid},
           {"space", pod.space},
           {"name", pod.name},
           {"labels", pod.labels},
           {"addresses", addresses},
           {"host_network", pod.host_network},
           {"finished", pod.finished},
           {"deleting", pod.deleting},
           {"dns_policy", pod.dns_policy},
           {"searches", pod.searches}});
    };
    made.on_pod_gone = [](const std::string& uid) { say({{"what", "pod_gone"}, {"uid", uid}}); };
    made.on_namespace = [](const NamespaceInfo& space) {
      say({{"what", "namespace"}, {"name", space.name}, {"labels", space.labels}});
    };
    made.on_namespace_gone = [](const std::string& name) { say({{"what", "namespace_gone"}, {"name", name}}); };
    made.on_synced = [] { say({{"what", "synced"}}); };
    made.on_trouble = [](const Error& error) { say({{"what", "trouble"}, {"text", error.message()}}); };
    made.on_recovered = [] { say({{"what", "recovered"}}); };
    return made;
  }

  void tick() {
    const BootNs now = clock_.now();
    longest_gap_ms_ = std::max(longest_gap_ms_, (now - ticked_) / kNsPerMs);
    ticked_ = now;
    loop_.after_ms(kTickMs, [this] { tick(); });
  }

  void on_input() {
    std::array<char, 4096> bytes;
    const ssize_t got = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (got <= 0) {
      loop_.stop();
      return;
    }
    commands_.feed({bytes.data(), static_cast<std::size_t>(got)}, [this](std::string_view line) {
      on_command(Json::parse(line, nullptr, false));
      return true;
    });
  }

  void on_command(const Json& command) {
    if (command.is_object() && command.contains("forget_gap")) {
      longest_gap_ms_ = 0;
      return;
    }
    if (!command.is_object() || !command.contains("event")) {
      say({{"what", "not a command"}});
      return;
    }
    const Json& wanted = command["event"];
    EventNote note;
    note.kind = wanted.value("kind", "");
    note.api_version = "v1";
    note.space = wanted.value("space", "");
    note.name = wanted.value("name", "");
    note.reason = wanted.value("reason", "");
    note.message = wanted.value("message", "");
    client_.post_event(note, node_, [](const ApiReply& reply) {
      say({{"what", "posted"}, {"status", reply.status}, {"text", reply.ok() ? "" : reply.error->message()}});
    });
  }

  EventLoop& loop_;
  ApiClient& client_;
  SystemClock clock_;
  std::string node_;
  LineSplitter commands_;
  ClusterWatch watch_;
  BootNs ticked_;
  std::uint64_t longest_gap_ms_ = 0;
};

int run(const Options& options) {
  if (auto logging = start_log("kube_watch", "debug", LogFormat::kText); !logging) {
    return fail(logging.error());
  }
  auto config = options.folder.empty() ? find_kube_config(options.kubeconfig)
                                       : in_cluster_config(options.host, options.port, options.folder);
  if (!config) {
    return fail(config.error());
  }
  auto loop = EventLoop::make();
  if (!loop) {
    return fail(loop.error());
  }
  auto client = ApiClient::make(**loop, std::move(config).value(), options.body_max);
  if (!client) {
    return fail(client.error());
  }
  Probe probe(**loop, **client, options);
  if (auto ran = probe.run(); !ran) {
    return fail(ran.error());
  }
  return 0;
}

}  // namespace
}  // namespace postern

int main(int argc, char** argv) {
  postern::Options options;
  CLI::App app{"Watches this node's pods and the namespaces, and prints what changes as JSON lines."};
  app.add_option("--kubeconfig", options.kubeconfig, "A kubeconfig file");
  app.add_option("--host", options.host, "KUBERNETES_SERVICE_HOST");
  app.add_option("--port", options.port, "KUBERNETES_SERVICE_PORT");
  app.add_option("--folder", options.folder, "The service account's folder");
  app.add_option("--node", options.node, "Whose pods")->capture_default_str();
  app.add_option("--body-max", options.body_max, "Bytes of one answer")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return postern::run(options);
}
