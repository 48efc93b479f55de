// SPDX-License-Identifier: Apache-2.0
//
// A policy of any kind, written in another kind: native, Cilium's, AWS's, GKE's or NetworkPolicy.
//
// What comes out never opens more than the source does. What a kind cannot say is left out and listed as a
// loss; where the kind itself behaves otherwise than Postern does (it answers every lookup, say), that is
// a note. A denial that cannot be said would open something, so it is an error. Model in, text out; no I/O.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/allowlist_template.h"
#include "policies/model.h"

namespace postern {

enum class RenderTarget { kNative, kCilium, kAws, kGke, kNetworkPolicy };

/// "native", "cilium", "aws", "gke", "netpol". Empty: no such target.
std::optional<RenderTarget> target_of(std::string_view word);

/// Addresses that somebody looked up, by name as text.
struct ResolvedNames {
  std::map<std::string, std::vector<Address>> addresses;
  std::string when;  ///< For the comments: "2026-11-27".
};

struct RenderOptions {
  RenderTarget target = RenderTarget::kNative;
  /// Where names with a "*" inside come from; their parameters get `values` in targets that have no such "*".
  const TemplateSet* templates = nullptr;
  std::map<std::string, std::vector<std::string>> values;  ///< By parameter.
  /// For targets whose name servers must be opened as addresses. Empty: the pods of kube-dns.
  std::vector<Prefix> name_servers;
  /// For NetworkPolicy, which knows no names. Null: names are a loss there.
  const ResolvedNames* resolved = nullptr;
};

struct Rendered {
  std::string yaml;                 ///< Losses and notes at its top as comments.
  std::vector<std::string> losses;  ///< What stays closed, and why; sentences.
  std::vector<std::string> notes;   ///< Where the kind behaves otherwise; sentences.
};

/// @return invalid: the policy denies something that the target cannot deny, or is of a scope it does not have.
Result<Rendered> render(const Policy& policy, const RenderOptions& options);

/// Policies that are to stand together in the other kind too: would they open more there than here?
/// @return invalid: they would; which, and what to do.
Result<> check_together(const std::vector<Policy>& policies);

/// The names that a policy opens and that stand for one host, as NetworkPolicy needs them looked up.
std::vector<std::string> names_to_resolve(const Policy& policy, const RenderOptions& options);

}  // namespace postern
