// SPDX-License-Identifier: Apache-2.0
//
// YamlOut: a YAML value to be written, with comments. The counterpart of YamlField.
//
// Built as a tree and written at once, so that a writer can drop what turned out empty. Text is quoted
// wherever YAML 1.1 or 1.2 would read something other than these letters. Thread: any; a plain value.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace postern {

class YamlOut {
 public:
  static YamlOut text(std::string value) { return {Kind::kText, std::move(value)}; }
  /// Text in quotes whatever it is: for fields whose type is a string and whose value looks like a number.
  static YamlOut quoted(std::string value) { return {Kind::kQuoted, std::move(value)}; }
  static YamlOut number(std::int64_t value) { return {Kind::kNumber, std::to_string(value)}; }
  static YamlOut flag(bool value) { return {Kind::kNumber, value ? "true" : "false"}; }
  static YamlOut list() { return {Kind::kList, ""}; }
  static YamlOut list_of(const std::vector<std::string>& texts);
  static YamlOut map() { return {Kind::kMap, ""}; }

  /// To a list. @return this.
  YamlOut& add(YamlOut item);
  /// To a map, behind the keys it has. @return this.
  YamlOut& set(std::string key, YamlOut value);
  /// A comment behind a scalar, on its line.
  YamlOut& comment(std::string words);
  /// In brackets on one line, as far as it has no comments inside.
  YamlOut& on_one_line();

  bool empty() const { return items_.empty() && entries_.empty(); }

 private:
  enum class Kind { kText, kQuoted, kNumber, kList, kMap };
  friend struct YamlWriter;

  YamlOut(Kind kind, std::string value) : kind_(kind), value_(std::move(value)) {}

  Kind kind_;
  std::string value_;
  std::string comment_;
  bool one_line_ = false;
  std::vector<YamlOut> items_;
  std::vector<std::pair<std::string, YamlOut>> entries_;
};

/// A file of these documents; `head` are comment lines at its top.
std::string to_yaml(const std::vector<YamlOut>& documents, const std::vector<std::string>& head);

}  // namespace postern
