// SPDX-License-Identifier: Apache-2.0
//
// AllowlistTemplate: names and address ranges that belong together, as data that policies take by name.
// The template reader makes it; a policy's reader turns a reference to it into rules. Plain data.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/ip.h"
#include "policies/diagnostics.h"
#include "policies/ports.h"

namespace postern {

/// One entry of an allowlist template: names or CIDRs that belong together.
struct TemplateEntry {
  std::string group;
  std::string purpose;
  std::vector<std::pair<std::string, Place>> names;  ///< Text: may hold {parameter}.
  std::vector<std::pair<Prefix, Place>> cidrs;
  PortSet ports;
};

struct TemplateParameter {
  std::string name;
  std::string purpose;
  std::string fallback;  ///< Value when the policy gives none; "*" stands for any one label.
};

struct AllowlistTemplate {
  std::string name;
  std::string purpose;
  Place place;
  std::vector<TemplateParameter> parameters;
  std::vector<TemplateEntry> entries;
};

using TemplateSet = std::map<std::string, AllowlistTemplate>;

}  // namespace postern
