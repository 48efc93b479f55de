// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon.h"

#include <linux/bpf.h>
#include <net/if.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "agent/cluster.h"
#include "agent/commands.h"
#include "agent/datapath/capabilities.h"
#include "agent/datapath/gate.h"
#include "agent/feed_writer.h"
#include "agent/folder_watch.h"
#include "agent/gate_watch.h"
#include "agent/name_sweeper.h"
#include "agent/netlink/link_monitor.h"
#include "agent/node_addresses.h"
#include "agent/policy_files.h"
#include "base/bpf_calls.h"
#include "base/log.h"
#include "base/users.h"

namespace postern {
namespace {

/// How long a posternd that starts waits for postern-dns before it does without it.
constexpr std::uint64_t kDnsGreetingMs = 500;

/// Until the user is known nobody but root may observe.
uid_t uid_of(const std::string& name) {
  const auto user = find_user(name);
  if (!user) {
    spdlog::warn("--observer-user: {}; until then only root may observe", user.error().message());
  }
  return user ? user->uid : 0;
}

class Daemon {
 public:
  Daemon(EventLoop& loop, Config config, std::unique_ptr<ControlServer> server, std::unique_ptr<Gate> gate)
      : loop_(loop),
        config_(std::move(config)),
        server_(std::move(server)),
        gate_(std::move(gate)),
        dns_(loop, config_.dns_socket(), [this](const Steering& steering) { on_steering(steering); }),
        sandboxes_(*gate_, config_.sandboxes_file()),
        policies_(loop, *gate_, dns_, sandboxes_),
        node_addresses_(*gate_),
        sweeper_(loop, *gate_, sandboxes_),
        gate_watch_(loop, *gate_, sandboxes_),
        commands_({config_, *gate_, dns_, sandboxes_, policies_, *server_, gate_watch_}) {}

  /// @param first  the policies. Absent on a cluster: there they are loaded when the API server has told its own.
  Result<> start(std::optional<PolicySet> first) {
    policies_.listen(
        {.on_sandbox = [this](const Sandbox& sandbox) { server_->tell_observers(describe(sandbox)); },
         .on_sandbox_gone = [this](std::uint32_t id) { server_->tell_observers(observer_sandbox_gone(id)); },
         .on_policy =
             [this](const InstalledPolicy& policy) {
               server_->tell_observers(observer_policy(policy.id, *policy.image));
             },
         .on_policy_gone = [this](std::uint32_t id) { server_->tell_observers(observer_policy_gone(id)); }});
    POSTERN_RETURN_IF_ERROR(node_addresses_.refresh());
    POSTERN_RETURN_IF_ERROR(adopt());
    POSTERN_RETURN_IF_ERROR(join_cluster());
    POSTERN_RETURN_IF_ERROR(watch_links());
    POSTERN_RETURN_IF_ERROR(loop_.on_signals({SIGTERM, SIGINT, SIGHUP},
                                             [this](int signal) { signal == SIGHUP ? reload() : loop_.stop(); }));
    auto watch = FolderWatch::make(loop_, {config_.policies, config_.templates}, [this] { reload(); });
    if (!watch) {
      return std::move(watch).error();
    }
    folder_watch_ = std::move(*watch);
    sweeper_.start();
    gate_watch_.start();
    commands_.apply_with([this](PolicySet set, const auto& done) { apply(std::move(set), done); });
    if (cluster_) {
      POSTERN_RETURN_IF_ERROR(cluster_->start());
    }
    if (first) {
      commands_.apply(std::move(*first), [](const auto&) {});
    }
    server_->serve([this](const api::ControlRequest& request,
                          const ControlServer::Respond& respond) { commands_.handle(request, respond); },
                   [this](std::uint64_t observer) { greet_observer(observer); });
    return {};
  }

 private:
  Result<> adopt() {
    auto problems = sandboxes_.adopt();
    if (!problems) {
      return std::move(problems).error();
    }
    for (std::string& problem : *problems) {
      spdlog::warn("{}", problem);
      commands_.add_problem(std::move(problem));
    }
    for (const Sandbox* sandbox : sandboxes_.all()) {
      spdlog::info("sandbox {} behind {} is taken over", sandbox->id, sandbox->interface);
      if (auto attached = gate_->attach_sandbox(sandbox->ifindex); !attached) {
        return std::move(attached).error().within("attaching the gate to " + sandbox->interface);
      }
    }
    return sandboxes_.save();
  }

