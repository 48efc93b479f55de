// SPDX-License-Identifier: Apache-2.0
//
// PolicySet: the policies and templates of several files, read and compiled together.
//
// posternd and `postern policy check` both build one, so that they judge alike. Text in, images
// out; whoever calls has read the files.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policies/image.h"

namespace postern {

/// A compiled policy and where its object begins.
struct LoadedPolicy {
  std::shared_ptr<const PolicyImage> image;  ///< Null if its file, or one before it, has errors.
  Place place;
};

struct PolicySet {
  std::map<std::string, LoadedPolicy> policies;  ///< By metadata.name.
  std::vector<std::string> warnings;             ///< A line each, with file and line.
};

/// Adds every AllowlistTemplate of a file. A name that is there already is an error.
void add_templates(std::string_view text, const std::string& file, TemplateSet& templates, Diagnostics& diagnostics);

/// Adds every EgressPolicy of a file, compiled unless *diagnostics has errors by then. A name that is
/// there already is an error.
void add_policies(std::string_view text,
                  const std::string& file,
                  const TemplateSet& templates,
                  PolicySet& set,
                  Diagnostics& diagnostics);

}  // namespace postern
