// SPDX-License-Identifier: Apache-2.0
#include "policies/yaml_field.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "base/log.h"

namespace postern {
namespace {

struct Entry {
  std::string key;
  std::size_t value = 0;
  int line = 0;  // of the key
  int column = 0;
};

struct Node {
  YamlField::Type type = YamlField::Type::kNull;
  int line = 0;
  int column = 0;
  std::string scalar;
  std::vector<Entry> map;
  std::vector<std::size_t> list;
};

/// Thrown out of the parser by our own handler: yaml-cpp offers no other way to stop it.
struct Refused {
  YAML::Mark mark;
  std::string message;
};

/// Builds our nodes from the parser's events, so that nothing is expanded before it is refused.
class Builder final : public YAML::EventHandler {
 public:
  std::vector<Node> take() { return std::move(nodes_); }
  const YAML::Mark& start() const { return start_; }  ///< Where the document began.

  void OnDocumentStart(const YAML::Mark& mark) override { start_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(mark, anchor, YamlField::Type::kNull); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Refused{mark, "aliases (*name) are not accepted: write the value out"};
  }
  void OnScalar(const YAML::Mark& mark,
                const std::string& tag,
                YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag);
    if (!open_.empty() && nodes_[open_.back()].type == YamlField::Type::kMap && !key_pending_) {
      take_key(mark, value);
      return;
    }
    const std::size_t node = add(mark, anchor, YamlField::Type::kScalar);
    nodes_[node].scalar = value;
  }
  void OnSequenceStart(const YAML::Mark& mark,
                       const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open(add(mark, anchor, YamlField::Type::kList), mark);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark,
                  const std::string& tag,
                  YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open(add(mark, anchor, YamlField::Type::kMap), mark);
  }
  void OnMapEnd() override { open_.pop_back(); }
  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    throw Refused{mark, "anchors (&name) are not accepted: write the value out"};
  }

 private:
  /// yaml-cpp says "?" of a plain value and "!" of a quoted one.
  static void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.size() > 1) {
      throw Refused{mark, "tags (" + printable(tag) + ") are not accepted: remove it"};
    }
  }

  void take_key(const YAML::Mark& mark, const std::string& value) {
    auto& map = nodes_[open_.back()].map;
    if (value == "<<") {
      throw Refused{mark, "merge keys (<<) are not accepted: write the fields out"};
    }
    if (std::ranges::any_of(map, [&](const Entry& entry) { return entry.key == value; })) {
      throw Refused{mark, "key \"" + printable(value) + "\" is there twice: remove one"};
    }
    if (map.size() >= YamlField::kKeysMax) {
      throw Refused{mark, "more than " + std::to_string(YamlField::kKeysMax) + " keys in one map"};
    }
    key_ = {value, 0, mark.line + 1, mark.column + 1};
    key_pending_ = true;
  }

  void open(std::size_t node, const YAML::Mark& mark) {
    if (open_.size() >= static_cast<std::size_t>(YamlField::kDepthMax)) {
      throw Refused{mark, "nested too deeply"};
    }
    open_.push_back(node);
  }

  std::size_t add(const YAML::Mark& mark, YAML::anchor_t anchor, YamlField::Type type) {
    if (anchor != 0) {
      OnAnchor(mark, "");
    }
    if (nodes_.size() >= YamlField::kNodesMax) {
      throw Refused{mark, "too many values in one file: split it"};
    }
    const std::size_t node = nodes_.size();
    Node& made = nodes_.emplace_back();
    made.type = type;
    made.line = mark.line + 1;
    made.column = mark.column + 1;
    if (!open_.empty()) {
      Node& parent = nodes_[open_.back()];
      if (parent.type == YamlField::Type::kList) {
        parent.list.push_back(node);
      } else if (key_pending_) {
        key_.value = node;
        parent.map.push_back(std::move(key_));
        key_pending_ = false;
      } else {
        throw Refused{mark, "a key must be a word"};
      }
    }
    return node;
  }

  std::vector<Node> nodes_;
  std::vector<std::size_t> open_;
  YAML::Mark start_ = YAML::Mark::null_mark();
  Entry key_;
  bool key_pending_ = false;
};

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (std::tolower(a[i - 1]) == std::tolower(b[j - 1]) ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, change}));
    }
  }
  return row.back();
}

