// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "policies/yaml_field.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

/// The first error of parsing alone.
std::string refusal(std::string_view text) {
  Diagnostics diagnostics;
  const auto documents = YamlField::parse(text, "f.yaml", diagnostics);
  if (!diagnostics.failed()) {
    return "";
  }
  CHECK(documents.empty());
  return diagnostics.errors()[0].to_string();
}

struct Parsed {
  explicit Parsed(std::string_view text) : documents(YamlField::parse(text, "f.yaml", diagnostics)) {
    REQUIRE(documents.size() == 1);
  }
  const YamlField& root() const { return documents[0]; }
  std::string first_error() const { return diagnostics.failed() ? diagnostics.errors()[0].to_string() : ""; }

  Diagnostics diagnostics;
  std::vector<YamlField> documents;
};

TEST_CASE("yaml: what could say more than it shows is refused where it stands", "[policies]") {
  CHECK_THAT(refusal("a: 1\nb: &x 2\n"), ContainsSubstring("f.yaml:2:4: anchors"));
  CHECK_THAT(refusal("a: 1\nb: *x\n"), ContainsSubstring("f.yaml:2:4"));  // an alias of nothing, either way refused
  CHECK_THAT(refusal("&k a: 1\n"), ContainsSubstring("anchors"));
  CHECK_THAT(refusal("a: 1\n<<: {b: 2}\n"), ContainsSubstring("f.yaml:2:1: merge keys"));
  CHECK_THAT(refusal("a: 1\na: 2\n"), ContainsSubstring("f.yaml:2:1: key \"a\" is there twice"));
  CHECK_THAT(refusal("a: !!str 1\n"), ContainsSubstring("tags"));
  CHECK_THAT(refusal("a: !!set {b}\n"), ContainsSubstring("tags"));
  CHECK_THAT(refusal("a: !x [b]\n"), ContainsSubstring("tags"));
  CHECK_THAT(refusal("[a]: 1\n"), ContainsSubstring("a key must be a word"));
  CHECK_THAT(refusal("? \n: 1\n"), ContainsSubstring("a key must be a word"));
  CHECK_THAT(refusal(std::string_view("a: 1\nb: \0\n", 10)), ContainsSubstring("f.yaml:2: a NUL byte"));
}

TEST_CASE("yaml: broken text says where", "[policies]") {
  CHECK_THAT(refusal("a: [1, 2\nb: 3\n"), ContainsSubstring("not YAML"));
  CHECK_THAT(refusal("a:\n\t- b\n"), ContainsSubstring("f.yaml:2:"));
  CHECK_THAT(refusal("a: b: c\n"), ContainsSubstring("f.yaml:1:"));
}

TEST_CASE("yaml: a stray comma or bracket ends the parser, which read it as documents for ever", "[policies]") {
  for (const char* text : {",", ",a: 1\n", "]", "}", "a: 1\n---\n,\n", "a: 1\n---\n]\n", "a: 1\n}\n", "a: [1]]\n"}) {
    INFO(text);
    CHECK_THAT(refusal(text), ContainsSubstring("not YAML"));
  }
  CHECK_THAT(refusal("a: 1\n---\n ,\n"), Equals("f.yaml:3:2: not YAML: a value cannot begin here"));
}

TEST_CASE("yaml: limits", "[policies]") {
  const std::string deep = "a: " + std::string(2000, '[') + std::string(2000, ']');
  CHECK_THAT(refusal(deep), ContainsSubstring("nested too deeply"));
  CHECK_THAT(refusal(std::string(YamlField::kFileMax + 1, ' ')), ContainsSubstring("larger than 4 MiB"));
  std::string wide = "a: [";
  for (std::size_t i = 0; i <= YamlField::kNodesMax; ++i) {
    wide += "1,";
  }
  CHECK_THAT(refusal(wide + "]"), ContainsSubstring("too many values"));
  std::string keys;
  for (std::size_t i = 0; i <= YamlField::kKeysMax; ++i) {
    keys += "k" + std::to_string(i) + ": 1\n";
  }
  CHECK_THAT(refusal(keys), ContainsSubstring("more than 1000 keys"));
}

