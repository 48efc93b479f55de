// SPDX-License-Identifier: Apache-2.0
#include "policies/policy_cache.h"

#include <algorithm>
#include <utility>

#include "policies/policy_reader.h"

namespace postern {
namespace {

void tell(const std::vector<Diagnostic>& warnings, Diagnostics& diagnostics) {
  for (const Diagnostic& warning : warnings) {
    diagnostics.warn(warning.place, warning.field, warning.message);
  }
}

}  // namespace

void PolicyCache::begin_load(std::string_view templates, const Inventory& inventory) {
  loaded_ = true;
  if (templates != templates_) {
    files_.clear();
    shared_.clear();
    templates_ = templates;
    ++epoch_;
  }
  if (inventory != inventory_) {
    const bool of_all = inventory.pods != inventory_.pods;  // "from: pods" is in every policy
    std::erase_if(images_, [of_all](const auto& each) {
      return of_all ||
             std::ranges::any_of(each.first, [](const PolicyModel& model) { return model->needs_inventory(); });
    });
    inventory_ = inventory;
    ++epoch_;
  }
  const auto forget_unused = [](auto& known) {
    std::erase_if(known, [](const auto& each) { return !each.second.used; });
    for (auto& [key, value] : known) {
      value.used = false;
    }
  };
  forget_unused(files_);
  forget_unused(images_);
  std::erase_if(shared_, [](const auto& each) { return each.second.expired(); });
}

/// What policies take of a template is compiled once for all that take the same.
void PolicyCache::share_names(Policy& policy) {
  for (SharedNames& set : policy.shared_names) {
    auto& known = shared_[set.selection];
    set.matcher = known.lock();
    if (set.matcher == nullptr) {
      auto made = std::make_shared<NameMatcher>();
      for (std::size_t i = 0; i < set.count; ++i) {
        made->add(policy.allow_names[set.first + i].pattern, static_cast<std::uint32_t>(i));
      }
      made->freeze();
      set.matcher = made;
      known = made;
    }
  }
}

std::vector<PolicyModel> PolicyCache::read(std::string_view text,
                                           const std::string& file,
                                           const TemplateSet& templates,
                                           Diagnostics& diagnostics,
                                           YamlField::Lines lines) {
  if (const auto known = files_.find(file); known != files_.end() && known->second.text == text) {
    known->second.used = true;
    tell(known->second.warnings, diagnostics);
    return known->second.models;
  }
  ++counters_.files_read;
  Diagnostics own;
  std::vector<PolicyModel> models;
  for (Policy& policy : read_policies(text, file, templates, own, lines)) {
    if (!own.failed()) {
      share_names(policy);
    }
    models.push_back(std::make_shared<const Policy>(std::move(policy)));
  }
  if (!own.failed()) {
    files_[file] = {std::string(text), models, own.warnings(), true};
  }
  diagnostics.add(own);
  return models;
}

std::shared_ptr<const PolicyImage> PolicyCache::compile(const std::vector<PolicyModel>& models,
                                                        const Inventory& inventory,
                                                        Diagnostics& diagnostics) {
  // A change that began before an inventory came may still compile by the one before: that is not to be found later.
  const bool dated =
      loaded_ && (inventory.pods != inventory_.pods ||
                  (std::ranges::any_of(models, [](const PolicyModel& model) { return model->needs_inventory(); }) &&
                   inventory != inventory_));
  if (const auto known = images_.find(models); known != images_.end() && !dated) {
    known->second.used = true;
    tell(known->second.warnings, diagnostics);
    return known->second.image;
  }
  ++counters_.images_compiled;
  std::vector<const Policy*> policies;
  std::ranges::transform(models, std::back_inserter(policies), &PolicyModel::get);
  Diagnostics own;
  auto image = postern::compile(policies, inventory, own);
  if (image != nullptr && !dated) {
    images_[models] = {image, own.warnings(), true};
  }
  diagnostics.add(own);
  return image;
}

}  // namespace postern
