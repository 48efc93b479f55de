// SPDX-License-Identifier: Apache-2.0
#include "agent/observer/label_selector.h"

#include <algorithm>

#include "base/log.h"

namespace postern {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') {
    text.remove_prefix(1);
  }
  while (!text.empty() && text.back() == ' ') {
    text.remove_suffix(1);
  }
  return text;
}

/// At commas that are not inside parentheses.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
    if (text[i] == ',' && depth == 0) {
      parts.push_back(trimmed(text.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  parts.push_back(trimmed(text.substr(begin)));
  return parts;
}

bool is_word(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_./:*").find(c) != std::string_view::npos;
  });
}

Error not_understood(std::string_view text) {
  return {Errc::kInvalid, "\"" + printable(text) + "\" is not a label selector"};
}

}  // namespace

bool LabelSelector::Requirement::met_by(std::string_view label) const {
  const std::size_t equals = label.find('=');
  const std::string_view value = equals == std::string_view::npos ? std::string_view() : label.substr(equals + 1);
  std::string_view name = label.substr(0, equals);
  const std::size_t colon = name.find(':');
  const std::string_view label_source = colon == std::string_view::npos ? std::string_view() : name.substr(0, colon);
  name = colon == std::string_view::npos ? name : name.substr(colon + 1);
  return (source.empty() || source == label_source) && key == name &&
         (values.empty() || std::ranges::find(values, value) != values.end());
}

Result<LabelSelector::Requirement> LabelSelector::parse_requirement(std::string_view text) {
  Requirement requirement;
  std::string_view key = text;
  std::string_view values;
  bool listed = false;
  if (const std::size_t open = text.find('('); open != std::string_view::npos) {
    if (!text.ends_with(')')) {
      return not_understood(text);
    }
    values = text.substr(open + 1, text.size() - open - 2);
    key = trimmed(text.substr(0, open));
    requirement.negated = key.ends_with(" notin");
    if (!requirement.negated && !key.ends_with(" in")) {
      return not_understood(text);
    }
    key = trimmed(key.substr(0, key.rfind(' ')));
    listed = true;
  } else if (const std::size_t equals = text.find('='); equals != std::string_view::npos) {
    requirement.negated = equals > 0 && text[equals - 1] == '!';
    key = trimmed(text.substr(0, requirement.negated ? equals - 1 : equals));
    values = trimmed(text.substr(equals + (text.substr(equals).starts_with("==") ? 2 : 1)));
    listed = true;
  } else if (text.starts_with('!')) {
    requirement.negated = true;
    key = trimmed(text.substr(1));
  }
  if (listed) {
    for (const std::string_view value : split(values)) {
      if (!is_word(value)) {
        return not_understood(text);
      }
      requirement.values.emplace_back(value);
    }
  }
  if (const std::size_t colon = key.find(':'); colon != std::string_view::npos) {
    requirement.source = key.substr(0, colon) == "any" ? "" : key.substr(0, colon);
    key = key.substr(colon + 1);
  }
  if (key.empty() || !is_word(key)) {
    return not_understood(text);
  }
  requirement.key = key;
  return requirement;
}

Result<LabelSelector> LabelSelector::parse(std::string_view text) {
  LabelSelector selector;
  for (const std::string_view part : split(text)) {
    auto requirement = parse_requirement(part);
    if (!requirement) {
      return std::move(requirement).error();
    }
    if (selector.requirements_.size() == kRequirementsMax) {
      return Error(Errc::kInvalid, "a label selector has at most " + std::to_string(kRequirementsMax) + " parts");
    }
    selector.requirements_.push_back(std::move(*requirement));
  }
  return selector;
}

}  // namespace postern