std::string join(std::initializer_list<std::string_view> words) {
  std::string text;
  for (const std::string_view word : words) {
    text += (text.empty() ? "" : ", ") + std::string(word);
  }
  return text;
}

/// What to write instead of an unknown word: the nearest known one, or all of them.
std::string suggestion(std::string_view unknown, std::initializer_list<std::string_view> known) {
  const auto nearest =
      std::ranges::min_element(known, {}, [&](std::string_view word) { return edit_distance(unknown, word); });
  if (nearest != known.end() && edit_distance(unknown, *nearest) <= 2) {
    return "did you mean \"" + std::string(*nearest) + "\"?";
  }
  return "use one of " + join(known);
}

const char* name_of(YamlField::Type type) {
  switch (type) {
    case YamlField::Type::kMissing:
      return "nothing";
    case YamlField::Type::kNull:
      return "an empty value";
    case YamlField::Type::kScalar:
      return "a single value";
    case YamlField::Type::kList:
      return "a list";
    case YamlField::Type::kMap:
      return "a map";
  }
  return "something else";
}

constexpr std::size_t kMissing = static_cast<std::size_t>(-1);

}  // namespace

struct YamlField::Document {
  std::string file;
  std::vector<Node> nodes;
  Diagnostics* diagnostics = nullptr;
  Lines lines = Lines::kTold;
};

YamlField::YamlField(std::shared_ptr<Document> document, std::size_t node, std::string path)
    : document_(std::move(document)), node_(node), path_(std::move(path)) {}

YamlField YamlField::child(std::size_t node, std::string path) const { return {document_, node, std::move(path)}; }

std::vector<YamlField> YamlField::parse(std::string_view text,
                                        const std::string& file,
                                        Diagnostics& diagnostics,
                                        Lines lines) {
  if (text.size() > kFileMax) {
    diagnostics.error({file}, "", "larger than " + std::to_string(kFileMax >> 20) + " MiB: split it");
    return {};
  }
  if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
    const auto before = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(nul), '\n');
    diagnostics.error({file, static_cast<int>(before) + 1}, "", "a NUL byte: this is not a text file");
    return {};
  }
  std::vector<YamlField> documents;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    YAML::Mark last = YAML::Mark::null_mark();
    while (true) {
      Builder builder;
      if (!parser.HandleNextDocument(builder)) {
        break;
      }
      // A stray "," is an empty document to yaml-cpp 0.7 and stays where it is: it would be read for ever.
      if (builder.start().pos == last.pos) {
        throw Refused{last, "not YAML: a value cannot begin here"};
      }
      last = builder.start();
      auto document = std::make_shared<Document>();
      document->file = file;
      document->nodes = builder.take();
      document->diagnostics = &diagnostics;
      document->lines = lines;
      if (!document->nodes.empty() && document->nodes[0].type != Type::kNull) {
        documents.push_back(YamlField(document, 0, ""));
      }
    }
  } catch (const Refused& refused) {
    diagnostics.error({file, refused.mark.line + 1, refused.mark.column + 1}, "", refused.message);
    return {};
  } catch (const YAML::Exception& error) {
    diagnostics.error({file, error.mark.line + 1, error.mark.column + 1}, "", "not YAML: " + printable(error.msg));
    return {};
  }
  return documents;
}

YamlField::Type YamlField::type() const { return node_ == kMissing ? Type::kMissing : document_->nodes[node_].type; }

Place YamlField::at(int line, int column) const {
  return document_->lines == Lines::kTold ? Place{document_->file, line, column} : Place{document_->file, 0, 0};
}

Place YamlField::place() const {
  if (document_->lines == Lines::kMeaningless) {
    return {path_.empty() ? document_->file : document_->file + " " + path_, 0, 0};
  }
  const std::size_t node = node_ == kMissing ? parent_ : node_;
  return at(document_->nodes[node].line, document_->nodes[node].column);
}

