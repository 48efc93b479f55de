// SPDX-License-Identifier: Apache-2.0
//
// PolicyObjects: the cluster's policies and templates beside those of files, each judged by itself.
//
// Whoever may write objects in one namespace must not be able to keep the policies of others from being changed: so a
// refused object, unlike a refused file, stops nothing but itself. What was right of it last stays in force. When this
// posternd never knew it right, it denies everything to the pods that it selects and no other policy closes: they would
// be open because of a mistake. A policy or template of a file comes before an object of the same name.
// No I/O. Limit: PolicyWatch::kObjectsMax of a kind. Thread: posternd's loop.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kube/objects.h"
#include "agent/kube/policy_resource.h"
#include "policies/policy_set.h"

namespace postern {

class PolicyObjects {
 public:
  static constexpr std::size_t kWarningsMax = 100;  ///< Of all objects together, in one set.

  /// What the last load said of an object as it is now.
  struct Verdict {
    const PolicyResource* resource = nullptr;
    const PolicyObject* object = nullptr;
    std::string problem;        ///< A line each; empty: it is in force.
    bool former_stays = false;  ///< As it was before it became wrong.
  };

  /// @return whether policies must be loaded again: the object says something else than before.
  bool put(const PolicyResource& resource, const PolicyObject& object);
  bool remove(const std::string& uid);
  /// The API server has told all of its objects: forgets those of restore() that were not among them.
  void forget_untold();
  /// Null: there is none of this uid.
  const PolicyObject* find(const std::string& uid) const;

  /// Links the templates of files with those of objects. Errors in the former go to *diagnostics, the latter's are the
  /// object's. Whoever calls this adds the policies to the same set next.
  TemplateSet link(std::vector<AllowlistTemplate> of_files, Diagnostics& diagnostics);
  /// The text of all templates that link() takes, for PolicyCache::begin_load.
  std::string template_texts() const;
  /// Adds the policies to those of files, which are in the set by then, right or wrong.
  void add_to(PolicySet& set, const TemplateSet& templates);

  /// Whether a policy of the last load, of a file or an object, speaks of what only the whole inventory knows.
  bool need_inventory() const { return need_inventory_; }

  /// Of every object that has been loaded since it changed, by title.
  std::vector<Verdict> verdicts() const;

  /// Whether record() would give something else than it did last.
  bool record_changed() const { return record_changed_; }
  /// All objects, those that are refused also as they were right last, for restore() of the next posternd: it may start
  /// while the API server is away.
  std::string record();
  /// What record() gave. What is not that is left out: the API server will tell it.
  void restore(std::string_view record);

 private:
  struct Entry {
    const PolicyResource* resource = nullptr;
    PolicyObject object;
    bool judged = false;  // since it changed
    bool told = false;    // by the API server; false: restored
    std::string problem;
    bool former_used = false;  // it is refused, and in force as it was right last
    std::string good_text;     // of before it changed, if that was right and this is not, or not judged yet
    // Of a policy.
    std::vector<PolicyModel> good;  // as it was right last
    PolicyModel partial;            // what could be read of it, when it is refused
    bool needs_inventory = false;
    std::uint64_t epoch = 0;  // of the cache, when it was judged: what was refused is not read again in the same
    // Of a template.
    bool parsed_now = false;  // since it changed
    std::string parse_problem;
    std::vector<AllowlistTemplate> parsed;
    std::vector<AllowlistTemplate> linked;  // as it was right last

    std::string title() const { return resource->title_of(object); }
    bool is_template() const { return resource->kind == "AllowlistTemplate"; }
    void judge(const std::string& found);
  };
  /// A template that takes part in linking, as it is now or as it was right last.
  struct Candidate {
    Entry* entry = nullptr;
    bool former = false;
  };

  std::vector<Entry*> entries(bool templates);
  static void parse_template(Entry& entry);
  std::vector<Candidate> candidates(const std::vector<AllowlistTemplate>& of_files);
  static bool step_back(std::vector<Candidate>& candidates, const Diagnostics& found);
  void judge_policy(Entry& entry, PolicySet& set, const TemplateSet& templates);
  void add_policy_of(Entry& entry, PolicySet& set, const TemplateSet& templates);

  std::map<std::string, Entry> entries_;  // by uid
  bool need_inventory_ = false;
  bool record_changed_ = false;
};

}  // namespace postern