  Result<> join_cluster() {
    if (!config_.kubernetes.on) {
      return {};
    }
    auto cluster =
        Cluster::make({loop_, *gate_, sandboxes_, policies_, config_},
                      {.on_upstreams = [this](const std::vector<Endpoint>& upstreams) { feed_settings(upstreams); },
                       .on_sandbox = [this](const Sandbox& sandbox) { server_->tell_observers(describe(sandbox)); },
                       .on_objects = [this] { reload(); }});
    if (!cluster) {
      return std::move(cluster).error();
    }
    cluster_ = std::move(*cluster);
    commands_.set_cluster(*cluster_);
    policies_.select_with(
        [this](const PolicySet& set, const Sandbox& sandbox) { return cluster_->select(set, sandbox); });
    return {};
  }

  Result<> watch_links() {
    auto monitor =
        LinkMonitor::make(loop_, {.on_link =
                                      [this](const LinkInfo& link, BootNs seen) {
                                        if (cluster_) {
                                          cluster_->on_link(link, seen);
                                        }
                                      },
                                  .on_link_removed = [this](std::uint32_t ifindex) { on_link_removed(ifindex); },
                                  .on_address_change = [this] { refresh_addresses(); },
                                  .on_filter_removed = [this](std::uint32_t ifindex) { on_filter_removed(ifindex); },
                                  .on_overrun = [this] { on_overrun(); }});
    if (!monitor) {
      return std::move(monitor).error();
    }
    link_monitor_ = std::move(*monitor);
    return {};
  }

  void on_link_removed(std::uint32_t ifindex) {
    if (const Sandbox* sandbox = sandboxes_.find_ifindex(ifindex)) {
      spdlog::info("sandbox {}: its interface {} is gone", sandbox->id, sandbox->interface);
      policies_.detach(sandbox->id, true, [](const Result<>&) {});
    }
    if (cluster_) {
      cluster_->on_link_removed(ifindex);
    }
  }

  /// Before kernel 6.6 another agent can delete our filter with its qdisc.
  void on_filter_removed(std::uint32_t ifindex) {
    const Sandbox* sandbox = sandboxes_.find_ifindex(ifindex);
    if (sandbox == nullptr || gate_->attach_kind() == AttachKind::kTcx) {
      return;
    }
    if (auto attached = gate_->attach_sandbox(ifindex); attached) {
      spdlog::warn("sandbox {}: filters of {} were removed; the gate is attached again", sandbox->id,
                   sandbox->interface);
    } else {
      spdlog::error("sandbox {}: attaching the gate again: {}", sandbox->id, attached.error().message());
    }
  }

  void refresh_addresses() {
    if (auto refreshed = node_addresses_.refresh(); !refreshed) {
      spdlog::error("the node's addresses: {}", refreshed.error().message());
    }
  }

  /// The kernel could not tell us everything: look at all of it.
  void on_overrun() {
    refresh_addresses();
    for (const Sandbox* sandbox : sandboxes_.all()) {
      if (::if_nametoindex(sandbox->interface.c_str()) != sandbox->ifindex) {
        policies_.detach(sandbox->id, true, [](const Result<>&) {});
      }
    }
    if (cluster_) {
      cluster_->on_overrun();
    }
  }

  void on_steering(const Steering& steering) {
    if (auto attached = gate_->attach_steering(steering.node_ifindex); !attached) {
      spdlog::error("the steering link: {}", attached.error().message());
      return;
    }
    std::array<std::uint8_t, 6> mac{};
    std::copy(std::begin(steering.peer_mac), std::end(steering.peer_mac), mac.begin());
    if (auto set = gate_->set_steering(steering.node_ifindex, mac); !set) {
      spdlog::error("the steering link: {}", set.error().message());
    }
  }

  /// The first policies go in when postern-dns has answered, or is found to be away: workers of
  /// before a restart then hear of them in the right order. Until there are any postern-dns is told
  /// nothing, and goes on with those that it has.
  void apply(PolicySet set, const PolicyControl::OnChange& done) {
    if (greeted_) {
      policies_.apply(std::move(set), done);
      return;
    }
    const auto first = std::make_shared<PolicySet>(std::move(set));
    when_greeted_.emplace_back([this, first, done] { policies_.apply(std::move(*first), done); });
    if (!dns_.started()) {
      begin_feeding();
    }
  }

