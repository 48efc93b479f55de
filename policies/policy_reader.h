// SPDX-License-Identifier: Apache-2.0
//
// Reads the policies of a file, each document by the reader of its kind.
//
// Strict: a field that is not enforced is an error, never ignored, and so is a kind that is not known.
// Text in, model out; no I/O.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policies/allowlist_template.h"
#include "policies/diagnostics.h"
#include "policies/model.h"
#include "policies/yaml_field.h"

namespace postern {

/// Reads every policy of a file, native ones with their template references resolved; the items of a
/// List as documents of their own. What is wrong goes to *diagnostics; use the result only if it did
/// not fail. @param file  Of an object of the API server, whose lines nobody can look up, its title.
std::vector<Policy> read_policies(std::string_view text,
                                  const std::string& file,
                                  const TemplateSet& templates,
                                  Diagnostics& diagnostics,
                                  YamlField::Lines lines = YamlField::Lines::kTold);

/// Is there such a kind, in any version?
bool is_policy_kind(std::string_view kind);

}  // namespace postern
