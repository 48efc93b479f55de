// SPDX-License-Identifier: Apache-2.0
//
// Templates put together: what each extends, what a reference selects of one, what an exception takes out.
//
// After linking a template stands for itself: its groups and entries are all it opens. Text in values
// out; no I/O. Limits: kExtendsMax references a template, kInheritedMax entries inherited by all
// templates together, so that templates that extend each other cannot grow without end.
#pragma once

#include <string>
#include <vector>

#include "policies/allowlist_template.h"
#include "policies/diagnostics.h"

namespace postern {

inline constexpr std::size_t kExtendsMax = 32;
inline constexpr std::size_t kInheritedMax = 100'000;
inline constexpr std::size_t kExtendsDepthMax = 16;

/// Puts into each template what it extends, without what it excepts. Reported where they stand:
/// unknown templates, groups and parameters, circles, names that are there twice, and exceptions that
/// except nothing or that another entry opens all the same.
TemplateSet link_templates(std::vector<AllowlistTemplate> templates, Diagnostics& diagnostics);

/// The entries that a reference takes, with its values in place of parameters. What is wrong with it is
/// reported where it stands, and what is right is returned.
std::vector<TemplateEntry> select_entries(const TemplateReference& reference,
                                          const TemplateSet& templates,
                                          Diagnostics& diagnostics);

/// Takes out every entry that `name`, a name or pattern, covers. Reported: there is none, or one that stays opens
/// that name, or all of that pattern, all the same.
void except_entries(const WrittenWord& name, std::vector<TemplateEntry>& entries, Diagnostics& diagnostics);

}  // namespace postern
