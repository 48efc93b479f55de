// SPDX-License-Identifier: Apache-2.0
#include "policies/selector.h"

#include <algorithm>

namespace postern {

bool LabelRequirement::matches(const Labels& labels) const {
  const auto found = labels.find(key);
  const bool there = found != labels.end();
  const bool listed = there && std::ranges::find(values, found->second) != values.end();
  switch (op) {
    case Op::kIn:
      return listed;
    case Op::kNotIn:
      return !listed;  // also without the label, as Kubernetes has it
    case Op::kExists:
      return there;
    case Op::kDoesNotExist:
      return !there;
  }
  return false;
}

bool LabelSelector::matches(const Labels& labels_of) const {
  const bool all = std::ranges::all_of(labels, [&](const auto& wanted) {
    const auto found = labels_of.find(wanted.first);
    return found != labels_of.end() && found->second == wanted.second;
  });
  return all &&
         std::ranges::all_of(requirements, [&](const LabelRequirement& each) { return each.matches(labels_of); });
}

std::string LabelSelector::to_string() const {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  for (const auto& [key, value] : labels) {
    add(key + "=" + value);
  }
  for (const LabelRequirement& each : requirements) {
    if (each.op == LabelRequirement::Op::kExists || each.op == LabelRequirement::Op::kDoesNotExist) {
      add((each.op == LabelRequirement::Op::kExists ? "" : "!") + each.key);
      continue;
    }
    std::string values;
    for (const std::string& value : each.values) {
      values += (values.empty() ? "" : ", ") + value;
    }
    add(each.key + (each.op == LabelRequirement::Op::kIn ? " in (" : " notin (") + values + ")");
  }
  return text.empty() ? "all" : text;
}

bool PodSelector::matches(const PodIdentity& pod) const {
  if (space && (space->empty() || *space != pod.space)) {
    return false;
  }
  if (spaces) {
    // A namespace's own name is always among its labels, whatever the API server said of it.
    Labels labels = pod.space_labels;
    labels[std::string(kNamespaceNameLabel)] = pod.space;
    if (!spaces->matches(labels)) {
      return false;
    }
  }
  return pods.matches(pod.labels);
}

std::string PodSelector::to_string() const {
  std::string text = "pods " + pods.to_string();
  if (space) {
    text += " of namespace " + *space;
  }
  if (spaces) {
    text += " of namespaces " + spaces->to_string();
  }
  return text;
}

}  // namespace postern
