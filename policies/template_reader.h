// SPDX-License-Identifier: Apache-2.0
//
// Reads AllowlistTemplate of apiVersion postern.dev/v1alpha1, and puts one into a policy.
//
// Text in, plain data out; no I/O. What a template extends is not looked at while it is read: that
// takes all templates, see template_links.h.
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
std::vector<AllowlistTemplate> read_templates(std::string_view text,
                                              const std::string& file,
                                              Diagnostics& diagnostics,
                                              YamlField::Lines lines = YamlField::Lines::kTold);

/// An item of spec.allow[].templates or spec.extends: a template's name, or {name, groups, params}.
/// Empty: it is neither, which is reported.
std::optional<TemplateReference> read_template_reference(const YamlField& field);

/// Adds what a reference in spec.allow[].templates selects. What is wrong is reported at the reference.
void use_template(const YamlField& reference, const TemplateSet& templates, Policy& policy);

}  // namespace postern
