// SPDX-License-Identifier: Apache-2.0
//
// Commands: what posternd does when the command line asks. Each request becomes one reply.
// Thread: posternd's loop.
#pragma once

#include <string>
#include <vector>

#include "agent/cluster.h"
#include "agent/config.h"
#include "agent/control_server.h"
#include "agent/gate_watch.h"
#include "agent/policy_control.h"

namespace postern {

class Commands {
 public:
  struct Parts {
    const Config& config;
    Gate& gate;
    DnsLink& dns;
    SandboxTable& sandboxes;
    PolicyControl& policies;
    const ControlServer& server;
    const GateWatch& gate_watch;
  };

  explicit Commands(Parts parts);

  /// From now on it is part of `status`, and hears of refused policies.
  void set_cluster(Cluster& cluster) { cluster_ = &cluster; }

  void handle(const api::ControlRequest& request, const ControlServer::Respond& respond);

  using Apply = std::function<void(PolicySet, const PolicyControl::OnChange&)>;
  /// How policies are put in force.
  void apply_with(Apply apply) { apply_ = std::move(apply); }
  /// Puts policies in force, or refuses those that could not be read. The outcome goes to the log, to `status`, to the
  /// cluster, and to `done`.
  void apply(Result<PolicySet> set, const PolicyControl::OnChange& done);
  /// Loads the policy files and the cluster's objects and applies them. The outcome goes to the log, to `status`, and
  /// to `done`: again, while the API server has not told its policies.
  void reload(const PolicyControl::OnChange& done);
  /// Something that stays wrong until a person mends it; shown by `status`.
  void add_problem(std::string problem) { problems_.push_back(std::move(problem)); }

 private:
  bool waits_for_objects() const { return cluster_ != nullptr && !cluster_->policies().can_load(); }
  void on_change(const Result<PolicyControl::Change>& change, bool of_all);
  void status(const ControlServer::Respond& respond);
  void list(const ControlServer::Respond& respond);
  void attach(const api::SandboxAttachRequest& request, const ControlServer::Respond& respond);
  void detach(const api::SandboxDetachRequest& request, const ControlServer::Respond& respond);
  void set_mode(const api::SandboxModeRequest& request, const ControlServer::Respond& respond);
  void explain(const api::ExplainRequest& request, const ControlServer::Respond& respond);
  api::SandboxReply describe(const Sandbox& sandbox);
  Error no_such_sandbox(const std::string& name) const;

  Parts parts_;
  Apply apply_;
  std::shared_ptr<PolicyCache> cache_ = std::make_shared<PolicyCache>();  // from one load to the next
  Cluster* cluster_ = nullptr;                                            // null outside a cluster
  BootNs started_;
  std::uint64_t last_change_unix_s_ = 0;
  std::string reload_problem_;
  std::vector<std::string> problems_;
};

}  // namespace postern
