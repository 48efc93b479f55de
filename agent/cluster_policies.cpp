// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster_policies.h"

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "api/control.pb.h"
#include "base/log.h"
#include "base/text_files.h"

namespace postern {
namespace {

constexpr std::size_t kRecordMax = 64u << 20;  // of policy objects

std::vector<const PolicyResource*> resources_of(const std::vector<std::string>& names) {
  std::vector<const PolicyResource*> resources;
  std::ranges::transform(names, std::back_inserter(resources), find_policy_resource);
  return resources;
}

}  // namespace

ClusterPolicies::ClusterPolicies(Parts parts, Listener listener)
    : parts_(std::move(parts)),
      listener_(std::move(listener)),
      policy_watch_(
          parts_.loop,
          parts_.client,
          resources_of(parts_.config.kubernetes.kinds),
          {.on_object = [this](const PolicyResource& resource,
                               const PolicyObject& object) { load_later(objects_.put(resource, object)); },
           .on_gone = [this](const PolicyResource&, const std::string& uid) { load_later(objects_.remove(uid)); },
           .on_state = [this] { on_objects_state(); }}),
      object_status_(parts_.loop, parts_.client, objects_, parts_.node),
      inventory_watch_(parts_.loop, parts_.client, [this] { on_inventory(); }) {}

ClusterPolicies::~ClusterPolicies() {
  parts_.loop.cancel(load_timer_);
  parts_.loop.cancel(refusal_timer_);
}

void ClusterPolicies::start() {
  restore_objects();
  policy_watch_.start();
  on_objects_state();
  if (restored_ && !objects_known_) {
    listener_.on_load();
  }
}

std::string ClusterPolicies::trouble() const {
  const std::string about_policies = policy_watch_.trouble();
  return about_policies.empty() ? inventory_watch_.trouble() : about_policies;
}

Errc ClusterPolicies::trouble_code() const {
  return policy_watch_.trouble().empty() ? inventory_watch_.trouble_code() : policy_watch_.trouble_code();
}

void ClusterPolicies::describe(api::ClusterStatus& status) const {
  status.set_policies_known(objects_known_);
  for (const std::string& kind : policy_watch_.kinds()) {
    status.add_kinds(kind);
  }
  for (const std::string& kind : policy_watch_.absent()) {
    status.add_kinds_absent(kind);
  }
}

// ---- policy objects ----

void ClusterPolicies::on_objects_state() {
  if (!objects_known_ && policy_watch_.known()) {
    objects_known_ = true;
    objects_.forget_untold();
    load_later(true);
  }
  listener_.on_trouble();
}

void ClusterPolicies::load_later(bool changed, std::uint64_t after_ms) {
  if (changed && objects_known_ && load_timer_ == 0) {
    load_timer_ = parts_.loop.after_ms(after_ms, [this] {
      load_timer_ = 0;
      listener_.on_load();
    });
  }
}

// ---- what policies speak of ----

void ClusterPolicies::on_namespaces() {
  if (inventory_watch_.started()) {
    on_inventory();  // their labels are a part of it
  }
}

void ClusterPolicies::on_inventory() {
  const bool told_now = !inventory_.whole && inventory_watch_.known();
  inventory_stale_ = true;
  if (inventory_trouble_ != inventory_watch_.trouble()) {
    inventory_trouble_ = inventory_watch_.trouble();
    note_refusal();
    listener_.on_trouble();
  }
  if (!waits_for_inventory()) {
    load_later(objects_.need_inventory(), told_now ? kGatherMs : kInventoryGatherMs);
  }
}

const Inventory& ClusterPolicies::inventory() {
  if (inventory_stale_) {
    inventory_ = inventory_watch_.inventory(parts_.watch.namespaces(), parts_.node, parts_.config.kubernetes.pod_cidrs);
    inventory_stale_ = false;
  }
  return inventory_;
}

bool ClusterPolicies::waits_for_inventory() const {
  const bool refused =
      inventory_refused_since_ != BootNs() && (SystemClock().now() - inventory_refused_since_) / kNsPerMs >= kRefusalMs;
  return objects_.need_inventory() && !inventory_watch_.known() && !refused;
}

void ClusterPolicies::note_refusal() {
  const bool refused = inventory_trouble_.find("HTTP 403") != std::string::npos;
  if (!refused) {
    inventory_refused_since_ = {};
  } else if (inventory_refused_since_ == BootNs()) {
    inventory_refused_since_ = SystemClock().now();
    parts_.loop.cancel(refusal_timer_);
    refusal_timer_ = parts_.loop.after_ms(kRefusalMs, [this] {
      refusal_timer_ = 0;
      on_inventory();
    });
  }
}

void ClusterPolicies::ask_for_inventory() {
  if (objects_.need_inventory() && !inventory_watch_.started()) {
    spdlog::info("a policy speaks of pods, nodes or Services: the API server is asked for those of the whole cluster");
    inventory_watch_.start();
  }
}

void ClusterPolicies::restore_objects() {
  if (const auto record = read_text_file(parts_.config.policy_objects_file(), kRecordMax)) {
    objects_.restore(*record);
    restored_ = true;
  }
}

void ClusterPolicies::save_objects() {
  if (recorded_ && !objects_.record_changed()) {
    return;
  }
  recorded_ = true;
  const std::string record = objects_.record();
  auto saved = record.size() <= kRecordMax ? replace_text_file(parts_.config.policy_objects_file(), record)
                                           : Result<>(Error(Errc::kFull, "it is larger than 64 MiB"));
  if (!saved) {
    static_cast<void>(std::remove(parts_.config.policy_objects_file().c_str()));  // an old one would be believed
    spdlog::warn("the record of policy objects, for a start while the API server is away: {}", saved.error().message());
  }
}

void ClusterPolicies::in_force() {
  judge_objects();
  save_objects();
}

/// Tells the authors, and the operator in one line.
void ClusterPolicies::judge_objects() {
  constexpr std::size_t kNamedMax = 3;
  const auto verdicts = objects_.verdicts();
  object_status_.tell(verdicts);
  std::string refused;
  std::size_t count = 0;
  for (const PolicyObjects::Verdict& verdict : verdicts) {
    if (!verdict.problem.empty() && ++count <= kNamedMax) {
      refused += (refused.empty() ? "" : "; ") + verdict.problem.substr(0, verdict.problem.find('\n')) +
                 (verdict.former_stays ? " (as it was before it stays in force)" : "");
    }
  }
  if (count > kNamedMax) {
    refused += "; and " + std::to_string(count - kNamedMax) + " more";
  }
  parts_.conditions.set("PolicyObjectsRefused", "Invalid", refused);
}

}  // namespace postern
