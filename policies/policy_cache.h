// SPDX-License-Identifier: Apache-2.0
//
// PolicyCache: what was read and compiled before, so that a change costs what it changes.
//
// A file with the same text under the same templates is not read again, and policies that are the very
// objects of before, under the same inventory, are not compiled again. Whatever had errors is not kept.
// Warnings are told again each time. One thread; bounded by what the last two loads used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policies/allowlist_template.h"
#include "policies/image.h"
#include "policies/yaml_field.h"

namespace postern {

using PolicyModel = std::shared_ptr<const Policy>;

class PolicyCache {
 public:
  /// How much work was done, and not saved.
  struct Counters {
    std::size_t files_read = 0;
    std::size_t images_compiled = 0;
  };

  /// Before a set is loaded: forgets what nobody asked for since the load before, and what other templates or
  /// another inventory gave (images of policies that do not look at it stay). @param templates  the text of all of them.
  void begin_load(std::string_view templates, const Inventory& inventory);
  /// The policies of a file's text. What is wrong goes to *diagnostics.
  std::vector<PolicyModel> read(std::string_view text,
                                const std::string& file,
                                const TemplateSet& templates,
                                Diagnostics& diagnostics,
                                YamlField::Lines lines = YamlField::Lines::kTold);
  /// The image of policies that select one sandbox. @return null: *diagnostics says why.
  std::shared_ptr<const PolicyImage> compile(const std::vector<PolicyModel>& models,
                                             const Inventory& inventory,
                                             Diagnostics& diagnostics);

  const Counters& counters() const { return counters_; }
  /// Another one after each begin_load with other templates or another inventory: what was refused in one epoch is in all
  /// of it.
  std::uint64_t epoch() const { return epoch_; }

 private:
  struct File {
    std::string text;
    std::vector<PolicyModel> models;
    std::vector<Diagnostic> warnings;
    bool used = true;
  };
  struct Compiled {
    std::shared_ptr<const PolicyImage> image;
    std::vector<Diagnostic> warnings;
    bool used = true;
  };

  void share_names(Policy& policy);

  std::string templates_;
  std::map<std::string, std::weak_ptr<const NameMatcher>> shared_;  // by selection; they live in the policies
  Inventory inventory_;
  bool loaded_ = false;  // begin_load was called: without it there is one inventory
  std::map<std::string, File> files_;
  std::map<std::vector<PolicyModel>, Compiled> images_;  // the keys keep the models, so none is another's address
  Counters counters_;
  std::uint64_t epoch_ = 1;
};

}  // namespace postern
