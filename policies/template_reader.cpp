// SPDX-License-Identifier: Apache-2.0
#include "policies/template_reader.h"

#include <algorithm>

#include "base/log.h"
#include "policies/native_reader.h"
#include "policies/public_suffix.h"
#include "policies/template_links.h"
#include "policies/template_values.h"

namespace postern {
namespace {

constexpr std::size_t kSourceMax = 500;

WrittenWord word_of(const YamlField& field) { return {field.text(), field.place(), field.path()}; }

bool is_scalar(const YamlField& field) { return field.type() == YamlField::Type::kScalar; }

bool is_date(std::string_view text) {
  const auto digits = [&](std::size_t at, std::size_t count) {
    int number = 0;
    for (const char c : text.substr(at, count)) {
      number = c >= '0' && c <= '9' && number >= 0 ? number * 10 + (c - '0') : -1;
    }
    return number;
  };
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') {
    return false;
  }
  const int year = digits(0, 4);
  const int month = digits(5, 2);
  const int day = digits(8, 2);
  constexpr int kDays[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= kDays[month - 1] &&
         (month != 2 || day < 29 || leap);
}

/// A date, and ".2" behind it for the second version of that day.
std::string read_version(const YamlField& field) {
  if (!field.present()) {
    field.error("is missing: write the date of the last change, as 2026-11-27");
    return "";
  }
  const std::string text = field.text();
  const std::string_view rest = std::string_view(text).substr(std::min<std::size_t>(10, text.size()));
  const bool numbered = rest.size() >= 2 && rest.size() <= 4 && rest[0] == '.' &&
                        std::ranges::all_of(rest.substr(1), [](char c) { return c >= '0' && c <= '9'; });
  if (is_scalar(field) && (!is_date(text.substr(0, 10)) || (!rest.empty() && !numbered))) {
    field.error("\"" + printable(text.substr(0, 80)) +
                "\" is not a version: write the date of the last change, as 2026-11-27, or 2026-11-27.2 for the second "
                "of a day");
  }
  return text;
}

std::string read_checked(const YamlField& field, const std::string& otherwise) {
  if (!field.present()) {
    return otherwise;
  }
  const std::string text = field.text();
  if (is_scalar(field) && !is_date(text)) {
    field.error("\"" + printable(text.substr(0, 80)) + "\" is not a date: write the day of the check, as 2026-11-27");
  }
  return text;
}

std::string read_source(const YamlField& field, const std::string& otherwise) {
  if (!field.present()) {
    return otherwise;
  }
  const std::string text = field.text();
  const bool plain = std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
  if (is_scalar(field) && (!text.starts_with("https://") || text.size() <= 8 || text.size() > kSourceMax || !plain)) {
    field.error("\"" + printable(text.substr(0, 80)) +
                "\" is not a link: write where the vendor documents this, beginning with https://");
  }
  return text;
}

bool read_risk(const YamlField& field, bool otherwise) {
  return field.present() ? field.word_or("user-content", {"user-content"}) == "user-content" : otherwise;
}

/// The fields that an entry has in common with its group, whose value it takes when it has none.
TemplateEntry read_common(const YamlField& field, const TemplateEntry& otherwise) {
  TemplateEntry entry = otherwise;
  entry.purpose = field["purpose"].text_or(otherwise.purpose);
  entry.source = read_source(field["source"], otherwise.source);
  entry.checked = read_checked(field["checked"], otherwise.checked);
  entry.user_content = read_risk(field["risk"], otherwise.user_content);
  entry.ports = read_ports(field["ports"], otherwise.ports);
  return entry;
}

/// A name or CIDR: the word alone, or a map that has it under `key`.
std::optional<TemplateEntry> read_entry(const YamlField& item, std::string_view key, const TemplateEntry& group) {
  TemplateEntry entry = group;
  YamlField word = item;
  if (item.type() == YamlField::Type::kMap) {
    if (!item.only({key, "purpose", "source", "checked", "risk", "ports"})) {
      return std::nullopt;
    }
    entry = read_common(item, group);
    word = item[key];
  }
  entry.text = word.text();
  entry.place = word.place();
  if (!is_scalar(word)) {
    return std::nullopt;  // reported by text()
  }
  return entry;
}

void read_group(const YamlField& field, AllowlistTemplate& object) {
  if (!field.only({"name", "purpose", "source", "checked", "risk", "ports", "names", "cidrs"})) {
    return;
  }
  TemplateGroup group{field["name"].text(), field["purpose"].text()};
  if (std::ranges::find(object.groups, group.name, &TemplateGroup::name) != object.groups.end()) {
    field["name"].error("group \"" + printable(group.name) + "\" is there twice: join them");
  }
  TemplateEntry common;
  common.group = group.name;
  common.ports = PortSet::https();
  common.home = object.name;
  common = read_common(field, common);
  object.groups.push_back(std::move(group));
  const TemplateValues values = fallbacks_of(object);
  for (const YamlField& item : field["names"].items()) {
    auto entry = read_entry(item, "name", common);
    if (!entry) {
      continue;
    }
    auto expanded = expand(entry->text, values);
    const YamlField word = item.type() == YamlField::Type::kMap ? item["name"] : item;
    if (!expanded) {
      word.error(expanded.error().message());
      continue;
    }
    const auto pattern = read_pattern(word, *expanded);
    const auto known = pattern && !entry->user_content
                           ? check_strangers(*pattern, ", or write risk: user-content in this entry to open them all")
                           : Result<>();
    if (!known) {
      word.error(known.error().message());
    } else if (pattern) {
      object.entries.push_back(std::move(*entry));
    }
  }
  for (const YamlField& item : field["cidrs"].items()) {
    auto entry = read_entry(item, "cidr", common);
    if (!entry) {
      continue;
    }
    auto prefix = Prefix::parse(entry->text);
    if (!prefix) {
      (item.type() == YamlField::Type::kMap ? item["cidr"] : item).error(prefix.error().message());
      continue;
    }
    entry->cidr = *prefix;
    entry->text = prefix->to_string();
    object.entries.push_back(std::move(*entry));
  }
  if (!field["names"].present() && !field["cidrs"].present()) {
    field.error("names no destination: give names or cidrs");
  }
}

void read_parameter(const YamlField& item, AllowlistTemplate& object) {
  if (!item.only({"name", "purpose", "default"})) {
    return;
  }
  TemplateParameter parameter{item["name"].text(), item["purpose"].text(), item["default"].text()};
  if (std::ranges::find(object.parameters, parameter.name, &TemplateParameter::name) != object.parameters.end()) {
    item["name"].error("parameter \"" + printable(parameter.name) + "\" is there twice: remove one");
  }
  if (const auto right = check_value(parameter.fallback); !right && is_scalar(item["default"])) {
    item["default"].error(right.error().message());
  }
  object.parameters.push_back(std::move(parameter));
}

/// The same text for references that take the same of the same template.
std::string selection_of(const TemplateReference& reference) {
  std::string text = reference.name.text;
  const auto add = [&text](char kind, const std::string& word) {
    text += kind + std::to_string(word.size()) + ":" + word;
  };
  if (reference.groups) {
    text += "/";
    for (const WrittenWord& group : *reference.groups) {
      add('g', group.text);
    }
  }
  for (const auto& [name, value] : reference.values) {
    add('p', name);
    add('v', value.text);
  }
  return text;
}

AllowlistTemplate read_template(const YamlField& document) {
  document.only({"apiVersion", "kind", "metadata", "spec", "status"});
  AllowlistTemplate object;
  object.name = read_object_name(document);
  object.place = document.place();
  const YamlField spec = document["spec"];
  spec.only({"version", "purpose", "parameters", "extends", "except", "groups"});
  object.version = read_version(spec["version"]);
  object.purpose = spec["purpose"].text();
  for (const YamlField& item : spec["parameters"].items()) {
    read_parameter(item, object);
  }
  for (const YamlField& item : spec["extends"].items()) {
    if (auto reference = read_template_reference(item)) {
      object.extends.push_back(std::move(*reference));
    }
  }
  if (spec["except"].present() && !spec["extends"].present()) {
    spec["except"].error("takes names out of the templates in extends, and there are none: remove it");
  } else {
    for (const YamlField& item : spec["except"].items()) {
      object.except.push_back(word_of(item));
    }
  }
  if (!spec["groups"].present() && !spec["extends"].present()) {
    spec["groups"].error("is missing: a template lists what it opens, or extends another");
  }
  for (const YamlField& group : spec["groups"].items()) {
    read_group(group, object);
  }
  return object;
}

}  // namespace

std::vector<AllowlistTemplate> read_templates(std::string_view text,
                                              const std::string& file,
                                              Diagnostics& diagnostics,
                                              YamlField::Lines lines) {
  std::vector<AllowlistTemplate> templates;
  for (const YamlField& document : YamlField::parse(text, file, diagnostics, lines)) {
    if (expect_kind(document, "AllowlistTemplate")) {
      templates.push_back(read_template(document));
    }
  }
  return templates;
}

std::optional<TemplateReference> read_template_reference(const YamlField& field) {
  if (field.type() != YamlField::Type::kMap) {
    const WrittenWord name = word_of(field);
    return is_scalar(field) ? std::optional<TemplateReference>({name, {}, {}}) : std::nullopt;
  }
  field.only({"name", "groups", "params"});
  TemplateReference reference{{field["name"].text(), field.place(), field.path()}, {}, {}};
  const YamlField groups = field["groups"];
  if (groups.type() != YamlField::Type::kMissing) {
    reference.groups.emplace();
    const auto items = groups.items();
    for (const YamlField& item : items) {
      reference.groups->push_back(word_of(item));
    }
    if (items.empty() && (groups.type() == YamlField::Type::kNull || groups.type() == YamlField::Type::kList)) {
      groups.error("names none: name groups, or remove the field for all of them");
    }
  }
  for (const auto& [name, value] : field["params"].entries()) {
    reference.values.emplace_back(name, word_of(value));
  }
  return is_scalar(field["name"]) ? std::optional(std::move(reference)) : std::nullopt;
}

void use_template(const YamlField& field, const TemplateSet& templates, Policy& policy) {
  const auto reference = read_template_reference(field);
  if (!reference) {
    return;  // reported
  }
  const std::string via = "template " + reference->name.text + " at " + field.place().to_string();
  const std::size_t first = policy.allow_names.size();
  for (const TemplateEntry& entry : select_entries(*reference, templates, field.diagnostics())) {
    const Origin origin{entry.place, via};
    if (entry.cidr) {
      policy.allow_cidrs.push_back({*entry.cidr, {}, entry.ports, origin, {}, false});
    } else if (auto pattern = parse_pattern(entry.text)) {
      policy.allow_names.push_back({*pattern, entry.ports, origin, {}});
    }
  }
  if (const std::size_t count = policy.allow_names.size() - first; count > 0) {
    policy.shared_names.push_back({selection_of(*reference), first, count, nullptr});
  }
}

}  // namespace postern
