// SPDX-License-Identifier: Apache-2.0
//
// Reads AllowlistTemplate of apiVersion postern.dev/v1alpha1, and puts one into a policy.
//
// Text in, model out; no I/O. A template is data about destinations: groups of names and CIDRs with
// ports and a purpose, and parameters that stand in names as {parameter}.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policies/allowlist_template.h"
#include "policies/diagnostics.h"
#include "policies/model.h"
#include "policies/yaml_field.h"

namespace postern {

/// Reads every AllowlistTemplate of a file. Names are checked with each parameter's fallback, so that
/// a template that no policy uses yet is checked too.
std::vector<AllowlistTemplate> read_templates(std::string_view text, const std::string& file, Diagnostics& diagnostics);

/// Adds what a reference in spec.allow[].templates selects: a template's name, or
/// {name, groups, params}. What is wrong is reported at the reference.
void use_template(const YamlField& reference, const TemplateSet& templates, Policy& policy);

}  // namespace postern
