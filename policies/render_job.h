// SPDX-License-Identifier: Apache-2.0
//
// RenderJob: one policy on its way into another kind. Internal to policies/render*.cpp.
//
// render.cpp makes the policy fit every target (peers that are address ranges become those, what would open
// more is taken out), then the target's writer adds documents. Losses with one reason are one sentence.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "policies/render.h"
#include "policies/yaml_out.h"

namespace postern {

/// Rules with one port set, in the order in which the first of each was written.
template <typename Rule>
struct PortGroup {
  PortSet ports;
  std::vector<Rule> rules;
};

struct RenderJob {
  Policy policy;
  const RenderOptions& options;
  std::vector<YamlOut> documents = {};
  std::vector<std::string> notes = {};
  std::string error = {};  ///< Set: nothing may be written.

  void lose(const std::string& what, const std::string& why);
  void note(std::string sentence);
  std::vector<std::string> losses() const;

  std::vector<std::pair<std::string, std::vector<std::string>>> lost = {};  ///< By reason.
};

void write_native(RenderJob& job);
void write_cilium(RenderJob& job);
void write_aws(RenderJob& job);
void write_gke(RenderJob& job);
void write_network_policy(RenderJob& job);

// What several writers need.

/// A name rule in a dialect: texts that together mean the same or less. What is less is a loss.
std::vector<std::string> texts_of(const NameRule& rule, Dialect dialect, RenderJob& job);
/// The single hosts that a rule stands for, with values for its parameters. Empty: it is no such rule.
std::vector<std::string> hosts_of(const NameRule& rule, const RenderOptions& options);

/// Is it an object of the whole cluster?
bool is_cluster_wide(const Policy& policy);
/// Its pods. A policy without a selector, which is attached by name, gets a label of its own; noted.
PodSelector subject_of(RenderJob& job);

/// Name rules that open addresses, and those that only resolve.
std::vector<PortGroup<NameRule>> names_by_ports(const Policy& policy);
std::vector<NameRule> lookups_of(const Policy& policy);

/// A prefix without holes in it, as prefixes.
std::vector<Prefix> without(const Prefix& prefix, const std::vector<Prefix>& holes);
/// A denial as prefixes.
std::vector<Prefix> prefixes_of(const CidrRule& rule);
/// Allow rules less what is denied, for kinds without denials. All ports less some are all of TCP, UDP and echo.
std::vector<CidrRule> less_denials(const Policy& policy);
/// What no name may open, less what a rule opens there knowingly (never_list.h), and its NAT64 forms.
std::vector<Prefix> never_opened(const Policy& policy);
/// With a hole for everything on the never-list that lies in it.
CidrRule without_never_list(CidrRule rule);

/// apiVersion, kind, metadata; the caller sets the spec.
YamlOut object_head(std::string_view version, std::string_view kind, const std::string& name, const std::string& space);
/// {matchLabels, matchExpressions}; "{}" for all.
YamlOut selector_out(const LabelSelector& selector);
/// ports[] of networking.k8s.io. Not set if every port is open; `ok` is false if nothing is left.
struct PortsOut {
  std::optional<YamlOut> ports;
  bool ok = true;
};
PortsOut network_ports_out(const PortSet& ports, const std::string& what, RenderJob& job);
/// The ranges of TCP and UDP, from port 1. Echo is a loss of `what`.
std::vector<PortRange> ranges_of(const PortSet& ports, const std::string& what, RenderJob& job);
/// An egress rule {to: [ipBlock], ports} without what is on the never-list. Empty: nothing is left of it.
std::optional<YamlOut> ip_block_rule(const CidrRule& whole, RenderJob& job);
/// An egress rule for port 53 of the name servers.
YamlOut dns_rule(RenderJob& job);
/// What selects the pods of kube-dns: {namespaceSelector, podSelector}.
YamlOut kube_dns_peer();
/// Port 53 of both protocols.
PortSet dns_ports();

}  // namespace postern
