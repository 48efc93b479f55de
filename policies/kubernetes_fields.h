// SPDX-License-Identifier: Apache-2.0
//
// Fields that Kubernetes' own kinds and those modelled on them have in common: metadata, label
// selectors, ports, address blocks. Strict, as all readers: what is not enforced is reported.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policies/model.h"
#include "policies/yaml_field.h"

namespace postern {

/// Kind, metadata and place of a document go to *policy; apiVersion, kind, metadata, spec and status
/// are the only fields it may have.
/// @param namespaced  the kind has a namespace; without one in metadata its pods are nobody's.
void read_object(const YamlField& document, bool namespaced, Policy& policy);

/// What the API server adds to metadata is accepted and not read.
void only_metadata(const YamlField& metadata);

/// metav1.LabelSelector: matchLabels and matchExpressions.
LabelSelector read_label_selector(const YamlField& selector);

/// "TCP", "UDP", "SCTP" (which no rule can be enforced for) as IP protocol number; absent is TCP.
std::optional<std::uint8_t> read_protocol(const YamlField& protocol);

/// A port number, also as a string. A name is refused: which port it is depends on each pod.
std::optional<std::uint16_t> read_port_number(const YamlField& port);

/// networking.k8s.io's ports[]: protocol, port, endPort. Absent or empty: every port.
PortSet read_network_ports(const YamlField& ports);

std::optional<Prefix> read_cidr(const YamlField& field);

/// networking.k8s.io's ipBlock: cidr and except.
std::optional<CidrRule> read_ip_block(const YamlField& block);

/// A name or a pattern of a foreign dialect. Reported, and empty, if it is not one.
std::optional<NamePattern> read_foreign_pattern(const YamlField& field, Dialect dialect);

/// policyTypes says Egress, or does not say and there are egress rules. Warned of otherwise: such an
/// object selects no pod here.
bool is_for_egress(const YamlField& spec);

/// Warns at `rules` when the policy denies a metadata service by its IPv4 address alone.
void offer_ipv6_twins(const YamlField& rules, const Policy& policy);

}  // namespace postern
