// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster_config.h"

#include <algorithm>

#include "agent/kube/policy_resource.h"
#include "base/log.h"

namespace postern {
namespace {

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_any_case_alphanumeric(char c) { return is_alphanumeric(c) || (c >= 'A' && c <= 'Z'); }

/// A namespace's or label prefix's form (RFC 1123): what the API server would take.
bool is_dns_label(std::string_view text) {
  return !text.empty() && text.size() <= 63 && is_alphanumeric(text.front()) && is_alphanumeric(text.back()) &&
         std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '-'; });
}

bool is_label_name(std::string_view text) {
  return !text.empty() && text.size() <= 63 && is_any_case_alphanumeric(text.front()) &&
         is_any_case_alphanumeric(text.back()) && std::ranges::all_of(text, [](char c) {
           return is_any_case_alphanumeric(c) || c == '-' || c == '_' || c == '.';
         });
}

bool is_label_key(std::string_view key) {
  const std::size_t slash = key.find('/');
  if (slash == std::string_view::npos) {
    return is_label_name(key);
  }
  return slash > 0 && slash <= 253 && is_label_name(key.substr(slash + 1)) &&
         std::ranges::all_of(key.substr(0, slash), [](char c) { return is_alphanumeric(c) || c == '-' || c == '.'; });
}

void read_namespaces(const YamlField& field, std::set<std::string>& namespaces) {
  if (!field.present()) {
    return;
  }
  const auto items = field.items();
  if (items.size() > kNamespacesListedMax) {
    field.error("has more than " + std::to_string(kNamespacesListedMax) + " namespaces: label them instead");
    return;
  }
  for (const YamlField& item : items) {
    const std::string name = item.text();
    if (is_dns_label(name)) {
      namespaces.insert(name);
    } else if (item.type() == YamlField::Type::kScalar) {
      item.error("\"" + printable(name) +
                 "\" is not the name of a namespace: write it in full, lower case; there are no wildcards here");
    }
  }
}

void read_pod_cidrs(const YamlField& field, std::vector<Prefix>& cidrs) {
  if (!field.present()) {
    return;
  }
  const auto items = field.items();
  if (items.size() > kPodCidrsMax) {
    field.error("has more than " + std::to_string(kPodCidrsMax) + " prefixes: write the ranges they are parts of");
    return;
  }
  for (const YamlField& item : items) {
    auto prefix = Prefix::parse(item.text());
    if (prefix) {
      cidrs.push_back(*prefix);
    } else {
      item.error(prefix.error().message());
    }
  }
}

}  // namespace

void read_absolute_path(const YamlField& field, std::string& path) {
  if (!field.present()) {
    return;
  }
  const std::string text = field.text();
  if (text.empty() || text.front() != '/') {
    field.error("\"" + printable(text) + "\" is not an absolute path: begin it with /");
    return;
  }
  path = text;
}

ScopeConfig read_scope(const YamlField& scope) {
  ScopeConfig config;
  if (!scope.present() || !scope.only({"label", "namespaces", "except", "enforce"})) {
    return config;
  }
  config.label = scope["label"].text_or(config.label);
  if (!is_label_key(config.label)) {
    scope["label"].error("\"" + printable(config.label) +
                         "\" is not the key of a label: write one as in postern.dev/enforce, without a value");
  }
  read_namespaces(scope["namespaces"], config.namespaces);
  read_namespaces(scope["except"], config.except);
  config.strict = scope["enforce"].word_or("selected", {"selected", "strict"}) == "strict";
  return config;
}

KubernetesConfig read_kubernetes(const YamlField& kubernetes) {
  KubernetesConfig config;
  config.on = kubernetes.type() != YamlField::Type::kMissing;
  if (!kubernetes.present() ||
      !kubernetes.only({"kubeconfig", "node", "cluster_domain", "kubelet_config", "cni_results", "pod_cidrs"})) {
    return config;
  }
  read_absolute_path(kubernetes["kubeconfig"], config.kubeconfig);
  read_absolute_path(kubernetes["kubelet_config"], config.kubelet_config);
  read_absolute_path(kubernetes["cni_results"], config.cni_results);
  config.node = kubernetes["node"].text_or("");
  if (const YamlField domain = kubernetes["cluster_domain"]; domain.present()) {
    auto name = DnsName::from_text(domain.text());
    if (name) {
      config.cluster_domain = *name;
    } else {
      domain.error(name.error().message());
    }
  }
  read_pod_cidrs(kubernetes["pod_cidrs"], config.pod_cidrs);
  return config;
}

std::vector<std::string> read_kinds(const YamlField& kinds) {
  std::vector<std::string> names;
  std::string known;
  for (const PolicyResource& resource : policy_resources()) {
    known += (known.empty() ? "" : ", ") + std::string(resource.name);
    if (!kinds.present() && resource.native) {
      names.emplace_back(resource.name);
    }
  }
  for (const YamlField& item : kinds.items()) {
    const std::string name = item.text();
    if (find_policy_resource(name) == nullptr) {
      item.error("\"" + printable(name.substr(0, 80)) + "\" is no kind of policy that is known: write one of " + known);
    } else if (std::ranges::find(names, name) != names.end()) {
      item.error(name + " is there twice: remove one");
    } else {
      names.push_back(name);
    }
  }
  return names;
}

}  // namespace postern
