// SPDX-License-Identifier: Apache-2.0
#include "policies/template_reader.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "policies/native_reader.h"

namespace postern {
namespace {

using Values = std::map<std::string, std::string>;

/// The text with each {parameter} replaced. @return what is wrong, if anything.
Result<std::string> expand(std::string_view text, const Values& values) {
  std::string out;
  while (true) {
    const auto open = text.find('{');
    out += text.substr(0, open);
    if (open == std::string_view::npos) {
      return out;
    }
    const auto close = text.find('}', open);
    if (close == std::string_view::npos) {
      return Error(Errc::kInvalid, "\"{\" without \"}\"");
    }
    const std::string name(text.substr(open + 1, close - open - 1));
    const auto value = values.find(name);
    if (value == values.end()) {
      return Error(Errc::kInvalid, "parameter {" + printable(name) + "} is not declared in spec.parameters");
    }
    out += value->second;
    text.remove_prefix(close + 1);
  }
}

Values fallbacks(const AllowlistTemplate& object) {
  Values values;
  for (const TemplateParameter& parameter : object.parameters) {
    values[parameter.name] = parameter.fallback;
  }
  return values;
}

TemplateEntry read_entry(const YamlField& rule, const Values& values) {
  TemplateEntry entry;
  if (!rule.only({"group", "purpose", "names", "cidrs", "ports"})) {
    return entry;
  }
  entry.group = rule["group"].text();
  entry.purpose = rule["purpose"].text();
  entry.ports = read_ports(rule["ports"], PortSet::https());
  for (const YamlField& item : rule["names"].items()) {
    const std::string text = item.text();
    auto expanded = expand(text, values);
    if (!expanded) {
      item.error(expanded.error().message());
    } else if (read_pattern(item, *expanded)) {
      entry.names.emplace_back(text, item.place());
    }
  }
  for (const YamlField& item : rule["cidrs"].items()) {
    auto prefix = Prefix::parse(item.text());
    if (!prefix) {
      item.error(prefix.error().message());
    } else {
      entry.cidrs.emplace_back(*prefix, item.place());
    }
  }
  if (!rule["names"].present() && !rule["cidrs"].present()) {
    rule.error("names no destination: give names or cidrs");
  }
  return entry;
}

AllowlistTemplate read_template(const YamlField& document) {
  document.only({"apiVersion", "kind", "metadata", "spec"});
  AllowlistTemplate object;
  object.name = read_object_name(document);
  object.place = document.place();
  const YamlField spec = document["spec"];
  spec.only({"purpose", "parameters", "allow"});
  object.purpose = spec["purpose"].text();
  for (const YamlField& item : spec["parameters"].items()) {
    if (!item.only({"name", "purpose", "default"})) {
      continue;
    }
    TemplateParameter parameter{item["name"].text(), item["purpose"].text(), item["default"].text()};
    if (std::ranges::find(object.parameters, parameter.name, &TemplateParameter::name) != object.parameters.end()) {
      item["name"].error("parameter \"" + printable(parameter.name) + "\" is there twice: remove one");
    }
    object.parameters.push_back(std::move(parameter));
  }
  if (!spec["allow"].present()) {
    spec["allow"].error("is missing: a template lists what it opens");
  }
  for (const YamlField& rule : spec["allow"].items()) {
    object.entries.push_back(read_entry(rule, fallbacks(object)));
  }
  return object;
}

template <typename Names>
std::string join(const Names& names) {
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : ", ") + name;
  }
  return text.empty() ? "none" : text;
}

/// What a reference asks for, checked against the template.
struct Selection {
  std::set<std::string> groups;  // empty: all
  Values values;
};

Selection read_selection(const YamlField& reference, const AllowlistTemplate& object) {
  Selection selection{.groups = {}, .values = fallbacks(object)};
  if (reference.type() != YamlField::Type::kMap) {
    return selection;
  }
  reference.only({"name", "groups", "params"});
  std::set<std::string> known;
  for (const TemplateEntry& entry : object.entries) {
    known.insert(entry.group);
  }
  const YamlField groups = reference["groups"];
  const auto items = groups.items();
  if (groups.type() != YamlField::Type::kMissing && items.empty()) {
    groups.error("names none: name groups (" + join(known) + "), or remove the field for all of them");
  }
  for (const YamlField& item : items) {
    const std::string group = item.text();
    if (!known.contains(group)) {
      item.error("template " + object.name + " has no group \"" + printable(group) + "\": it has " + join(known));
    }
    selection.groups.insert(group);
  }
  for (const auto& [name, value] : reference["params"].entries()) {
    if (!selection.values.contains(name)) {
      std::vector<std::string> parameters;
      for (const TemplateParameter& parameter : object.parameters) {
        parameters.push_back(parameter.name);
      }
      value.error("template " + object.name + " has no parameter \"" + printable(name) + "\": it has " +
                  join(parameters));
      continue;
    }
    const std::string text = value.text();
    const auto label = DnsName::from_text(text.empty() ? "?" : text);
    if (!text.empty() && (!label || label->label_count() != 1)) {
      value.error("\"" + printable(text) +
                  "\" is not one label of a name: write a word of letters, digits and hyphens, or \"*\" for any");
      continue;
    }
    selection.values[name] = text;
  }
  return selection;
}

}  // namespace

std::vector<AllowlistTemplate> read_templates(std::string_view text,
                                              const std::string& file,
                                              Diagnostics& diagnostics) {
  std::vector<AllowlistTemplate> templates;
  for (const YamlField& document : YamlField::parse(text, file, diagnostics)) {
    if (expect_kind(document, "AllowlistTemplate")) {
      templates.push_back(read_template(document));
    }
  }
  return templates;
}

void use_template(const YamlField& reference, const TemplateSet& templates, Policy& policy) {
  const std::string name = reference.type() == YamlField::Type::kMap ? reference["name"].text() : reference.text();
  const bool named = reference.type() == YamlField::Type::kMap ? reference["name"].type() == YamlField::Type::kScalar
                                                               : reference.type() == YamlField::Type::kScalar;
  if (!named) {
    return;  // reported by text()
  }
  const auto found = templates.find(name);
  if (found == templates.end()) {
    std::vector<std::string> known;
    for (const auto& [key, object] : templates) {
      known.push_back(key);
    }
    reference.error("there is no template \"" + printable(name) + "\": there is " + join(known));
    return;
  }
  const AllowlistTemplate& object = found->second;
  const Selection selection = read_selection(reference, object);
  const std::string via = "template " + object.name + " at " + reference.place().to_string();
  for (const TemplateEntry& entry : object.entries) {
    if (!selection.groups.empty() && !selection.groups.contains(entry.group)) {
      continue;
    }
    for (const auto& [text, place] : entry.names) {
      auto expanded = expand(text, selection.values);
      auto pattern = expanded ? read_pattern(reference, *expanded) : std::nullopt;
      if (pattern) {
        policy.allow_names.push_back({*pattern, entry.ports, {place, via}, {}});
      }
    }
    for (const auto& [prefix, place] : entry.cidrs) {
      policy.allow_cidrs.push_back({prefix, {}, entry.ports, {place, via}, {}, false});
    }
  }
}

}  // namespace postern
