// SPDX-License-Identifier: Apache-2.0
#include "policies/policy_reader.h"

#include <algorithm>
#include <array>

#include "base/log.h"
#include "policies/foreign_kinds.h"
#include "policies/native_reader.h"

namespace postern {
namespace {

struct KindReader {
  std::string_view version;
  std::string_view kind;
  Policy (*read)(const YamlField& document);  ///< Null: native, which needs the templates.
};

constexpr std::array kReaders{
    KindReader{kApiVersion, "EgressPolicy", nullptr},
    KindReader{kApiVersion, "ClusterEgressPolicy", nullptr},
    KindReader{"cilium.io/v2", "CiliumNetworkPolicy", read_cilium_policy},
    KindReader{"cilium.io/v2", "CiliumClusterwideNetworkPolicy", read_cilium_clusterwide_policy},
    KindReader{"networking.k8s.io/v1", "NetworkPolicy", read_network_policy},
    KindReader{"networking.k8s.aws/v1alpha1", "ApplicationNetworkPolicy", read_aws_application_policy},
    KindReader{"networking.k8s.aws/v1alpha1", "ClusterNetworkPolicy", read_aws_cluster_policy},
    KindReader{"policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", read_cluster_network_policy},
    KindReader{"networking.gke.io/v1alpha1", "FQDNNetworkPolicy", read_gke_fqdn_policy},
};

/// "EgressPolicy, ClusterEgressPolicy, ... of these versions": what could stand there instead.
std::string known_kinds() {
  std::string text;
  std::vector<std::string_view> seen;
  for (const KindReader& reader : kReaders) {
    if (std::ranges::find(seen, reader.kind) == seen.end()) {
      seen.push_back(reader.kind);
      text += (text.empty() ? "" : ", ") + std::string(reader.kind);
    }
  }
  return text;
}

std::string known_versions(std::string_view kind) {
  std::string text;
  for (const KindReader& reader : kReaders) {
    if (reader.kind == kind) {
      text += (text.empty() ? "" : " or ") + std::string(reader.version);
    }
  }
  return text;
}

void read_document(const YamlField& document, const TemplateSet& templates, std::vector<Policy>& policies) {
  if (document.type() != YamlField::Type::kMap) {
    document.error("not an object: begin with apiVersion: " + std::string(kApiVersion) + " and kind: EgressPolicy");
    return;
  }
  const std::string version = document["apiVersion"].text();
  const std::string kind = document["kind"].text();
  if (document["apiVersion"].type() != YamlField::Type::kScalar ||
      document["kind"].type() != YamlField::Type::kScalar) {
    return;  // reported by text()
  }
  if (kind == "List" || kind.ends_with("PolicyList")) {
    document.only({"apiVersion", "kind", "metadata", "items"});
    for (const YamlField& item : document["items"].items()) {
      read_document(item, templates, policies);
    }
    return;
  }
  const auto reader = std::ranges::find_if(
      kReaders, [&](const KindReader& each) { return each.kind == kind && each.version == version; });
  if (reader != kReaders.end()) {
    policies.push_back(reader->read == nullptr ? read_native_policy(document, templates) : reader->read(document));
  } else if (is_policy_kind(kind)) {
    document["apiVersion"].error("\"" + printable(version) + "\" is not known: write " + known_versions(kind));
  } else {
    document["kind"].error("\"" + printable(kind) +
                           "\" does not belong in this file: write EgressPolicy (known: " + known_kinds() + ")");
  }
}

}  // namespace

bool is_policy_kind(std::string_view kind) {
  return std::ranges::find(kReaders, kind, &KindReader::kind) != kReaders.end();
}

std::vector<Policy> read_policies(std::string_view text,
                                  const std::string& file,
                                  const TemplateSet& templates,
                                  Diagnostics& diagnostics,
                                  YamlField::Lines lines) {
  std::vector<Policy> policies;
  for (const YamlField& document : YamlField::parse(text, file, diagnostics, lines)) {
    read_document(document, templates, policies);
  }
  return policies;
}

}  // namespace postern
