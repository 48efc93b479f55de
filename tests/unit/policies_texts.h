// SPDX-License-Identifier: Apache-2.0
//
// Policies as the tests write them: a spec's body, with the head of the object put before it.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "policies/image.h"
#include "policies/policy_reader.h"
#include "policies/policy_set.h"
#include "policies/template_links.h"
#include "policies/template_reader.h"

namespace postern {

/// The head is five lines long, so that the first line of `spec` is line 6 of the file.
inline std::string policy_text(std::string_view spec) {
  return "apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata:\n  name: agent\nspec:\n" + std::string(spec);
}

inline std::string template_text(std::string_view spec) {
  return "apiVersion: postern.dev/v1alpha1\nkind: AllowlistTemplate\nmetadata:\n  name: tools\nspec:\n"
         "  version: 2026-11-27\n" +
         std::string(spec);
}

/// Templates as their file has them, not yet linked. Throws what is wrong with them, which fails the test.
inline std::vector<AllowlistTemplate> unlinked_templates(std::string_view text,
                                                         const std::string& file = "tools.yaml") {
  Diagnostics diagnostics;
  auto templates = read_templates(text, file, diagnostics);
  if (diagnostics.failed()) {
    throw std::runtime_error(diagnostics.to_error().message());
  }
  return templates;
}

inline TemplateSet templates_of(std::string_view text) {
  Diagnostics diagnostics;
  auto templates = link_templates(unlinked_templates(text), diagnostics);
  if (diagnostics.failed()) {
    throw std::runtime_error(diagnostics.to_error().message());
  }
  return templates;
}

/// All errors of a policy file, a line each; empty when it is right.
inline std::string errors_in(std::string_view text, const TemplateSet& templates = {}) {
  Diagnostics diagnostics;
  PolicySet set;
  add_policies(text, "agent.yaml", templates, set, diagnostics);
  return diagnostics.failed() ? diagnostics.to_error().message() : "";
}

inline std::string errors_of(std::string_view spec, const TemplateSet& templates = {}) {
  return errors_in(policy_text(spec), templates);
}

/// The one policy of a spec. Throws what is wrong with it, which fails the test.
inline Policy policy_of(std::string_view spec, const TemplateSet& templates = {}) {
  Diagnostics diagnostics;
  auto policies = read_policies(policy_text(spec), "agent.yaml", templates, diagnostics);
  if (diagnostics.failed() || policies.size() != 1) {
    throw std::runtime_error(diagnostics.failed() ? diagnostics.to_error().message() : "not one policy");
  }
  return std::move(policies[0]);
}

inline std::shared_ptr<const PolicyImage> image_of(std::string_view spec,
                                                   const TemplateSet& templates = {},
                                                   const Inventory& inventory = {}) {
  Diagnostics diagnostics;
  auto image = compile(policy_of(spec, templates), inventory, diagnostics);
  if (image == nullptr) {
    throw std::runtime_error(diagnostics.to_error().message());
  }
  return image;
}

/// For text that is right; anything else is a broken test and asserts.
inline DnsName name(std::string_view text) { return DnsName::from_text(text).value(); }
inline NamePattern pattern(std::string_view text, Dialect dialect = Dialect::kNative) {
  return NamePattern::parse(text, dialect).value();
}
inline Address address(std::string_view text) { return Address::parse(text).value(); }
inline Prefix prefix(std::string_view text) { return Prefix::parse(text).value(); }

}  // namespace postern