  void begin_feeding() {
    auto names = gate_->names().duplicate();
    if (names) {
      dns_.put(FeedKind::kNames, 0, "", {names->get()});
    }
    feed_settings(cluster_ ? cluster_->upstreams() : config_.upstreams);
    dns_.start(kDnsGreetingMs, [this] {
      greeted_ = true;
      for (const auto& operation : std::exchange(when_greeted_, {})) {
        operation();
      }
    });
  }

  /// Workers that were never told of an upstream answer SERVFAIL. When a cluster's are not known (the API server is
  /// away, and posternd has just started), workers of before go on with the last that they were told.
  void feed_settings(const std::vector<Endpoint>& upstreams) {
    if (cluster_ && upstreams.empty()) {
      return;
    }
    dns_.put(FeedKind::kSettings, 0, settings_feed(upstreams, config_.grant_s_min));
  }

  std::string describe(const Sandbox& sandbox) const {
    return observer_sandbox(sandbox, cluster_ ? cluster_->labels_of(sandbox) : nullptr);
  }

  void reload() {
    commands_.reload([](const Result<PolicyControl::Change>&) {});
  }

  void greet_observer(std::uint64_t observer) {
    const auto maps = gate_->observer_maps();
    if (!maps) {
      spdlog::error("the observer's maps: {}", maps.error().message());
      return;
    }
    std::vector<int> fds;
    for (const Fd& map : *maps) {
      fds.push_back(map.get());
    }
    server_->send_observer(observer, ControlMessage::kObserverMaps, "", fds);
    const auto tell = [&](const std::string& update) {
      server_->send_observer(observer, ControlMessage::kObserverUpdate, update);
    };
    utsname system{};
    ::uname(&system);
    tell(observer_node(system.nodename));
    for (const InstalledPolicy* policy : policies_.installed()) {
      tell(observer_policy(policy->id, *policy->image));
    }
    for (const Sandbox* sandbox : sandboxes_.all()) {
      tell(describe(*sandbox));
    }
  }

  EventLoop& loop_;
  Config config_;
  std::unique_ptr<ControlServer> server_;
  std::unique_ptr<Gate> gate_;
  DnsLink dns_;
  SandboxTable sandboxes_;
  PolicyControl policies_;
  NodeAddresses node_addresses_;
  NameSweeper sweeper_;
  GateWatch gate_watch_;
  Commands commands_;
  std::unique_ptr<Cluster> cluster_;  // null outside a cluster
  bool greeted_ = false;              // postern-dns has answered, or was found to be away
  std::vector<std::function<void()>> when_greeted_;
  std::unique_ptr<LinkMonitor> link_monitor_;
  std::unique_ptr<FolderWatch> folder_watch_;
};

}  // namespace

Result<> run_daemon(Config config, const std::string& observer_user) {
  auto loop = EventLoop::make();
  if (!loop) {
    return std::move(loop).error();
  }
  if (::mkdir(config.run_dir.c_str(), 0755) != 0 && errno != EEXIST) {
    return Error::from_errno("making " + config.run_dir, errno);
  }
  // The socket first: it is what keeps a second posternd from touching the first one's gate.
  auto server = ControlServer::make(**loop, config.control_socket(), uid_of(observer_user));
  if (!server) {
    return std::move(server).error();
  }
  POSTERN_RETURN_IF_ERROR(keep_only_gate_capabilities());
  if (auto allowed = require_bpf_calls({BPF_MAP_LOOKUP_ELEM}, "postern/agent.json"); !allowed) {
    return std::move(allowed).error().within("the gate cannot be loaded");
  }
  // Before the kernel is touched. Policies that cannot be read at start are fatal where a person attaches sandboxes:
  // there is no last good state to keep. On a cluster pods go on being made, and one in scope must not run open because
  // of it: what is attached goes on as it is, and new pods in scope are held until policies are told and can be read.
  std::optional<PolicySet> first;
  if (!config.kubernetes.on) {
    auto policies = load_policies(config.policies, config.templates, config.inventory());
    if (!policies) {
      return std::move(policies).error();
    }
    first = std::move(*policies);
  }
  auto gate = Gate::load(config.pin_dir);
  if (!gate) {
    return std::move(gate).error();
  }
  const std::string folder = config.policies;
  Daemon daemon(**loop, std::move(config), std::move(*server), std::move(*gate));
  POSTERN_RETURN_IF_ERROR(daemon.start(std::move(first)));
  spdlog::info("posternd {} is up; policies in {}", POSTERN_VERSION, folder);
  return (*loop)->run();
}

}  // namespace postern
