// SPDX-License-Identifier: Apache-2.0
#include "agent/policy_objects.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "policies/template_links.h"
#include "policies/template_reader.h"

namespace postern {
namespace {

/// A place in an object is its title, with a path behind it.
bool is_in(const Place& place, const std::string& title) {
  return place.file.starts_with(title) && (place.file.size() == title.size() || place.file[title.size()] == ' ');
}

/// What an object is known by, whether or not it can be read.
Policy named(const PolicyResource& resource, const PolicyObject& object) {
  Policy policy;
  policy.kind = resource.kind;
  policy.group = resource.name == resource.kind ? "" : std::string(resource.group);
  policy.name = object.name;
  policy.space = object.space;
  policy.place = {resource.title_of(object), 0, 0};
  return policy;
}

/// For the pods that the refused object is for, or, where not even that can be read, for all that it could be for.
Policy stand_in_of(const PolicyResource& resource, const PolicyObject& object, const std::vector<PolicyModel>& read) {
  Policy refused = named(resource, object);
  if (!read.empty()) {
    refused.family = read.front()->family;
    refused.subject = read.front()->subject;
  }
  if (!refused.subject && (read.empty() || !resource.native)) {
    refused.subject = PodSelector{object.space.empty() ? std::nullopt : std::optional(object.space), {}, {}};
  }
  return stand_in_for(refused);
}

}  // namespace

bool PolicyObjects::put(const PolicyResource& resource, const PolicyObject& object) {
  const auto [found, fresh] = entries_.try_emplace(object.uid);
  Entry& entry = found->second;
  const bool changed = fresh || entry.object.text != object.text;
  entry.resource = &resource;
  entry.object = object;
  entry.judged = entry.judged && !changed;
  entry.told = true;
  return changed;
}

bool PolicyObjects::remove(const std::string& uid) { return entries_.erase(uid) != 0; }

void PolicyObjects::forget_untold() {
  std::erase_if(entries_, [](const auto& each) { return !each.second.told; });
}

std::string PolicyObjects::record() const {
  auto list = nlohmann::json::array();
  for (const auto& [uid, entry] : entries_) {
    const PolicyObject& object = entry.object;
    list.push_back({{"kind", entry.resource->name},
                    {"uid", uid},
                    {"namespace", object.space},
                    {"name", object.name},
                    {"generation", object.generation},
                    {"text", object.text}});
  }
  return list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void PolicyObjects::restore(std::string_view record) {
  const auto list = nlohmann::json::parse(record, nullptr, false);
  if (!list.is_array()) {
    return;
  }
  for (const auto& each : list) {
    try {
      const PolicyResource* resource = find_policy_resource(each.at("kind").get<std::string>());
      PolicyObject object;
      object.uid = each.at("uid").get<std::string>();
      object.space = each.at("namespace").get<std::string>();
      object.name = each.at("name").get<std::string>();
      object.generation = each.at("generation").get<std::int64_t>();
      object.text = each.at("text").get<std::string>();
      if (resource != nullptr && put(*resource, object)) {
        entries_.at(object.uid).told = false;
      }
    } catch (const nlohmann::json::exception&) {
      continue;  // of another version
    }
  }
}

const PolicyObject* PolicyObjects::find(const std::string& uid) const {
  const auto found = entries_.find(uid);
  return found == entries_.end() ? nullptr : &found->second.object;
}

/// In the order of their titles, so that every node and every load judges alike.
std::vector<PolicyObjects::Entry*> PolicyObjects::entries(bool templates) {
  std::vector<Entry*> list;
  for (auto& [uid, entry] : entries_) {
    if (entry.is_template() == templates) {
      list.push_back(&entry);
    }
  }
  std::ranges::sort(list, {}, [](const Entry* entry) { return entry->title(); });
  return list;
}

void PolicyObjects::Entry::judge(const Diagnostics& found) {
  judged = true;
  problem = found.failed() ? found.to_error().message() : "";
}

bool PolicyObjects::Entry::is_too_large(Diagnostics& found) const {
  if (object.text.size() > kTextMax) {
    found.error({title(), 0, 0}, "",
                "larger than " + std::to_string(kTextMax >> 10) + " KiB: split it, or move its names into templates");
  }
  return found.failed();
}

// ---- templates ----

std::string PolicyObjects::template_texts() const {
  std::string texts;
  for (const auto& [uid, entry] : entries_) {
    if (entry.is_template()) {
      texts += entry.title() + "\n" + entry.object.text;
    }
  }
  return texts;
}

void PolicyObjects::read_template(Entry& entry, const std::vector<AllowlistTemplate>& of_files) {
  Diagnostics own;
  std::vector<AllowlistTemplate> read;
  if (!entry.is_too_large(own)) {
    read = read_templates(entry.resource->text_of(entry.object), entry.title(), own, YamlField::Lines::kMeaningless);
  }
  for (const AllowlistTemplate& each : read) {
    const auto same = std::ranges::find(of_files, each.name, &AllowlistTemplate::name);
    if (same != of_files.end()) {
      own.error({entry.title(), 0, 0}, "metadata.name",
                "the file " + same->place.to_string() + " has a template of this name, which comes first: rename one");
    }
  }
  entry.judge(own);
  if (!own.failed()) {
    entry.good_templates = std::move(read);
  }
}

TemplateSet PolicyObjects::link(std::vector<AllowlistTemplate> of_files, Diagnostics& diagnostics) {
  std::vector<Entry*> objects = entries(true);
  for (Entry* entry : objects) {
    read_template(*entry, of_files);
  }
  Diagnostics alone;
  TemplateSet linked = link_templates(of_files, alone);
  while (!alone.failed() && !objects.empty()) {
    std::vector<AllowlistTemplate> all = of_files;
    for (const Entry* entry : objects) {
      std::ranges::copy(entry->good_templates, std::back_inserter(all));
    }
    Diagnostics together;
    TemplateSet trial = link_templates(std::move(all), together);
    if (!together.failed()) {
      diagnostics.add(together);
      return trial;
    }
    // Those that the errors are in are left out, and the rest is tried again: each turn there are fewer.
    const std::size_t left = std::erase_if(objects, [&](Entry* entry) {
      Diagnostics own;
      for (const Diagnostic& each : together.errors()) {
        if (is_in(each.place, entry->title())) {
          own.error(each.place, each.field, each.message);
        }
      }
      if (own.failed()) {
        entry->judge(own);
      }
      return own.failed();
    });
    if (left == 0) {
      break;
    }
  }
  diagnostics.add(alone);
  return linked;
}

// ---- policies ----

void PolicyObjects::add_policy_of(Entry& entry, PolicySet& set, const TemplateSet& templates) {
  Diagnostics own;
  const std::string title = entry.title();
  const std::string key = named(*entry.resource, entry.object).key();
  if (const auto same = set.policies.find(key); same != set.policies.end()) {
    own.error(
        {title, 0, 0}, "metadata.name",
        "there is a policy of this name at " + same->second.place.to_string() + ", which comes first: rename one");
    entry.judge(own);
    entry.good.clear();
    return;
  }
  std::vector<PolicyModel> read;
  if (!entry.is_too_large(own)) {
    read =
        set.cache->read(entry.resource->text_of(entry.object), title, templates, own, YamlField::Lines::kMeaningless);
  }
  for (const PolicyModel& model : read) {
    need_inventory_ = need_inventory_ || model->needs_inventory();
    if (!own.failed()) {
      set.cache->compile({model}, set.inventory, own);
    }
  }
  entry.judge(own);
  if (!own.failed()) {
    entry.good = read;
  }
  Diagnostics again;
  for (const PolicyModel& model : entry.good) {
    need_inventory_ = need_inventory_ || model->needs_inventory();
    add_policy(model, set, again);
  }
  for (const Diagnostic& warning : again.warnings()) {
    if (set.warnings.size() < kWarningsMax) {
      set.warnings.push_back(warning.to_string());
    }
  }
  if (entry.good.empty() || again.failed()) {  // the latter: what was right does not go with the cluster as it is now
    entry.good.clear();
    set.policies.erase(key);
    Diagnostics none;
    add_policy(std::make_shared<const Policy>(stand_in_of(*entry.resource, entry.object, read)), set, none);
    set.policies.at(key).stand_in = true;
  }
}

void PolicyObjects::add_to(PolicySet& set, const TemplateSet& templates) {
  set.clashes_alone = true;
  need_inventory_ =
      std::ranges::any_of(set.policies, [](const auto& policy) { return policy.second.model->needs_inventory(); });
  for (Entry* entry : entries(false)) {
    add_policy_of(*entry, set, templates);
  }
}

std::vector<PolicyObjects::Verdict> PolicyObjects::verdicts() const {
  std::vector<const Entry*> judged;
  for (const auto& [uid, entry] : entries_) {
    if (entry.judged) {
      judged.push_back(&entry);
    }
  }
  std::ranges::sort(judged, {}, [](const Entry* entry) { return entry->title(); });
  std::vector<Verdict> verdicts;
  for (const Entry* entry : judged) {
    const bool former = !entry->problem.empty() && (!entry->good.empty() || !entry->good_templates.empty());
    verdicts.push_back({entry->resource, &entry->object, entry->problem, former});
  }
  return verdicts;
}

}  // namespace postern
