// SPDX-License-Identifier: Apache-2.0
#include "policies/compose.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "policies/native_reader.h"
#include "policies/public_suffix.h"
#include "policies/template_links.h"

namespace postern {
namespace {

constexpr std::size_t kReferencesMax = 1000;  // a template with all combinations of values

WrittenWord word_of(const char* option, std::string text) { return {std::move(text), {}, option}; }

std::vector<std::string> split(std::string_view text, char by) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t end = std::min(text.find(by), text.size());
    parts.emplace_back(text.substr(0, end));
    if (end == text.size()) {
      return parts;
    }
    text.remove_prefix(end + 1);
  }
}

class Composer {
 public:
  Composer(const ComposeRequest& request, const TemplateSet& templates, Diagnostics& diagnostics)
      : request_(request), templates_(templates), diagnostics_(diagnostics) {}

  std::vector<ComposedEntry> run() {
    for (const std::string& asked : request_.templates) {
      take(asked);
    }
    check_parameters();
    take_out();
    for (const std::string& text : request_.add) {
      add(text);
    }
    return std::move(list_);
  }

 private:
  void take(const std::string& asked) {
    const std::size_t colon = asked.find(':');
    TemplateReference reference{word_of("TEMPLATE", asked.substr(0, colon)), {}, {}};
    if (colon != std::string::npos) {
      reference.groups.emplace();
      for (std::string& group : split(std::string_view(asked).substr(colon + 1), ',')) {
        reference.groups->push_back(word_of("TEMPLATE", std::move(group)));
      }
    }
    std::vector<TemplateReference> references{std::move(reference)};
    if (const auto known = templates_.find(references[0].name.text); known != templates_.end()) {
      for (const TemplateParameter& parameter : known->second.parameters) {
        give_values(parameter.name, references);
      }
    }
    for (const TemplateReference& each : references) {
      for (TemplateEntry& entry : select_entries(each, templates_, diagnostics_)) {
        EntryOrigin origin{each.name.text, entry.group, entry.home == each.name.text ? "" : entry.home, entry.place};
        merge(std::move(entry), std::move(origin));
      }
    }
  }

  /// A reference for each value of a parameter, where values were given.
  void give_values(const std::string& parameter, std::vector<TemplateReference>& references) {
    const auto given = request_.values.find(parameter);
    if (given == request_.values.end()) {
      return;
    }
    used_.insert(parameter);
    if (references.size() * given->second.size() > kReferencesMax) {
      diagnostics_.error({}, "--param " + parameter, "makes too many combinations of values: give fewer");
      return;
    }
    std::vector<TemplateReference> with_values;
    for (const TemplateReference& reference : references) {
      for (const std::string& value : given->second) {
        with_values.push_back(reference);
        with_values.back().values.emplace_back(parameter, word_of("--param", value));
      }
    }
    references = std::move(with_values);
  }

  void check_parameters() {
    for (const auto& [name, values] : request_.values) {
      if (!used_.contains(name)) {
        diagnostics_.error(
            {}, "--param " + printable(name),
            "none of these templates has such a parameter: `postern allowlist show TEMPLATE` lists them");
      }
    }
  }

  void take_out() {
    for (const std::string& name : request_.except) {
      std::vector<TemplateEntry> entries;
      for (ComposedEntry& composed : list_) {
        entries.push_back(composed.entry);
      }
      except_entries(word_of("--except", name), entries, diagnostics_);
      std::set<std::pair<std::string, PortSet>> left;
      for (const TemplateEntry& entry : entries) {
        left.emplace(entry.text, entry.ports);
      }
      std::erase_if(list_, [&](const ComposedEntry& composed) {
        return !left.contains({composed.entry.text, composed.entry.ports});
      });
    }
    index_.clear();
    for (std::size_t i = 0; i < list_.size(); ++i) {
      index_[{list_[i].entry.text, list_[i].entry.ports}] = i;
    }
  }

  void add(const std::string& text) {
    auto entry = parse_addition(text);
    if (!entry) {
      diagnostics_.error({}, "--add", entry.error().message());
      return;
    }
    merge(std::move(*entry), {"", "", "", {}});
  }

  /// What is there already on the same ports only gets one more origin.
  void merge(TemplateEntry entry, EntryOrigin origin) {
    const auto [known, added] = index_.try_emplace({entry.text, entry.ports}, list_.size());
    if (!added) {
      ComposedEntry& same = list_[known->second];
      same.entry.user_content = same.entry.user_content || entry.user_content;
      if (std::ranges::find(same.origins, origin.to_string(), &EntryOrigin::to_string) == same.origins.end()) {
        same.origins.push_back(std::move(origin));
      }
      return;
    }
    list_.push_back({std::move(entry), {std::move(origin)}});
  }

  const ComposeRequest& request_;
  const TemplateSet& templates_;
  Diagnostics& diagnostics_;
  std::vector<ComposedEntry> list_;
  std::map<std::pair<std::string, PortSet>, std::size_t> index_;
  std::set<std::string> used_;
};

}  // namespace

std::string EntryOrigin::to_string() const {
  if (template_name.empty()) {
    return "--add";
  }
  return template_name + "/" + group + (home.empty() ? "" : " (" + home + ")");
}

Result<TemplateEntry> parse_addition(std::string_view text) {
  TemplateEntry entry;
  std::string_view target = text;
  std::string_view port;
  if (const std::size_t close = text.find(']'); text.starts_with('[') && close != std::string_view::npos) {
    target = text.substr(1, close - 1);
    port = text.substr(std::min(close + 2, text.size()));
  } else if (std::ranges::count(text, ':') == 1) {
    target = text.substr(0, text.find(':'));
    port = text.substr(text.find(':') + 1);
  }
  const bool says_port = target.size() != text.size() && text.back() != ']';
  entry.ports = says_port ? PortSet() : PortSet::https();
  if (says_port) {
    if (const auto added = entry.ports.add(port); !added) {
      return added.error();
    }
  }
  entry.purpose = "added by hand";
  if (const auto prefix = Prefix::parse(target)) {
    entry.cidr = *prefix;
    entry.text = prefix->to_string();
    return entry;
  }
  const auto pattern = parse_pattern(target);
  if (!pattern) {
    return pattern.error();
  }
  if (const auto known = check_strangers(*pattern, ""); !known) {
    return known.error();
  }
  entry.text = pattern->text();
  return entry;
}

std::vector<ComposedEntry> compose(const ComposeRequest& request,
                                   const TemplateSet& templates,
                                   Diagnostics& diagnostics) {
  return Composer(request, templates, diagnostics).run();
}

Policy policy_of(const std::vector<ComposedEntry>& entries, std::string name) {
  Policy policy;
  policy.name = std::move(name);
  for (const ComposedEntry& composed : entries) {
    const TemplateEntry& entry = composed.entry;
    std::string via;
    for (const EntryOrigin& origin : composed.origins) {
      via += (via.empty() ? "" : ", ") + origin.to_string();
    }
    const Origin origin{entry.place, via + (entry.purpose.empty() ? "" : ": " + entry.purpose)};
    if (entry.cidr) {
      policy.allow_cidrs.push_back({*entry.cidr, {}, entry.ports, origin, {}, false});
    } else if (auto pattern = parse_pattern(entry.text)) {
      policy.allow_names.push_back({*pattern, entry.ports, origin, {}});
    }
  }
  return policy;
}

}  // namespace postern
