// SPDX-License-Identifier: Apache-2.0
#include "policies/list_lint.h"

#include <algorithm>

#include "policies/native_reader.h"
#include "policies/public_suffix.h"
#include "policies/template_values.h"
#include "policies/user_content.h"

namespace postern {
namespace {

/// An entry of either kind of list, as far as it is compared.
struct Listed {
  std::string text;
  std::string group;
  std::optional<NamePattern> pattern;  ///< Else a range.
  Prefix prefix;
  std::vector<Prefix> except;
  PortSet ports;
  Place place;
};

bool covers(const Listed& wide, const Listed& narrow) {
  if (wide.group != narrow.group || wide.pattern.has_value() != narrow.pattern.has_value() ||
      !wide.ports.covers(narrow.ports) || wide.ports.empty() != narrow.ports.empty()) {
    return false;
  }
  return wide.pattern ? wide.pattern->covers(*narrow.pattern)
                      : wide.except.empty() && wide.prefix.contains(narrow.prefix);
}

bool same_target(const Listed& a, const Listed& b) {
  return a.pattern ? a.pattern == b.pattern : !b.pattern && a.prefix == b.prefix && a.except == b.except;
}

std::string where(const Listed& listed) { return "\"" + listed.text + "\" (" + listed.place.to_string() + ")"; }

void compare(const std::string& subject, const std::vector<Listed>& list, std::vector<LintFinding>& findings) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    for (std::size_t j = 0; j < list.size(); ++j) {
      if (i == j || !covers(list[j], list[i])) {
        continue;
      }
      const bool twice = same_target(list[i], list[j]);
      if (twice && list[i].ports == list[j].ports && i < j) {
        continue;  // said at the second one
      }
      findings.push_back({list[i].place, twice ? "duplicate" : "shadowed", subject,
                          "\"" + list[i].text + "\" opens nothing that " + where(list[j]) + " does not: remove it" +
                              (twice ? "" : ", or narrow the other")});
      break;
    }
  }
}

void judge_strangers(const Listed& listed,
                     bool marked,
                     const std::string& subject,
                     std::vector<LintFinding>& findings) {
  if (!listed.pattern || marked) {
    return;
  }
  if (const auto zone = stranger_zone(*listed.pattern)) {
    findings.push_back({listed.place, "public-suffix", subject,
                        "\"" + listed.text + "\" opens names that anybody can register, below " + *zone +
                            ": name the hosts you need, or mark it risk: user-content"});
  } else if (const auto known = user_content_zone(*listed.pattern)) {
    findings.push_back({listed.place, "user-content", subject,
                        "\"" + listed.text + "\" opens content of strangers (" + *known +
                            "): mark it risk: user-content, or leave it out"});
  }
}

}  // namespace

std::optional<NamePattern> pattern_of(const TemplateEntry& entry, const AllowlistTemplate& object) {
  if (entry.cidr) {
    return std::nullopt;
  }
  const auto text = expand(entry.text, fallbacks_of(object));
  const auto pattern = text ? parse_pattern(*text) : Result<NamePattern>(text.error());
  return pattern ? std::optional(*pattern) : std::nullopt;
}

std::vector<LintFinding> lint_template(const AllowlistTemplate& object) {
  const std::string subject = "template " + object.name;
  std::vector<LintFinding> findings;
  std::vector<Listed> list;
  for (const TemplateEntry& entry : object.entries) {
    if (entry.home != object.name) {
      continue;  // said where it is written
    }
    list.push_back({entry.text,
                    entry.group,
                    pattern_of(entry, object),
                    entry.cidr.value_or(Prefix()),
                    {},
                    entry.ports,
                    entry.place});
    judge_strangers(list.back(), entry.user_content, subject, findings);
  }
  compare(subject, list, findings);
  return findings;
}

std::vector<LintFinding> lint_policy(const Policy& policy) {
  const std::string subject = "policy " + policy.key();
  std::vector<LintFinding> findings;
  std::vector<Listed> list;
  for (const NameRule& rule : policy.allow_names) {
    list.push_back({rule.pattern.text(), "", rule.pattern, {}, {}, rule.ports, rule.origin.place});
  }
  for (const CidrRule& rule : policy.allow_cidrs) {
    list.push_back(
        {rule.prefix.to_string(), "", std::nullopt, rule.prefix, rule.except, rule.ports, rule.origin.place});
  }
  compare(subject, list, findings);
  return findings;
}

}  // namespace postern
