// SPDX-License-Identifier: Apache-2.0
//
// LabelSelector: Kubernetes' selector syntax over labels with a source ("k8s:app=x").
//
// `app=x`, `app!=x`, `app`, `!app`, `app in (x,y)`, `app notin (x,y)`, joined by commas (all must hold).
// A key may begin with a source, "k8s:app"; without one, or with "any:", every source matches.
// Limits: kRequirementsMax. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace postern {

class LabelSelector {
 public:
  static constexpr std::size_t kRequirementsMax = 32;

  /// @return invalid, with the part that is not understood.
  static Result<LabelSelector> parse(std::string_view text);

  /// @param labels "source:key=value"; the value may be missing.
  template <typename Labels>
  bool matches(const Labels& labels) const {
    for (const Requirement& requirement : requirements_) {
      bool found = false;
      for (const auto& label : labels) {
        found = found || requirement.met_by(label);
      }
      if (found == requirement.negated) {
        return false;
      }
    }
    return true;
  }

 private:
  struct Requirement {
    std::string source;  ///< Empty: any.
    std::string key;
    std::vector<std::string> values;  ///< Empty: the key alone.
    bool negated = false;

    bool met_by(std::string_view label) const;
  };

  static Result<Requirement> parse_requirement(std::string_view text);

  std::vector<Requirement> requirements_;
};

}  // namespace postern
