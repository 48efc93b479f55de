// SPDX-License-Identifier: Apache-2.0
#include "agent/policy_objects.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/kube/reader.h"
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
Policy stand_in_of(const PolicyResource& resource, const PolicyObject& object, const PolicyModel& partial) {
  Policy refused = named(resource, object);
  if (partial != nullptr) {
    refused.family = partial->family;
    refused.subject = partial->subject;
  }
  if (!refused.subject && (partial == nullptr || !resource.native)) {
    refused.subject = PodSelector{object.space.empty() ? std::nullopt : std::optional(object.space), {}, {}};
  }
  return stand_in_for(refused);
}

/// Each edit of an object is read and compiled on every node, by the loop that shuts new pods: who writes policies must
/// not be able to keep it busy for seconds.
bool is_too_large(const PolicyObject& object, const std::string& title, Diagnostics& found) {
  if (object.too_large) {
    found.error(
        {title, 0, 0}, "",
        "larger than " + std::to_string(kPolicyBytesMax >> 10) + " KiB: split it, or move its names into templates");
  }
  return found.failed();
}

}  // namespace

bool PolicyObjects::put(const PolicyResource& resource, const PolicyObject& object) {
  const auto [found, fresh] = entries_.try_emplace(object.uid);
  Entry& entry = found->second;
  const bool changed = fresh || entry.object.text != object.text || entry.object.too_large != object.too_large;
  // Only what was found right, or is on record as that: of two edits before a load the first was judged by nobody.
  const bool was_right = entry.judged ? entry.problem.empty() : !entry.told && entry.good_text.empty();
  if (changed && !fresh && was_right) {
    entry.good_text = std::move(entry.object.text);
  }
  entry.resource = &resource;
  entry.object = object;
  entry.judged = entry.judged && !changed;
  entry.parsed_now = entry.parsed_now && !changed;
  entry.told = true;
  record_changed_ = record_changed_ || changed;
  return changed;
}

bool PolicyObjects::remove(const std::string& uid) {
  const bool known = entries_.erase(uid) != 0;
  record_changed_ = record_changed_ || known;
  return known;
}

void PolicyObjects::forget_untold() {
  const auto forgotten = std::erase_if(entries_, [](const auto& each) { return !each.second.told; });
  record_changed_ = record_changed_ || forgotten != 0;
}

