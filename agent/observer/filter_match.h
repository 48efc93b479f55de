// SPDX-License-Identifier: Apache-2.0
//
// The matchers of FlowFilters, one for each kind of value: what a text in a filter means, and whether
// a text in a flow meets it. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "api/flow.pb.h"
#include "base/ip.h"
#include "base/result.h"

namespace postern {

using TextMatch = std::function<bool(const std::string&)>;

/// "10.0.0.1", or a prefix when it has a slash.
Result<TextMatch> ip_match(const std::string& text);
/// A name in which `*` stands for letters, digits, hyphens and dots.
Result<TextMatch> fqdn_match(std::string text);
/// An RE2 expression, unanchored.
Result<TextMatch> regex_match(const std::string& text);
/// `cluster/node`, each as fqdn_match; a name alone is in the cluster `default`.
Result<TextMatch> node_match(const std::string& text);

/// "namespace/prefix", "namespace/", "/prefix"; without a slash in the namespace `default`.
struct SpacedPrefix {
  std::string space;  ///< Empty: any.
  std::string prefix;

  static Result<SpacedPrefix> parse(const std::string& text);
  bool matches(const std::string& in_space, const std::string& name) const;
};

/// A decimal port.
Result<std::uint32_t> port_of(const std::string& text);

/// Whether the flow's protocol is the one that a filter names. @return invalid for an unknown name.
Result<std::function<bool(const flow::Flow&)>> protocol_match(const std::string& text);

/// 0 when the flow has no such port.
std::uint32_t source_port_of(const flow::Flow& flow);
std::uint32_t destination_port_of(const flow::Flow& flow);
bool has_ports(const flow::Flow& flow);

}  // namespace postern
