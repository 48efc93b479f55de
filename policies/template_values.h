// SPDX-License-Identifier: Apache-2.0
//
// Parameters of templates and their values.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "policies/allowlist_template.h"

namespace postern {

using TemplateValues = std::map<std::string, std::string>;

/// The value of each parameter when nobody gives one.
TemplateValues fallbacks_of(const AllowlistTemplate& object);

/// The text with each {parameter} replaced. @return invalid: a parameter without a value, or a brace without its other.
Result<std::string> expand(std::string_view text, const TemplateValues& values);

/// One label of a name, or "*" for any one. @return invalid, with what to write instead.
Result<> check_value(std::string_view value);

}  // namespace postern
