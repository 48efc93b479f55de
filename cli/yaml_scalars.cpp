// SPDX-License-Identifier: Apache-2.0
#include "cli/yaml_scalars.h"

#include <utility>

#include "policies/yaml_field.h"

namespace postern {
namespace {

void walk(const YamlField& field, const std::vector<std::string>& path, std::vector<YamlScalar>& scalars) {
  switch (field.type()) {
    case YamlField::Type::kScalar:
      if (!path.empty()) {
        scalars.push_back({path, field.text(), field.place().line});
      }
      break;
    case YamlField::Type::kList:
      for (const YamlField& item : field.items()) {
        walk(item, path, scalars);
      }
      break;
    case YamlField::Type::kMap:
      for (const auto& [key, value] : field.entries()) {
        std::vector<std::string> below = path;
        below.push_back(key);
        walk(value, below, scalars);
      }
      break;
    default:
      break;
  }
}

}  // namespace

std::vector<YamlScalar> yaml_scalars(std::string_view text) {
  Diagnostics ignored;
  std::vector<YamlScalar> scalars;
  for (const YamlField& document : YamlField::parse(text, "", ignored)) {
    walk(document, {}, scalars);
  }
  return scalars;
}

}  // namespace postern
