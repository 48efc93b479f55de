// SPDX-License-Identifier: Apache-2.0
//
// The native wildcard dialect: a table a person can check, and random patterns against a matcher
// that is too plain to be wrong.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <random>

#include "policies/name_matcher.h"
#include "policies_texts.h"

namespace postern {
namespace {

bool matches(std::string_view written, std::string_view text) {
  NameMatcher matcher;
  matcher.add(pattern(written), 0);
  matcher.freeze();
  return matcher.match(name(text).wire()).matched();
}

TEST_CASE("matcher: the wildcard table", "[policies]") {
  struct Row {
    const char* pattern;
    const char* text;
    bool matched;
  };
  const Row row = GENERATE_COPY(Catch::Generators::values<Row>({
      {"example.com", "example.com", true},
      {"example.com", "EXAMPLE.com", true},
      {"example.com", "www.example.com", false},
      {"example.com", "com", false},
      {"example.com", "notexample.com", false},
      {"example.com", "example.com.evil.net", false},
      {"example.com", "example.co", false},
      {"*.example.com", "a.example.com", true},
      {"*.example.com", "a.b.c.example.com", true},
      {"*.example.com", "example.com", false},
      {"*.example.com", "notexample.com", false},
      {"*.example.com", "a.notexample.com", false},
      {"*.example.com", "a.example.com.evil.net", false},
      {"*.example.com", "example.com.evil.net", false},
      {"sts.*.amazonaws.com", "sts.us-east-1.amazonaws.com", true},
      {"sts.*.amazonaws.com", "sts.amazonaws.com", false},
      {"sts.*.amazonaws.com", "sts.a.b.amazonaws.com", false},
      {"sts.*.amazonaws.com", "x.sts.us-east-1.amazonaws.com", false},
      {"sts.*.amazonaws.com", "xsts.us-east-1.amazonaws.com", false},
      {"*.s3.*.amazonaws.com", "bucket.s3.eu-west-1.amazonaws.com", true},
      {"*.s3.*.amazonaws.com", "my.dotted.bucket.s3.eu-west-1.amazonaws.com", true},
      {"*.s3.*.amazonaws.com", "s3.eu-west-1.amazonaws.com", false},
      {"*.s3.*.amazonaws.com", "bucket.s3.amazonaws.com", false},
      {"a.*.*.example.com", "a.b.c.example.com", true},
      {"a.*.*.example.com", "a.b.example.com", false},
  }));
  INFO(row.pattern << " and " << row.text);
  CHECK(matches(row.pattern, row.text) == row.matched);
}

TEST_CASE("matcher: a name that no host has matches nothing", "[policies]") {
  NameMatcher matcher;
  matcher.add(pattern("*.example.com"), 0);
  matcher.add(pattern("sts.*.example.com"), 1);
  matcher.freeze();
  const auto match = [&](std::string wire) {
    return matcher.match({reinterpret_cast<const std::uint8_t*>(wire.data()), wire.size()});
  };
  const std::string tail("\7example\3com\0", 13);
  CHECK(match("\1a" + tail).matched());
  CHECK_FALSE(match("\1*" + tail).matched());  // asking for "*" is not asking for everything
  CHECK_FALSE(match("\3sts\1*" + tail).matched());
  CHECK_FALSE(match("\3a.b" + tail).matched());  // a dot inside a label
  CHECK_FALSE(match(std::string("\1\0", 2) + tail).matched());
  CHECK_FALSE(match("\1 " + tail).matched());
  CHECK_FALSE(match("\2\xc3\xbc" + tail).matched());
}

TEST_CASE("matcher: the root, and a policy without names", "[policies]") {
  NameMatcher empty;
  empty.freeze();
  CHECK_FALSE(empty.match(name("example.com").wire()).matched());
  CHECK_FALSE(empty.match(name("example.com").wire()).ancestor);
  CHECK(empty.match(DnsName().wire()).ancestor);
}

TEST_CASE("matcher: the most specific rule leads, and a fifth is reported", "[policies]") {
  NameMatcher matcher;
  const std::vector<std::string> patterns{"*.com.example", "*.a.com.example", "b.a.com.example",
                                          "*.example.net", "*.x.example",     "b.*.com.example"};
  for (std::uint32_t i = 0; i < patterns.size(); ++i) {
    matcher.add(pattern(patterns[i]), i);
  }
  matcher.freeze();
  const NameMatch match = matcher.match(name("b.a.com.example").wire());
  REQUIRE(match.count == 4);
  CHECK(match.rules == std::array<std::uint32_t, 4>{2, 1, 5, 0});
  CHECK_FALSE(match.more);

  NameMatcher crowded;
  for (std::uint32_t i = 0; i < 5; ++i) {
    crowded.add(pattern("a.example"), i);
  }
  crowded.freeze();
  CHECK(crowded.match(name("a.example").wire()).count == 4);
  CHECK(crowded.match(name("a.example").wire()).more);
}

using LabelTexts = std::vector<std::string>;  // as written, left to right

std::string joined(const LabelTexts& labels) {
  std::string text;
  for (const std::string& label : labels) {
    text += (text.empty() ? "" : ".") + label;
  }
  return text;
}

/// Do the last labels of both agree, as far as the shorter goes? A "*" of the pattern agrees with any.
bool tails_agree(const LabelTexts& pattern, const LabelTexts& text) {
  const std::size_t count = std::min(pattern.size(), text.size());
  return std::equal(pattern.rbegin(), pattern.rbegin() + static_cast<std::ptrdiff_t>(count), text.rbegin(),
                    [](const std::string& p, const std::string& t) { return p == "*" || p == t; });
}

struct Reference {
  bool matched;
  bool ancestor;
};

Reference reference(const LabelTexts& pattern, const LabelTexts& text) {
  const bool leading = pattern[0] == "*";
  const LabelTexts fixed(pattern.begin() + (leading ? 1 : 0), pattern.end());
  const bool agree = tails_agree(fixed, text);
  return {agree && (leading ? text.size() > fixed.size() : text.size() == fixed.size()),
          agree && (leading ? text.size() <= fixed.size() : text.size() < fixed.size())};
}

LabelTexts random_labels(std::mt19937& random, bool stars) {
  static const std::vector<std::string> words{"a", "b", "cc", "*"};
  LabelTexts labels(1 + random() % 5);
  for (std::string& label : labels) {
    label = words[random() % (stars ? 4 : 3)];
  }
  if (labels.back() == "*") {
    labels.back() = "a";  // the reader refuses a last "*"
  }
  return labels;
}

TEST_CASE("matcher: agrees with a plain matcher on random patterns and names", "[policies]") {
  std::mt19937 random(20240501);
  for (int round = 0; round < 500; ++round) {
    NameMatcher matcher;
    std::vector<LabelTexts> patterns(1 + random() % 12);
    for (std::uint32_t i = 0; i < patterns.size(); ++i) {
      patterns[i] = random_labels(random, true);
      matcher.add(pattern(joined(patterns[i])), i);
    }
    matcher.freeze();
    for (int i = 0; i < 40; ++i) {
      const LabelTexts text = random_labels(random, false);
      std::vector<std::uint32_t> expected;
      bool ancestor = false;
      for (std::uint32_t p = 0; p < patterns.size(); ++p) {
        const Reference says = reference(patterns[p], text);
        ancestor |= says.ancestor;
        if (says.matched) {
          expected.push_back(p);
        }
      }
      const NameMatch match = matcher.match(name(joined(text)).wire());
      INFO(joined(text) << " in round " << round);
      REQUIRE(match.count == std::min(expected.size(), NameMatch::kRulesMax));
      REQUIRE(match.more == (expected.size() > NameMatch::kRulesMax));
      for (std::uint8_t r = 0; r < match.count; ++r) {
        REQUIRE(std::ranges::find(expected, match.rules[r]) != expected.end());
      }
      if (!match.matched()) {
        REQUIRE(match.ancestor == ancestor);
      }
    }
  }
}

TEST_CASE("matcher: thousands of patterns, each found", "[policies]") {
  NameMatcher matcher;
  for (std::uint32_t i = 0; i < 5000; ++i) {
    matcher.add(pattern("h" + std::to_string(i) + ".z" + std::to_string(i % 37) + ".example"), i);
  }
  matcher.freeze();
  for (std::uint32_t i = 0; i < 5000; ++i) {
    const NameMatch match =
        matcher.match(name("h" + std::to_string(i) + ".z" + std::to_string(i % 37) + ".example").wire());
    REQUIRE(match.count == 1);
    REQUIRE(match.rules[0] == i);
  }
}

}  // namespace
}  // namespace postern