Diagnostics& YamlField::diagnostics() const { return *document_->diagnostics; }

void YamlField::error(std::string message) const {
  const Node& node = document_->nodes[node_ == kMissing ? parent_ : node_];
  document_->diagnostics->error(at(node.line, node.column), path_, std::move(message));
}

void YamlField::warn(std::string message) const {
  const Node& node = document_->nodes[node_ == kMissing ? parent_ : node_];
  document_->diagnostics->warn(at(node.line, node.column), path_, std::move(message));
}

bool YamlField::only(std::initializer_list<std::string_view> known) const {
  if (type() != Type::kMap) {
    entries();  // reports a wrong type
    return !present();
  }
  for (const Entry& entry : document_->nodes[node_].map) {
    if (std::ranges::find(known, entry.key) == known.end()) {
      document_->diagnostics->error(at(entry.line, entry.column), path_,
                                    "unknown field \"" + printable(entry.key) + "\": " + suggestion(entry.key, known));
    }
  }
  return true;
}

YamlField YamlField::operator[](std::string_view key) const {
  const std::string path = path_.empty() ? std::string(key) : path_ + "." + std::string(key);
  if (type() == Type::kMap) {
    for (const Entry& entry : document_->nodes[node_].map) {
      if (entry.key == key) {
        return child(entry.value, path);
      }
    }
    // A missing field's place is that of the map it is missing from.
    auto missing = child(kMissing, path);
    missing.parent_ = node_;
    return missing;
  }
  return child(kMissing, path);
}

std::vector<YamlField> YamlField::items() const {
  std::vector<YamlField> fields;
  if (!present()) {
    return fields;
  }
  if (type() != Type::kList) {
    error(std::string("expected a list, found ") + name_of(type()) + ": write [" +
          (type() == Type::kScalar ? printable(document_->nodes[node_].scalar) : "...") + "]");
    return fields;
  }
  const auto& list = document_->nodes[node_].list;
  for (std::size_t i = 0; i < list.size(); ++i) {
    fields.push_back(child(list[i], path_ + "[" + std::to_string(i) + "]"));
  }
  return fields;
}

std::vector<std::pair<std::string, YamlField>> YamlField::entries() const {
  std::vector<std::pair<std::string, YamlField>> fields;
  if (!present()) {
    return fields;
  }
  if (type() != Type::kMap) {
    error(std::string("expected a map of fields, found ") + name_of(type()));
    return fields;
  }
  for (const Entry& entry : document_->nodes[node_].map) {
    fields.emplace_back(entry.key,
                        child(entry.value, path_.empty() ? printable(entry.key) : path_ + "." + printable(entry.key)));
  }
  return fields;
}

std::string YamlField::text() const {
  if (type() == Type::kScalar) {
    return document_->nodes[node_].scalar;
  }
  error(type() == Type::kMissing ? "is missing" : std::string("expected a single value, found ") + name_of(type()));
  return {};
}

std::string YamlField::text_or(std::string_view otherwise) const { return present() ? text() : std::string(otherwise); }

std::int64_t YamlField::number_or(std::int64_t otherwise, std::int64_t min, std::int64_t max) const {
  if (!present()) {
    return otherwise;
  }
  const std::string digits = text();
  std::int64_t number = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (failed != std::errc() || end != digits.data() + digits.size() || number < min || number > max) {
    if (type() == Type::kScalar) {
      error("\"" + printable(digits) + "\" is not a whole number from " + std::to_string(min) + " to " +
            std::to_string(max));
    }
    return otherwise;
  }
  return number;
}

bool YamlField::flag_or(bool otherwise) const {
  return word_or(otherwise ? "true" : "false", {"true", "false"}) == "true";
}

std::string YamlField::word_or(std::string_view otherwise, std::initializer_list<std::string_view> words) const {
  if (!present()) {
    return std::string(otherwise);
  }
  std::string word = text();
  if (type() == Type::kScalar && std::ranges::find(words, word) == words.end()) {
    error("\"" + printable(word) + "\" is not known here: " + suggestion(word, words));
    return std::string(otherwise);
  }
  return word;
}

}  // namespace postern
