// SPDX-License-Identifier: Apache-2.0
//
// An allowlist put together from templates: what it opens in the end, and where each entry comes from.
//
// What `postern allowlist compose` shows. The same selection as spec.allow[].templates of a policy makes,
// and the exceptions of a template's own spec.except. No I/O.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "policies/allowlist_template.h"
#include "policies/diagnostics.h"
#include "policies/model.h"

namespace postern {

struct ComposeRequest {
  std::vector<std::string> templates;                      ///< "NAME", or "NAME:GROUP,GROUP" for some of its groups.
  std::map<std::string, std::vector<std::string>> values;  ///< By parameter; several make an entry for each.
  std::vector<std::string> except;                         ///< Names and patterns to take out.
  std::vector<std::string> add;                            ///< As parse_addition reads them.
};

/// Where an entry was written. The template is empty for one that was added by hand.
struct EntryOrigin {
  std::string template_name;
  std::string group;
  std::string home;  ///< The template whose file has it, if another.
  Place place;

  std::string to_string() const;  ///< "dev-tools/github (git-hosts)"
};

struct ComposedEntry {
  TemplateEntry entry;
  std::vector<EntryOrigin> origins;  ///< Several when several templates open it alike.
};

/// "NAME", "NAME:PORT", "CIDR:PORT" or "[IPV6]:PORT", with a port as policies write them; 443/tcp without one.
/// @return invalid, with what to write instead.
Result<TemplateEntry> parse_addition(std::string_view text);

/// The effective list, in the order asked for. What is wrong goes to *diagnostics, whose field says with which
/// option; use the result only if it did not fail.
std::vector<ComposedEntry> compose(const ComposeRequest& request,
                                   const TemplateSet& templates,
                                   Diagnostics& diagnostics);

/// A native policy that opens exactly these entries; the origin of each rule says where it is from.
Policy policy_of(const std::vector<ComposedEntry>& entries, std::string name);

}  // namespace postern
