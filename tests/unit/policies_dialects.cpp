// SPDX-License-Identifier: Apache-2.0
//
// The compiled matcher against a reference that shares no code with it: each dialect's wildcard as a
// regular expression over the name's text, by what the dialect's own documents say. Random patterns, and
// names that nearly match them.
#include <random>
#include <regex>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "policies/name_matcher.h"
#include "policies_texts.h"

namespace postern {
namespace {

constexpr const char* kPlain = "[-a-z0-9_]";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += c == '.' ? "\\." : std::string(1, c);
  }
  return out;
}

/// Every "*" of a text as `star`.
std::string with_stars(std::string_view text, const std::string& star) {
  std::string out;
  for (const char c : text) {
    out += c == '*' ? star : escaped(std::string_view(&c, 1));
  }
  return out;
}

std::regex reference(std::string_view text, Dialect dialect) {
  const std::string plain(kPlain);
  const std::string some = plain + "+";
  const std::string deep = "(" + some + "\\.)+";
  const std::string any = "(" + some + "\\.)*" + some;
  switch (dialect) {
    case Dialect::kNative:
      if (text.starts_with("*{1}.")) {
        return std::regex(some + "\\." + with_stars(text.substr(5), some));
      }
      return std::regex(text.starts_with("*.") ? deep + with_stars(text.substr(2), some) : with_stars(text, some));
    case Dialect::kCilium:
      if (text == "*") {
        return std::regex(any);
      }
      return std::regex(text.starts_with("**.") ? deep + with_stars(text.substr(3), plain + "*")
                                                : with_stars(text, plain + "*"));
    case Dialect::kDomainNames:
      return std::regex(text.starts_with("*.") ? deep + escaped(text.substr(2)) : escaped(text));
    case Dialect::kGke:
      return std::regex(text == "*" ? any : with_stars(text, plain + "*"));
  }
  return {};
}

std::string pick(std::mt19937& random, std::initializer_list<const char*> words) {
  return words.begin()[random() % words.size()];
}

std::string random_pattern(std::mt19937& random, Dialect dialect) {
  const bool globs = dialect == Dialect::kCilium || dialect == Dialect::kGke;
  std::string text;
  if (random() % 3 == 0) {
    text = dialect == Dialect::kNative   ? pick(random, {"*.", "*{1}."})
           : dialect == Dialect::kCilium ? pick(random, {"*.", "**."})
                                         : "*.";
  }
  for (std::size_t labels = 1 + random() % 3; labels-- > 0;) {
    const bool star = random() % 4 == 0 && dialect != Dialect::kDomainNames;
    text += !star   ? pick(random, {"a", "b", "ab", "a-b", "a1"})
            : globs ? pick(random, {"*", "a*", "*b", "a*b", "*a*"})
                    : "*";
    text += '.';
  }
  return text + pick(random, {"example", "a.example", "test"});
}

/// A name that the pattern means, or nearly: each "*" filled, and one label more, less or changed at times.
std::string near_miss(std::mt19937& random, std::string_view pattern) {
  std::string text;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern.substr(i).starts_with("*{1}") || pattern.substr(i).starts_with("**.")) {
      text += pick(random, {"a", "b.a", "x"});
      i += pattern[i + 1] == '{' ? 3 : 1;
    } else if (pattern[i] == '*') {
      text += pick(random, {"a", "b", "ab", "a.b", "-", "_"});
    } else {
      text += pattern[i];
    }
  }
  switch (random() % 6) {
    case 0:
      return "a." + text;
    case 1:
      return text.substr(std::min(text.find('.') + 1, text.size() - 1));
    case 2:
      return text + ".evil";
    case 3:
      text[random() % text.size()] = 'b';
      return text;
    default:
      return text;
  }
}

TEST_CASE("dialects: the compiled matcher agrees with a regular expression of the dialect's own words", "[policies]") {
  std::mt19937 random(29);
  for (const Dialect dialect : {Dialect::kNative, Dialect::kCilium, Dialect::kDomainNames, Dialect::kGke}) {
    int matched = 0;
    int missed = 0;
    for (int round = 0; round < 120; ++round) {
      std::vector<std::string> texts;
      std::vector<std::regex> references;
      NameMatcher matcher;
      for (std::uint32_t rule = 0; rule < 3; ++rule) {
        texts.push_back(random_pattern(random, dialect));
        references.push_back(reference(texts.back(), dialect));
        matcher.add(pattern(texts.back(), dialect), rule);
      }
      matcher.freeze();
      for (int asked = 0; asked < 30; ++asked) {
        const std::string text = near_miss(random, texts[random() % texts.size()]);
        const auto wire = DnsName::from_text(text);
        if (!wire) {
          continue;  // "a..b"
        }
        const NameMatch match = matcher.match(wire->wire());
        for (std::uint32_t rule = 0; rule < texts.size(); ++rule) {
          const bool means = std::regex_match(text, references[rule]);
          const bool found = std::find(match.rules.begin(), match.rules.begin() + match.count, rule) !=
                             match.rules.begin() + match.count;
          INFO(static_cast<int>(dialect) << ": " << texts[rule] << " and " << text);
          CHECK(found == means);
          ++(means ? matched : missed);
        }
      }
    }
    CHECK(matched > 500);
    CHECK(missed > 500);
  }
}

}  // namespace
}  // namespace postern
