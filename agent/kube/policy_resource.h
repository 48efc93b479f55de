// SPDX-License-Identifier: Apache-2.0
//
// The kinds of policy objects that an API server can hold for us: where they are and what they are called.
// Source: each project's CustomResourceDefinitions; networking.k8s.io's API reference.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "agent/kube/objects.h"

namespace postern {

struct PolicyResource {
  std::string_view name;  ///< What `kinds:` calls it: its kind, with the group where several groups have that kind.
  std::string_view kind;
  std::string_view group;
  std::string_view version;
  std::string_view plural;
  bool native = false;  ///< Postern's own: read unless configured otherwise, and we write its status.

  std::string api_version() const { return std::string(group) + "/" + std::string(version); }
  /// Of the objects of all namespaces: "/apis/GROUP/VERSION/PLURAL".
  std::string path() const { return "/apis/" + api_version() + "/" + std::string(plural); }
  /// Of one object.
  std::string path_of(const PolicyObject& object) const;
  /// What a person knows it by: "EgressPolicy shop/web".
  std::string title_of(const PolicyObject& object) const;
  /// What the policy readers read: the text of a PolicyObject with its kind and version.
  std::string text_of(std::string_view text) const;
};

std::span<const PolicyResource> policy_resources();
/// Null: there is none of that name.
const PolicyResource* find_policy_resource(std::string_view name);

}  // namespace postern
