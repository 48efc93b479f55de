// SPDX-License-Identifier: Apache-2.0
//
// Every scalar of a YAML file, with the keys that lead to it: for files of other programs, whose form is theirs to
// check. Text in, values out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern {

struct YamlScalar {
  std::vector<std::string> path;  ///< Keys from the top; items of a list share their list's. Never empty.
  std::string value;
  int line = 0;
};

/// Empty also for text that is not YAML, or more than YamlField takes.
std::vector<YamlScalar> yaml_scalars(std::string_view text);

}  // namespace postern
