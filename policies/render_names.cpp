// SPDX-License-Identifier: Apache-2.0
//
// Name patterns in other dialects. Whatever is tried, what counts is that the target's own reading of the text
// means no name that the source does not mean.
#include <algorithm>

#include "policies/native_reader.h"
#include "policies/render_job.h"

namespace postern {
namespace {

constexpr std::size_t kTextsMax = 500;  // one pattern with all values of its parameters

std::vector<std::string> labels_of(std::string_view text) {
  std::vector<std::string> labels;
  while (true) {
    const std::size_t end = std::min(text.find('.'), text.size());
    labels.emplace_back(text.substr(0, end));
    if (end == text.size()) {
      return labels;
    }
    text.remove_prefix(end + 1);
  }
}

/// The text of the template entry that a rule came from, with its {parameters}. Empty: it is from no template.
std::string written_text(const NameRule& rule, const TemplateSet* templates) {
  if (templates == nullptr || rule.origin.via.empty()) {
    return "";
  }
  for (const auto& [name, object] : *templates) {
    for (const TemplateEntry& entry : object.entries) {
      const Place& here = entry.place;
      const Place& there = rule.origin.place;
      if (entry.home == name && here.line == there.line && here.column == there.column && here.file == there.file) {
        return entry.text;
      }
    }
  }
  return "";
}

/// What a label's "*" may be: the values given for the parameter that it stands for.
const std::vector<std::string>* values_at(const std::vector<std::string>& written,
                                          std::size_t at,
                                          const RenderOptions& options) {
  if (at >= written.size() || written[at].size() < 3 || written[at].front() != '{' || written[at].back() != '}') {
    return nullptr;
  }
  const auto given = options.values.find(written[at].substr(1, written[at].size() - 2));
  return given == options.values.end() ? nullptr : &given->second;
}

/// The pattern with a value in place of each "*" that is a parameter; as it is if there is none.
std::vector<std::string> with_values(const NameRule& rule, const RenderOptions& options) {
  std::vector<std::string> labels = labels_of(rule.pattern.labels().text());
  if (rule.pattern.below()) {
    labels.insert(labels.begin(), "*");
  }
  const std::vector<std::string> written = labels_of(written_text(rule, options.templates));
  std::vector<std::string> texts{""};
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const bool open = labels[i] == "*" && written.size() == labels.size();
    const auto* values = open ? values_at(written, i, options) : nullptr;
    std::vector<std::string> next;
    for (const std::string& text : texts) {
      for (const std::string& label : values != nullptr ? *values : std::vector<std::string>{labels[i]}) {
        if (next.size() < kTextsMax) {
          next.push_back(text + (i == 0 ? "" : ".") + label);
        }
      }
    }
    texts = std::move(next);
  }
  return texts;
}

/// How a dialect writes the pattern, if it can.
std::string plain_text(const NamePattern& pattern, Dialect dialect) {
  const std::string labels = pattern.labels().text();
  if (dialect == Dialect::kNative) {
    return pattern.text();
  }
  if (pattern.is_any()) {
    return "*";
  }
  return pattern.below() ? (dialect == Dialect::kCilium ? "**." : "*.") + labels : labels;
}

std::optional<NamePattern> read_back(const std::string& text, Dialect dialect) {
  auto read = dialect == Dialect::kNative ? parse_pattern(text) : NamePattern::parse(text, dialect);
  return read ? std::optional(*read) : std::nullopt;
}

std::string reason_of(const NamePattern& pattern, Dialect dialect) {
  const std::string labels = pattern.labels().text();
  if (pattern.is_any()) {
    return "every name at once cannot be written there: name those that are needed";
  }
  if (dialect == Dialect::kNative && pattern.has_partial_label()) {
    return "a \"*\" is a whole label here: name the hosts, or the zone if all of it may be open";
  }
  if (dialect == Dialect::kDomainNames && labels.find('*') != std::string::npos) {
    return "\"*\" may only lead there, for one label or more: give values for what it stands for with --param "
           "NAME=VALUE, or name the hosts";
  }
  return "such a name cannot be written there";
}

}  // namespace

std::vector<std::string> texts_of(const NameRule& rule, Dialect dialect, RenderJob& job) {
  const std::string plain = plain_text(rule.pattern, dialect);
  const auto same = read_back(plain, dialect);
  if (same && rule.pattern.covers(*same)) {
    if (!same->covers(rule.pattern)) {
      job.lose(rule.pattern.text(), "there the \"*\" in front is exactly one label; deeper names stay closed");
    }
    return {plain};
  }
  std::vector<std::string> texts;
  for (const std::string& text : with_values(rule, job.options)) {
    const auto read = read_back(text, dialect);
    if (read && rule.pattern.covers(*read)) {
      texts.push_back(text);
    }
  }
  if (texts.empty()) {
    job.lose(rule.pattern.text(), reason_of(rule.pattern, dialect));
  } else {
    job.lose(rule.pattern.text(), "written for the values of --param alone; others stay closed");
  }
  return texts;
}

std::vector<std::string> hosts_of(const NameRule& rule, const RenderOptions& options) {
  std::vector<std::string> hosts;
  for (const std::string& text : with_values(rule, options)) {
    const auto read = NamePattern::parse(text, Dialect::kCilium);
    if (read && read->is_exact() && rule.pattern.covers(*read)) {
      hosts.push_back(text);
    }
  }
  return hosts;
}

std::vector<PortGroup<NameRule>> names_by_ports(const Policy& policy) {
  std::vector<PortGroup<NameRule>> groups;
  for (const NameRule& rule : policy.allow_names) {
    if (rule.ports.empty()) {
      continue;
    }
    auto group = std::ranges::find(groups, rule.ports, &PortGroup<NameRule>::ports);
    if (group == groups.end()) {
      group = groups.insert(groups.end(), {rule.ports, {}});
    }
    if (std::ranges::find(group->rules, rule.pattern, &NameRule::pattern) == group->rules.end()) {
      group->rules.push_back(rule);
    }
  }
  return groups;
}

std::vector<NameRule> lookups_of(const Policy& policy) {
  std::vector<NameRule> lookups;
  std::ranges::copy_if(policy.allow_names, std::back_inserter(lookups),
                       [](const NameRule& rule) { return rule.ports.empty(); });
  return lookups;
}

}  // namespace postern