TEST_CASE("yaml: documents", "[policies]") {
  Diagnostics diagnostics;
  CHECK(YamlField::parse("", "f.yaml", diagnostics).empty());
  CHECK(YamlField::parse("# only a comment\n---\n", "f.yaml", diagnostics).empty());
  CHECK(YamlField::parse("a: 1\n---\nb: 2\n", "f.yaml", diagnostics).size() == 2);
  CHECK_FALSE(diagnostics.failed());
}

TEST_CASE("yaml: an unknown field is reported at its key, with the nearest known", "[policies]") {
  Parsed file("spec:\n  alow:\n  - x\n  banana: 1\n");
  file.root()["spec"].only({"allow", "deny"});
  REQUIRE(file.diagnostics.errors().size() == 2);
  CHECK_THAT(file.first_error(), Equals("f.yaml:2:3: spec: unknown field \"alow\": did you mean \"allow\"?"));
  CHECK_THAT(file.diagnostics.errors()[1].to_string(),
             Equals("f.yaml:4:3: spec: unknown field \"banana\": use one of allow, deny"));
}

TEST_CASE("yaml: wrong types are reported with what was found", "[policies]") {
  Parsed file("map: {a: 1}\nlist: [1]\nword: pypi.org\nempty:\n");
  CHECK(file.root()["word"].items().empty());
  CHECK_THAT(file.first_error(), Equals("f.yaml:3:7: word: expected a list, found a single value: write [pypi.org]"));
  file.root()["list"].entries();
  file.root()["map"].text();
  file.root()["empty"].text();
  file.root()["nowhere"].text();
  const auto& errors = file.diagnostics.errors();
  REQUIRE(errors.size() == 5);
  CHECK_THAT(errors[1].to_string(), Equals("f.yaml:2:7: list: expected a map of fields, found a list"));
  CHECK_THAT(errors[2].to_string(), Equals("f.yaml:1:6: map: expected a single value, found a map"));
  CHECK_THAT(errors[3].to_string(), ContainsSubstring("empty: expected a single value, found an empty value"));
  CHECK_THAT(errors[4].to_string(), Equals("f.yaml:1:1: nowhere: is missing"));
}

TEST_CASE("yaml: numbers, flags and words", "[policies]") {
  Parsed file("n: 12\nbad: 12x\nbig: 99\nyes: true\nmaybe: perhaps\nword: drp\n");
  const YamlField& root = file.root();
  CHECK(root["n"].number_or(1, 0, 50) == 12);
  CHECK(root["none"].number_or(7, 0, 50) == 7);
  CHECK(root["yes"].flag_or(false));
  CHECK(root["none"].flag_or(true));
  CHECK_FALSE(file.diagnostics.failed());
  CHECK(root["bad"].number_or(7, 0, 50) == 7);
  CHECK(root["big"].number_or(7, 0, 50) == 7);
  CHECK_FALSE(root["maybe"].flag_or(false));
  CHECK(root["word"].word_or("drop", {"drop", "reject"}) == "drop");
  REQUIRE(file.diagnostics.errors().size() == 4);
  CHECK_THAT(file.first_error(), Equals("f.yaml:2:6: bad: \"12x\" is not a whole number from 0 to 50"));
  CHECK_THAT(file.diagnostics.errors()[3].message, ContainsSubstring("did you mean \"drop\"?"));
}

TEST_CASE("yaml: hostile keys and values stay on one line", "[policies]") {
  Parsed file("\"a\\nb\": 1\nlist: [\"x\\ny\"]\n");
  file.root().only({"list"});
  file.root()["list"].items()[0].number_or(0, 0, 1);
  for (const Diagnostic& error : file.diagnostics.errors()) {
    CHECK(error.to_string().find('\n') == std::string::npos);
  }
}

TEST_CASE("yaml: a file that is wrong throughout is cut off", "[policies]") {
  std::string text = "a: [";
  for (int i = 0; i < 50; ++i) {
    text += "x,";
  }
  Parsed file(text + "]\n");
  for (const YamlField& item : file.root()["a"].items()) {
    item.number_or(0, 0, 1);
  }
  CHECK(file.diagnostics.errors().size() == Diagnostics::kMax);
  CHECK_THAT(file.diagnostics.to_error().message(), ContainsSubstring("further errors are not shown"));
}

}  // namespace
}  // namespace postern
