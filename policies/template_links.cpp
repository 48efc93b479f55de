// SPDX-License-Identifier: Apache-2.0
#include "policies/template_links.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "policies/native_reader.h"
#include "policies/public_suffix.h"
#include "policies/template_values.h"

namespace postern {
namespace {

void report(const WrittenWord& word, std::string message, Diagnostics& diagnostics) {
  diagnostics.error(word.place, word.field, std::move(message));
}

/// A name as a pattern, each label that holds a {parameter} as any one label. Empty: it is neither name nor pattern.
std::optional<NamePattern> widest(std::string_view text) {
  std::string plain;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('.'), text.size());
    const std::string_view label = text.substr(0, end);
    const bool open = label.find('{') != std::string_view::npos;
    plain += open ? (plain.empty() ? "*{1}" : "*") : std::string(label);
    plain += end == text.size() ? "" : ".";
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  auto pattern = NamePattern::parse(plain, Dialect::kNative);
  return pattern ? std::optional(*pattern) : std::nullopt;
}

template <typename List, typename Field>
std::string joined(const List& list, Field field) {
  std::set<std::string> sorted;
  for (const auto& each : list) {
    sorted.insert(std::invoke(field, each));
  }
  std::string text;
  for (const std::string& each : sorted) {
    text += (text.empty() ? "" : ", ") + each;
  }
  return text.empty() ? "none" : text;
}

bool check_groups(const TemplateReference& reference, const AllowlistTemplate& object, Diagnostics& diagnostics) {
  bool right = true;
  for (const WrittenWord& group : reference.groups.value_or(std::vector<WrittenWord>())) {
    if (std::ranges::find(object.groups, group.text, &TemplateGroup::name) == object.groups.end()) {
      report(group,
             "template " + object.name + " has no group \"" + printable(group.text) + "\": it has " +
                 joined(object.groups, &TemplateGroup::name),
             diagnostics);
      right = false;
    }
  }
  return right;
}

/// The value of every parameter of a template, as a reference gives them.
/// `outer` are the parameters of the template that extends it: a value may be one of them, as {name}, and one that
/// is not given is the outer parameter of the same name.
TemplateValues values_of(const TemplateReference& reference,
                         const AllowlistTemplate& object,
                         const std::vector<TemplateParameter>& outer,
                         Diagnostics& diagnostics) {
  TemplateValues values = fallbacks_of(object);
  for (const TemplateParameter& parameter : outer) {
    if (const auto same = values.find(parameter.name); same != values.end()) {
      same->second = "{" + parameter.name + "}";
    }
  }
  for (const auto& [name, value] : reference.values) {
    const auto known = values.find(name);
    if (known == values.end()) {
      report(value,
             "template " + object.name + " has no parameter \"" + printable(name) + "\": it has " +
                 joined(object.parameters, &TemplateParameter::name),
             diagnostics);
      continue;
    }
    const bool passed_on =
        value.text.size() > 2 && value.text.front() == '{' && value.text.back() == '}' &&
        std::ranges::find(outer, value.text.substr(1, value.text.size() - 2), &TemplateParameter::name) != outer.end();
    if (const auto right = check_value(value.text); !passed_on && !right) {
      report(value, right.error().message(), diagnostics);
      continue;
    }
    known->second = value.text;
  }
  return values;
}

const AllowlistTemplate* find_template(const TemplateReference& reference,
                                       const TemplateSet& templates,
                                       Diagnostics& diagnostics) {
  const auto found = templates.find(reference.name.text);
  if (found != templates.end()) {
    return &found->second;
  }
  report(reference.name,
         "there is no template \"" + printable(reference.name.text) + "\": there is " +
             joined(templates, &TemplateSet::value_type::first),
         diagnostics);
  return nullptr;
}

/// The entries of the groups that a reference names, with the values in place.
std::vector<TemplateEntry> take(const TemplateReference& reference,
                                const AllowlistTemplate& object,
                                const TemplateValues& values) {
  std::set<std::string> groups;
  for (const WrittenWord& group : reference.groups.value_or(std::vector<WrittenWord>())) {
    groups.insert(group.text);
  }
  std::vector<TemplateEntry> entries;
  for (const TemplateEntry& entry : object.entries) {
    if (reference.groups && !groups.contains(entry.group)) {
      continue;
    }
    entries.push_back(entry);
    if (!entry.cidr) {
      // Read with fallbacks, so that its parameters are all declared.
      entries.back().text = expand(entry.text, values).value();
    }
  }
  return entries;
}

/// Reported at the reference: a pattern that is none with these values, or opens the names of strangers.
void check_patterns(const TemplateReference& reference,
                    const std::vector<TemplateEntry>& entries,
                    const TemplateValues& values,
                    Diagnostics& diagnostics) {
  for (const TemplateEntry& entry : entries) {
    if (entry.cidr) {
      continue;
    }
    const auto text = expand(entry.text, values);
    const auto pattern = text ? parse_pattern(*text) : Result<NamePattern>(text.error());
    const auto right = !pattern             ? Result<>(pattern.error())
                       : entry.user_content ? Result<>()
                                            : check_strangers(*pattern, ", with other values");
    if (!right) {
      report(reference.name, right.error().message(), diagnostics);
      return;  // the others are likely wrong in the same way
    }
  }
}

/// Leaves out inherited entries that a template has itself or inherits twice: they open nothing more.
void drop_repeated(const std::vector<TemplateEntry>& own, std::vector<TemplateEntry>& inherited) {
  std::set<std::pair<std::string, PortSet>> seen;
  for (const TemplateEntry& entry : own) {
    seen.emplace(entry.text, entry.ports);
  }
  std::erase_if(inherited, [&](const TemplateEntry& entry) { return !seen.emplace(entry.text, entry.ports).second; });
}

class Linker {
 public:
  Linker(TemplateSet raw, Diagnostics& diagnostics) : raw_(std::move(raw)), diagnostics_(diagnostics) {}

