// SPDX-License-Identifier: Apache-2.0
//
// LabelSelector and PodSelector: which pods are meant (Kubernetes' metav1.LabelSelector).
//
// Plain data and one question. What a label's text may be is the readers' to check.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

using Labels = std::map<std::string, std::string>;

struct LabelRequirement {
  enum class Op { kIn, kNotIn, kExists, kDoesNotExist };
  std::string key;
  Op op = Op::kExists;
  std::vector<std::string> values;

  bool matches(const Labels& labels) const;
};

/// All of it must hold; an empty one holds for everything.
struct LabelSelector {
  Labels labels;
  std::vector<LabelRequirement> requirements;

  bool matches(const Labels& labels_of) const;
  bool empty() const { return labels.empty() && requirements.empty(); }
  std::string to_string() const;  ///< "app=x, tier in (a, b)"; "all" when empty.
};

/// A pod, as far as selectors can see it.
struct PodIdentity {
  std::string space;    ///< Its namespace.
  Labels space_labels;  ///< Of the namespace; kubernetes.io/metadata.name is always taken as there.
  Labels labels;

  friend bool operator==(const PodIdentity&, const PodIdentity&) = default;
};

/// Pods of namespaces.
struct PodSelector {
  std::optional<std::string> space;     ///< Only of this namespace; of none if empty.
  std::optional<LabelSelector> spaces;  ///< Only of namespaces with these labels.
  LabelSelector pods;

  bool matches(const PodIdentity& pod) const;
  std::string to_string() const;
};

/// The label by which a namespace's name can be selected; every namespace has it.
inline constexpr std::string_view kNamespaceNameLabel = "kubernetes.io/metadata.name";

}  // namespace postern
