// SPDX-License-Identifier: Apache-2.0
//
// PolicySet: the policies of several files, read and compiled together.
//
// posternd and `postern policy check` both build one, so that they judge alike. Text in, images
// out; whoever calls has read the files.
//
// A policy key says which image a sandbox is under: Policy::key() of one policy; several of those with
// "+" between them, sorted, for all of them together; empty for none at all.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policies/allowlist_template.h"
#include "policies/image.h"
#include "policies/policy_cache.h"

namespace postern {

/// A compiled policy and where its object begins.
struct LoadedPolicy {
  std::shared_ptr<const PolicyImage> image;  ///< Null if its file, or one before it, has errors.
  Place place;
  std::shared_ptr<const Policy> model;
  /// Denies everything in place of an object that was refused: for pods that no other policy closes.
  bool stand_in = false;
};

class PolicySet {
 public:
  std::map<std::string, LoadedPolicy> policies;  ///< By key of one policy.
  std::vector<std::string> warnings;             ///< A line each, with file and line.
  Inventory inventory;                           ///< What they are compiled against.
  /// Policies that do not go together cut off the sandboxes that they select together, instead of refusing the whole
  /// set: where tenants write policies, one of them must not keep those of others from being changed.
  bool clashes_alone = false;
  /// What compiles them. Given on from one set to the next, it compiles only what changed.
  std::shared_ptr<PolicyCache> cache = std::make_shared<PolicyCache>();

  /// The key of what a person names: a key, or a bare name that one policy has.
  /// @return not found; invalid: several policies have this name, with what to write instead.
  Result<std::string> key_of(std::string_view named) const;

  /// The key for a pod: all policies that select it, "+" between them. Empty: none does. An
  /// EgressPolicy without a namespace or a selector selects no pod. Stand-ins count where no policy that denies by
  /// default selects the pod: there it would be open because of a mistake.
  std::string select(const PodIdentity& pod) const;

  /// Is every policy of this key here?
  bool has(std::string_view key) const;

  /// The image of a key that is here, compiled when it is a union. @return not found: a policy of it
  /// is gone; invalid: policies that are right one by one do not go together.
  Result<std::shared_ptr<const PolicyImage>> image_of(const std::string& key) const;
};

/// What takes the place of a policy object that was refused: for the same pods, and nothing is allowed.
Policy stand_in_for(const Policy& refused);

/// Adds one policy, compiled unless *diagnostics has errors by then. A name that is there already in its
/// namespace is an error.
void add_policy(PolicyModel policy, PolicySet& set, Diagnostics& diagnostics);

/// Adds every policy of a file, of any kind, as add_policy does.
void add_policies(std::string_view text,
                  const std::string& file,
                  const TemplateSet& templates,
                  PolicySet& set,
                  Diagnostics& diagnostics);

}  // namespace postern