  TemplateSet run() {
    for (const auto& [name, object] : raw_) {
      link(object);
    }
    return std::move(linked_);
  }

 private:
  void link(const AllowlistTemplate& object) {
    if (linked_.contains(object.name)) {
      return;
    }
    open_.push_back(object.name);
    depth_[object.name] = 1;
    AllowlistTemplate whole = object;
    whole.entries.clear();
    if (object.extends.size() > kExtendsMax) {
      report(object.extends[kExtendsMax].name,
             "extends more than " + std::to_string(kExtendsMax) + " templates: join some of them", diagnostics_);
    } else {
      for (const TemplateReference& reference : object.extends) {
        inherit(reference, whole);
      }
    }
    for (const WrittenWord& name : object.except) {
      except_entries(name, whole.entries, diagnostics_);
    }
    drop_repeated(object.entries, whole.entries);
    std::ranges::copy(object.entries, std::back_inserter(whole.entries));
    open_.pop_back();
    linked_.emplace(object.name, std::move(whole));
  }

  void inherit(const TemplateReference& reference, AllowlistTemplate& whole) {
    if (std::ranges::find(open_, reference.name.text) != open_.end()) {
      std::string circle;
      for (auto at = std::ranges::find(open_, reference.name.text); at != open_.end(); ++at) {
        circle += *at + " -> ";
      }
      report(reference.name, "extends in a circle (" + circle + reference.name.text + "): remove this one",
             diagnostics_);
      return;
    }
    const AllowlistTemplate* raw = find_template(reference, raw_, diagnostics_);
    if (raw == nullptr) {
      return;
    }
    const bool too_deep = open_.size() >= kExtendsDepthMax;
    if (!too_deep) {
      link(*raw);
    }
    if (too_deep || depth_[raw->name] >= kExtendsDepthMax) {
      report(reference.name,
             "makes more than " + std::to_string(kExtendsDepthMax) +
                 " templates that extend each other in a row: extend one "
                 "nearer to the end",
             diagnostics_);
      return;
    }
    depth_[whole.name] = std::max(depth_[whole.name], depth_[raw->name] + 1);
    const AllowlistTemplate* parent = &linked_.at(raw->name);
    if (!check_groups(reference, *parent, diagnostics_)) {
      return;
    }
    if (inherited_ + parent->entries.size() > kInheritedMax) {
      report(reference.name,
             "templates inherit more than " + std::to_string(kInheritedMax) + " entries together: extend fewer",
             diagnostics_);
      return;
    }
    const TemplateValues values = values_of(reference, *parent, whole.parameters, diagnostics_);
    auto entries = take(reference, *parent, values);
    inherited_ += entries.size();
    check_patterns(reference, entries, fallbacks_of(whole), diagnostics_);
    for (const TemplateGroup& group : parent->groups) {
      const bool taken = std::ranges::find(entries, group.name, &TemplateEntry::group) != entries.end();
      if (taken && std::ranges::find(whole.groups, group.name, &TemplateGroup::name) == whole.groups.end()) {
        whole.groups.push_back(group);
      }
    }
    std::ranges::move(entries, std::back_inserter(whole.entries));
  }

