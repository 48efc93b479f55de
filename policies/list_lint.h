// SPDX-License-Identifier: Apache-2.0
//
// What is odd about an allowlist that is right: entries that are there twice or that another one covers, and
// what strangers can put content behind without a word about it.
//
// What is wrong is the readers' to say. What a name resolves to takes a network: see cli/allowlist_lint.cpp.
// No I/O.
#pragma once

#include <string>
#include <vector>

#include "policies/allowlist_template.h"
#include "policies/diagnostics.h"
#include "policies/model.h"

namespace postern {

struct LintFinding {
  Place place;
  std::string check;    ///< "duplicate", "shadowed", "public-suffix", "user-content", "unresolved", "syntax".
  std::string subject;  ///< "template git-hosts", "policy agent".
  std::string message;  ///< What it is and what to do; no newline.
};

/// A linked template. Entries are compared inside a group, since groups are chosen one by one.
std::vector<LintFinding> lint_template(const AllowlistTemplate& object);
/// A policy. What came out of templates is compared, and not judged again.
std::vector<LintFinding> lint_policy(const Policy& policy);

/// A template entry as a pattern, with each parameter's default. Empty: a CIDR.
std::optional<NamePattern> pattern_of(const TemplateEntry& entry, const AllowlistTemplate& object);

}  // namespace postern