std::string PolicyObjects::record() {
  auto list = nlohmann::json::array();
  for (const auto& [uid, entry] : entries_) {
    const PolicyObject& object = entry.object;
    list.push_back({{"kind", entry.resource->name},
                    {"uid", uid},
                    {"namespace", object.space},
                    {"name", object.name},
                    {"generation", object.generation},
                    {"text", object.text},
                    {"too_large", object.too_large},
                    {"good_text", entry.good_text}});
  }
  record_changed_ = false;
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
      object.too_large = each.value("too_large", false);
      if (resource != nullptr && put(*resource, object)) {
        Entry& entry = entries_.at(object.uid);
        entry.told = false;
        entry.good_text = each.value("good_text", "");
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

void PolicyObjects::Entry::judge(const std::string& found) {
  judged = true;
  problem = found;
}

// ---- templates ----

std::string PolicyObjects::template_texts() const {
  std::string texts;
  for (const auto& [uid, entry] : entries_) {
    if (entry.is_template()) {
      texts += entry.title() + "\n" + entry.object.text + entry.good_text;
    }
  }
  return texts;
}

void PolicyObjects::parse_template(Entry& entry) {
  if (std::exchange(entry.parsed_now, true)) {
    return;
  }
  Diagnostics own;
  entry.parsed.clear();
  if (!is_too_large(entry.object, entry.title(), own)) {
    entry.parsed =
        read_templates(entry.resource->text_of(entry.object.text), entry.title(), own, YamlField::Lines::kMeaningless);
  }
  entry.parse_problem = own.failed() ? own.to_error().message() : "";
  if (entry.linked.empty() && !entry.good_text.empty()) {  // of a posternd before
    Diagnostics former;
    auto read =
        read_templates(entry.resource->text_of(entry.good_text), entry.title(), former, YamlField::Lines::kMeaningless);
    entry.linked = former.failed() ? std::vector<AllowlistTemplate>() : std::move(read);
  }
}

/// Every template object that says something, and no name of a file's. The verdict is that it is right, until linking
/// finds otherwise.
std::vector<PolicyObjects::Candidate> PolicyObjects::candidates(const std::vector<AllowlistTemplate>& of_files) {
  std::vector<Candidate> list;
  for (Entry* entry : entries(true)) {
    parse_template(*entry);
    entry->former_used = false;
    const auto same = std::ranges::find(of_files, entry->object.name, &AllowlistTemplate::name);
    if (same != of_files.end()) {
      entry->judge(entry->title() + ": metadata.name: the file " + same->place.to_string() +
                   " has a template of this name, which comes first: rename one");
      entry->linked.clear();
      continue;
    }
    entry->judge(entry->parse_problem);
    if (entry->parse_problem.empty() || !entry->linked.empty()) {
      list.push_back({entry, !entry->parse_problem.empty()});
    }
  }
  return list;
}

/// Those that the errors are in go back to what they were, or out. @return false if they are in none.
bool PolicyObjects::step_back(std::vector<Candidate>& candidates, const Diagnostics& found) {
  bool stepped = false;
  std::erase_if(candidates, [&](Candidate& candidate) {
    Diagnostics own;
    for (const Diagnostic& each : found.errors()) {
      if (is_in(each.place, candidate.entry->title())) {
        own.error(each.place, each.field, each.message);
      }
    }
    if (!own.failed()) {
      return false;
    }
    stepped = true;
    if (candidate.entry->problem.empty()) {
      candidate.entry->judge(own.to_error().message());
    }
    return std::exchange(candidate.former, true) || candidate.entry->linked.empty();
  });
  return stepped;
}

TemplateSet PolicyObjects::link(std::vector<AllowlistTemplate> of_files, Diagnostics& diagnostics) {
  std::vector<Candidate> list = candidates(of_files);
  Diagnostics alone;
  TemplateSet linked = link_templates(of_files, alone);
  while (!alone.failed() && !list.empty()) {
    std::vector<AllowlistTemplate> all = of_files;
    for (const Candidate& each : list) {
      std::ranges::copy(each.former ? each.entry->linked : each.entry->parsed, std::back_inserter(all));
    }
    Diagnostics together;
    TemplateSet trial = link_templates(std::move(all), together);
    if (!together.failed()) {
      for (const Candidate& each : list) {
        each.entry->former_used = each.former;
        if (!each.former) {
          each.entry->linked = each.entry->parsed;
          each.entry->good_text.clear();
        }
      }
      diagnostics.add(together);
      return trial;
    }
    if (!step_back(list, together)) {
      break;
    }
  }
  diagnostics.add(alone);
  return linked;
}

// ---- policies ----

/// Is it right, by these templates? What was refused is read again only when they, or the inventory, are others.
void PolicyObjects::judge_policy(Entry& entry, PolicySet& set, const TemplateSet& templates) {
  if (entry.judged && !entry.problem.empty() && entry.epoch == set.cache->epoch()) {
    return;
  }
  entry.epoch = set.cache->epoch();
  const std::string title = entry.title();
  const auto read = [&](const std::string& text, Diagnostics& found) {
    auto models =
        set.cache->read(entry.resource->text_of(text), title, templates, found, YamlField::Lines::kMeaningless);
    for (const PolicyModel& model : models) {
      entry.needs_inventory = entry.needs_inventory || model->needs_inventory();
      if (!found.failed()) {
        set.cache->compile({model}, set.inventory, found);
      }
    }
    return models;
  };
  Diagnostics own;
  entry.needs_inventory = false;
  auto now = is_too_large(entry.object, title, own) ? std::vector<PolicyModel>() : read(entry.object.text, own);
  if (!own.failed()) {
    entry.judge("");
    entry.good_text.clear();
    entry.good = std::move(now);
    entry.partial.reset();
    return;
  }
  entry.judge(own.to_error().message());
  entry.partial = now.empty() ? nullptr : now.front();
  if (entry.good.empty() && !entry.good_text.empty()) {  // of a posternd before
    Diagnostics former;
    auto before = read(entry.good_text, former);
    entry.good = former.failed() ? std::vector<PolicyModel>() : std::move(before);
  }
}

void PolicyObjects::add_policy_of(Entry& entry, PolicySet& set, const TemplateSet& templates) {
  const std::string key = named(*entry.resource, entry.object).key();
  if (const auto same = set.policies.find(key); same != set.policies.end()) {
    entry.judge(entry.title() + ": metadata.name: there is a policy of this name at " + same->second.place.to_string() +
                ", which comes first: rename one");
    entry.epoch = 0;
    entry.good.clear();
    entry.former_used = false;
    return;
  }
  judge_policy(entry, set, templates);
  need_inventory_ = need_inventory_ || entry.needs_inventory;
  Diagnostics again;
  for (const PolicyModel& model : entry.good) {
    add_policy(model, set, again);
  }
  for (const Diagnostic& warning : again.warnings()) {
    if (set.warnings.size() < kWarningsMax) {
      set.warnings.push_back(warning.to_string());
    }
  }
  const bool closed = entry.good.empty() || again.failed();
  entry.former_used = !closed && !entry.problem.empty();
  if (closed) {  // the latter: what was right does not go with the cluster as it is now
    set.policies.erase(key);
    Diagnostics none;
    add_policy(std::make_shared<const Policy>(stand_in_of(*entry.resource, entry.object, entry.partial)), set, none);
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
    verdicts.push_back({entry->resource, &entry->object, entry->problem, entry->former_used});
  }
  return verdicts;
}

}  // namespace postern
