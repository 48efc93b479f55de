// SPDX-License-Identifier: Apache-2.0
#include "policies/policy_set.h"

#include <algorithm>
#include <set>

#include "base/log.h"

namespace postern {
namespace {

void report_twice(
    std::string_view what, const std::string& name, const Place& place, const Place& first, Diagnostics& diagnostics) {
  diagnostics.error(
      place, "metadata.name",
      std::string(what) + " " + name + " exists already, at " + first.to_string() + ": rename or remove one");
}

constexpr char kJoin = '+';

std::vector<std::string> parts_of(std::string_view key) {
  std::vector<std::string> parts;
  while (!key.empty()) {
    const std::size_t end = std::min(key.find(kJoin), key.size());
    parts.emplace_back(key.substr(0, end));
    key.remove_prefix(std::min(end + 1, key.size()));
  }
  return parts;
}

}  // namespace

Result<std::string> PolicySet::key_of(std::string_view named) const {
  std::string key(named);
  if (policies.contains(key)) {
    return key;
  }
  std::vector<std::string> same_name;
  for (const auto& [other, policy] : policies) {
    if (policy.model->name == named) {
      same_name.push_back(other);
    }
  }
  if (same_name.empty()) {
    return Error(Errc::kNotFound,
                 "there is no policy \"" + printable(named) + "\": `postern status` lists those there are");
  }
  if (same_name.size() > 1) {
    return Error(Errc::kInvalid,
                 "several policies are named " + key + ": write " + same_name[0] + " or " + same_name[1]);
  }
  return same_name.front();
}

std::string PolicySet::select(const PodIdentity& pod) const {
  std::set<std::string_view> parts;
  std::set<std::string_view> stand_ins;
  bool closed = false;
  for (const auto& [one, policy] : policies) {
    if (policy.model->selects(pod)) {
      (policy.stand_in ? stand_ins : parts).insert(one);
      closed = closed || (!policy.stand_in && policy.model->denies_by_default);
    }
  }
  if (!closed) {
    parts.merge(stand_ins);
  }
  std::string key;
  for (const std::string_view part : parts) {
    key += (key.empty() ? "" : std::string(1, kJoin)) + std::string(part);
  }
  return key;
}

bool PolicySet::has(std::string_view key) const {
  return !key.empty() &&
         std::ranges::all_of(parts_of(key), [&](const std::string& part) { return policies.contains(part); });
}

Result<std::shared_ptr<const PolicyImage>> PolicySet::image_of(const std::string& key) const {
  if (!has(key)) {
    return Error(Errc::kNotFound, "there is no policy " + key);
  }
  if (const auto found = policies.find(key); found != policies.end()) {
    return found->second.image;
  }
  std::vector<PolicyModel> models;
  for (const std::string& part : parts_of(key)) {
    models.push_back(policies.at(part).model);
  }
  Diagnostics diagnostics;
  auto image = cache->compile(models, inventory, diagnostics);
  if (image == nullptr) {
    return diagnostics.to_error().within("the policies " + key + " together");
  }
  return image;
}

Policy stand_in_for(const Policy& refused) {
  Policy policy;
  policy.kind = refused.kind;
  policy.group = refused.group;
  policy.name = refused.name;
  policy.space = refused.space;
  policy.place = refused.place;
  policy.family = refused.family;
  policy.subject = refused.subject;
  policy.inbound = InboundRules();
  return policy;
}

void add_policy(PolicyModel policy, PolicySet& set, Diagnostics& diagnostics) {
  const std::string key = policy->key();
  if (const auto found = set.policies.find(key); found != set.policies.end()) {
    report_twice("policy", key, policy->place, found->second.place, diagnostics);
    return;
  }
  // With errors in it the policy is not whole; its own problems are reported first.
  auto image = diagnostics.failed() ? nullptr : set.cache->compile({policy}, set.inventory, diagnostics);
  set.policies[key] = {std::move(image), policy->place, policy, false};
}

void add_policies(std::string_view text,
                  const std::string& file,
                  const TemplateSet& templates,
                  PolicySet& set,
                  Diagnostics& diagnostics) {
  for (PolicyModel& policy : set.cache->read(text, file, templates, diagnostics)) {
    add_policy(std::move(policy), set, diagnostics);
  }
}

}  // namespace postern
