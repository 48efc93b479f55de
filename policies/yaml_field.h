// SPDX-License-Identifier: Apache-2.0
//
// YamlField: a YAML value that knows its place and path, read strictly.
//
// A key that is not asked for is an error, and so is a wrong type: a policy that says more than is
// enforced would be a lie. The only file that includes yaml-cpp is yaml_field.cpp; its exceptions
// end there. Refused: anchors and aliases (a few of them make gigabytes), duplicate keys, tags.
// Limits: kFileMax bytes, kDepthMax nested collections, kNodesMax nodes, kKeysMax keys of a map.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policies/diagnostics.h"

namespace postern {

class YamlField {
 public:
  static constexpr std::size_t kFileMax = 4u << 20;
  static constexpr int kDepthMax = 16;
  static constexpr std::size_t kNodesMax = 400'000;
  static constexpr std::size_t kKeysMax = 1000;  // of one map

  enum class Type { kMissing, kNull, kScalar, kList, kMap };
  /// Whether a person can look a line up. In an object of the API server nobody can: there the file is the object's
  /// title, and places give the field's path instead.
  enum class Lines { kTold, kMeaningless };

  /// Every document of a file. On error *diagnostics says what, and the list is empty.
  static std::vector<YamlField> parse(std::string_view text,
                                      const std::string& file,
                                      Diagnostics& diagnostics,
                                      Lines lines = Lines::kTold);

  Type type() const;
  bool present() const { return type() != Type::kMissing && type() != Type::kNull; }
  Place place() const;
  const std::string& path() const { return path_; }
  Diagnostics& diagnostics() const;  ///< Where error() and warn() go.
  void error(std::string message) const;
  void warn(std::string message) const;

  /// Reports every key of this map that is not in `known`, suggesting the nearest.
  /// @return false if this is something other than a map, which is reported too: nothing in it can be read then.
  bool only(std::initializer_list<std::string_view> known) const;
  YamlField operator[](std::string_view key) const;
  std::vector<YamlField> items() const;                            ///< Of a list; else reports and gives none.
  std::vector<std::pair<std::string, YamlField>> entries() const;  ///< Of a map; else reports and gives none.

  /// The scalar's text. Wrong type: reported, and empty.
  std::string text() const;
  /// The text, or `otherwise` when the field is not there.
  std::string text_or(std::string_view otherwise) const;
  /// A whole number from min to max; else reported, and `otherwise`.
  std::int64_t number_or(std::int64_t otherwise, std::int64_t min, std::int64_t max) const;
  bool flag_or(bool otherwise) const;
  /// One of these words; else reported, and the first.
  std::string word_or(std::string_view otherwise, std::initializer_list<std::string_view> words) const;

 private:
  struct Document;
  YamlField(std::shared_ptr<Document> document, std::size_t node, std::string path);
  YamlField child(std::size_t node, std::string path) const;
  Place at(int line, int column) const;  ///< Of a diagnostic, which gives the path itself.

  std::shared_ptr<Document> document_;
  std::size_t node_ = 0;
  std::size_t parent_ = 0;  // of a missing field: the map it is missing from
  std::string path_;
};

}  // namespace postern