  const TemplateSet raw_;
  Diagnostics& diagnostics_;
  TemplateSet linked_;
  std::vector<std::string> open_;             // those being linked, outermost first
  std::map<std::string, std::size_t> depth_;  // templates in a row behind each
  std::size_t inherited_ = 0;
};

}  // namespace

TemplateSet link_templates(std::vector<AllowlistTemplate> templates, Diagnostics& diagnostics) {
  TemplateSet raw;
  for (AllowlistTemplate& object : templates) {
    const std::string name = object.name;
    const Place place = object.place;
    const auto [first, added] = raw.try_emplace(name, std::move(object));
    if (!added) {
      diagnostics.error(
          place, "metadata.name",
          "template " + name + " exists already, at " + first->second.place.to_string() + ": rename or remove one");
    }
  }
  return Linker(std::move(raw), diagnostics).run();
}

std::vector<TemplateEntry> select_entries(const TemplateReference& reference,
                                          const TemplateSet& templates,
                                          Diagnostics& diagnostics) {
  const AllowlistTemplate* object = find_template(reference, templates, diagnostics);
  if (object == nullptr) {
    return {};
  }
  check_groups(reference, *object, diagnostics);
  auto entries = take(reference, *object, values_of(reference, *object, {}, diagnostics));
  check_patterns(reference, entries, {}, diagnostics);
  return entries;
}

void except_entries(const WrittenWord& name, std::vector<TemplateEntry>& entries, Diagnostics& diagnostics) {
  const auto pattern = NamePattern::parse(name.text, Dialect::kNative);
  const auto taken_out = [&](const TemplateEntry& entry) {
    const auto other = widest(entry.text);
    return entry.text == name.text || (pattern && other && !entry.cidr && pattern->covers(*other));
  };
  const auto removed = std::erase_if(entries, taken_out);
  // Patterns that only meet, as sts.*.example.com and *.files.example.com, are no contradiction.
  const auto still_opens = [&](const TemplateEntry& entry) {
    const auto other = widest(entry.text);
    return pattern && other && !entry.cidr &&
           (pattern->is_exact() ? PatternJoin::of(*other, *pattern).pattern.has_value() : other->covers(*pattern));
  };
  const auto open = std::ranges::find_if(entries, still_opens);
  if (open != entries.end()) {
    report(name,
           "\"" + printable(name.text) + "\" stays open by \"" + open->text + "\" (" + open->place.to_string() +
               "): except that, and list the names you need of it",
           diagnostics);
  } else if (removed == 0) {
    report(
        name,
        "\"" + printable(name.text) + "\" excepts nothing: write a name or pattern as the list has it, or remove this",
        diagnostics);
  }
}

}  // namespace postern
