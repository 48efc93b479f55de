// SPDX-License-Identifier: Apache-2.0
#include "policies/yaml_out.h"

#include <yaml-cpp/emitter.h>
#include <yaml-cpp/emittermanip.h>

#include <algorithm>
#include <cctype>
#include <string_view>

namespace postern {
namespace {

bool is_word_of_yaml(std::string_view text) {
  static constexpr std::string_view kWords[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
  return std::ranges::any_of(kWords, [&](std::string_view word) {
    return std::ranges::equal(word, text, {}, {}, [](char c) { return static_cast<char>(std::tolower(c)); });
  });
}

/// Would every reader take it for this text without quotes? Only what is certain.
bool is_plain_scalar(std::string_view text) {
  if (text.empty() || is_word_of_yaml(text)) {
    return false;
  }
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool begins = letter(text[0]) || (digit(text[0]) && text.find('/') != std::string_view::npos);
  return begins && std::ranges::all_of(text, [&](char c) {
           return letter(c) || digit(c) || c == '.' || c == '-' || c == '_' || c == '/';
         });
}

/// On one line whatever it holds.
std::string comment_text(std::string words) {
  std::ranges::replace_if(
      words, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return words;
}

}  // namespace

YamlOut YamlOut::list_of(const std::vector<std::string>& texts) {
  YamlOut made = list();
  for (const std::string& each : texts) {
    made.add(text(each));
  }
  return made;
}

YamlOut& YamlOut::add(YamlOut item) {
  items_.push_back(std::move(item));
  return *this;
}

YamlOut& YamlOut::set(std::string key, YamlOut value) {
  entries_.emplace_back(std::move(key), std::move(value));
  return *this;
}

YamlOut& YamlOut::comment(std::string words) {
  comment_ = std::move(words);
  return *this;
}

YamlOut& YamlOut::on_one_line() {
  one_line_ = true;
  return *this;
}

struct YamlWriter {
  YAML::Emitter out;

  void scalar(const std::string& text) {
    if (!is_plain_scalar(text)) {
      out << YAML::DoubleQuoted;
    }
    out << text;
  }

  /// @param inside  within brackets, where a comment would end the line too soon.
  void write(const YamlOut& value, bool inside) {
    const bool flow = inside || value.one_line_ || value.empty();
    switch (value.kind_) {
      case YamlOut::Kind::kText:
        scalar(value.value_);
        break;
      case YamlOut::Kind::kQuoted:
        out << YAML::DoubleQuoted << value.value_;
        break;
      case YamlOut::Kind::kNumber:
        out << value.value_;
        break;
      case YamlOut::Kind::kList:
        out << (flow ? YAML::Flow : YAML::Block) << YAML::BeginSeq;
        for (const YamlOut& item : value.items_) {
          write(item, flow);
        }
        out << YAML::EndSeq;
        break;
      case YamlOut::Kind::kMap:
        out << (flow ? YAML::Flow : YAML::Block) << YAML::BeginMap;
        for (const auto& [key, item] : value.entries_) {
          out << YAML::Key;
          scalar(key);
          out << YAML::Value;
          write(item, flow);
        }
        out << YAML::EndMap;
        break;
    }
    if (!value.comment_.empty() && !inside) {
      out << YAML::Comment(comment_text(value.comment_));
    }
  }
};

std::string to_yaml(const std::vector<YamlOut>& documents, const std::vector<std::string>& head) {
  std::string text;
  for (const std::string& line : head) {
    text += line.empty() ? "#\n" : "# " + comment_text(line) + "\n";
  }
  for (const YamlOut& document : documents) {
    YamlWriter writer;
    writer.write(document, false);
    text += (&document == documents.data() ? "" : "---\n") + std::string(writer.out.c_str()) + "\n";
  }
  return text;
}

}  // namespace postern
