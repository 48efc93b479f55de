// SPDX-License-Identifier: Apache-2.0
//
// Reads EgressPolicy and ClusterEgressPolicy of apiVersion postern.dev/v1alpha1.
//
// Strict: a field that is not enforced is an error, never ignored. Text in, model out; no I/O.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policies/allowlist_template.h"
#include "policies/diagnostics.h"
#include "policies/model.h"
#include "policies/yaml_field.h"

namespace postern {

inline constexpr std::string_view kApiVersion = "postern.dev/v1alpha1";

/// One EgressPolicy or ClusterEgressPolicy, with its template references resolved.
Policy read_native_policy(const YamlField& document, const TemplateSet& templates);

/// Pieces that both native kinds share.
/// @return whether the document is of this kind; anything else is reported.
bool expect_kind(const YamlField& document, std::string_view kind);
/// metadata.name: a DNS label as Kubernetes wants it (RFC 1123), so that it is safe in a path and a log.
std::string read_object_name(const YamlField& document);
PortSet read_ports(const YamlField& ports, const PortSet& otherwise);
/// A name or pattern of the native dialect: at least two labels behind the last "*".
Result<NamePattern> parse_pattern(std::string_view text);
/// The same. Reported, and empty, if it is not one.
std::optional<NamePattern> read_pattern(const YamlField& field, std::string_view text);

}  // namespace postern
