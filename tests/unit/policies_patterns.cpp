// SPDX-License-Identifier: Apache-2.0
//
// Name patterns of every dialect: one golden table of patterns and names, and random patterns against
// the plain definition.
#include <array>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "policies/name_matcher.h"
#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;

constexpr std::array kDialects{Dialect::kNative, Dialect::kCilium, Dialect::kDomainNames, Dialect::kGke};
constexpr std::array kDialectNames{"native", "Cilium", "domainNames", "GKE"};

/// What each dialect says of a name: '+' matches, '-' does not, 'x' has no such pattern.
struct Row {
  const char* pattern;
  const char* name;
  const char* says;  ///< A letter for each of kDialects.
};

constexpr Row kGolden[] = {
    {"example.com", "example.com", "++++"},
    {"example.com", "EXAMPLE.Com", "++++"},
    {"example.com.", "example.com", "++++"},
    {"Example.COM", "example.com", "++++"},
    {"example.com", "www.example.com", "----"},
    {"example.com", "notexample.com", "----"},
    {"example.com", "example.com.evil.net", "----"},
    {"example.com", "com", "----"},
    {"*.example.com", "www.example.com", "++++"},
    {"*.example.com", "a.b.example.com", "+-+-"},
    {"*.example.com", "example.com", "----"},
    {"*.example.com", "wwwexample.com", "----"},
    {"*.example.com", "www.example.com.evil.net", "----"},
    {"*.example.com", "_dns.example.com", "++++"},
    {"*{1}.example.com", "www.example.com", "+xxx"},
    {"*{1}.example.com", "a.b.example.com", "-xxx"},
    {"**.example.com", "www.example.com", "x+x+"},
    {"**.example.com", "a.b.example.com", "x+x-"},
    {"**.example.com", "example.com", "x-x-"},
    {"sts.*.amazonaws.com", "sts.us-east-1.amazonaws.com", "++x+"},
    {"sts.*.amazonaws.com", "sts.amazonaws.com", "--x-"},
    {"sts.*.amazonaws.com", "sts.a.b.amazonaws.com", "--x-"},
    {"*.s3.*.amazonaws.com", "bucket.s3.eu-west-1.amazonaws.com", "++x+"},
    {"*.s3.*.amazonaws.com", "my.dotted.bucket.s3.eu-west-1.amazonaws.com", "+-x-"},
    {"*.s3.*.amazonaws.com", "s3.eu-west-1.amazonaws.com", "--x-"},
    {"api-*.example.com", "api-7.example.com", "x+x+"},
    {"api-*.example.com", "api-.example.com", "x+x+"},
    {"api-*.example.com", "api.example.com", "x-x-"},
    {"api-*.example.com", "api-7.b.example.com", "x-x-"},
    {"*-cdn.example.com", "eu-cdn.example.com", "x+x+"},
    {"*-cdn.example.com", "cdn.example.com", "x-x-"},
    {"a*b*c.example.com", "axxbyyc.example.com", "x+x+"},
    {"a*b*c.example.com", "abc.example.com", "x+x+"},
    {"a*b*c.example.com", "acb.example.com", "x-x-"},
    {"*", "example.com", "++x+"},
    {"*", "com", "++x+"},
    {"*", "a.b.c.d.example", "++x+"},
    {"*.com", "example.com", "++x+"},
    {"localhost", "localhost", "++x+"},
    {"*.co.uk", "example.co.uk", "++++"},
    {"a_b.example.com", "a_b.example.com", "++++"},
    {"a..b", "a.b", "xxxx"},
    {"", "a.b", "xxxx"},
    {"http://example.com", "example.com", "xxxx"},
    {"example.com:443", "example.com", "xxxx"},
    {"exa mple.com", "example.com", "xxxx"},
    {"b\xc3\xbc"
     "cher.example",
     "xn--bcher-kva.example", "xxxx"},
    {"-a.example.com", "-a.example.com", "++x+"},
};

TEST_CASE("patterns: every dialect has its own reading of a wildcard", "[policies]") {
  for (const Row& row : kGolden) {
    for (std::size_t i = 0; i < kDialects.size(); ++i) {
      INFO(kDialectNames[i] << ": " << row.pattern << " and " << row.name);
      const auto parsed = NamePattern::parse(row.pattern, kDialects[i]);
      REQUIRE(static_cast<bool>(parsed) == (row.says[i] != 'x'));
      if (!parsed) {
        continue;
      }
      const DnsName asked = DnsName::from_text(row.name).value();
      CHECK(parsed->matches(asked.wire()) == (row.says[i] == '+'));
      NameMatcher matcher;
      matcher.add(*parsed, 0);
      matcher.freeze();
      CHECK(matcher.match(asked.wire()).matched() == (row.says[i] == '+'));
    }
  }
}

TEST_CASE("patterns: limits and errors say what to write", "[policies]") {
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'a');
  const auto error_of = [](std::string_view text, Dialect dialect) {
    return NamePattern::parse(text, dialect).error().message();
  };
  for (const Dialect dialect : kDialects) {
    CHECK(static_cast<bool>(NamePattern::parse(longest, dialect)));
    CHECK_THAT(error_of("a." + longest, dialect), ContainsSubstring("longer than"));
    CHECK_THAT(error_of(std::string(300, 'a'), dialect), ContainsSubstring("longer than"));
    CHECK_THAT(error_of(label + "a.example.com", dialect), ContainsSubstring("longer than 63 bytes"));
    CHECK_FALSE(static_cast<bool>(NamePattern::parse(std::string("a\0.example.com", 14), dialect)));
  }
  CHECK_THAT(error_of("a.*.example.com", Dialect::kDomainNames), ContainsSubstring("\"*.\" in front and nowhere else"));
  CHECK_THAT(error_of("*.com", Dialect::kDomainNames), ContainsSubstring("two or more"));
  CHECK_THAT(error_of("*.*.*.*.*.*.example.com", Dialect::kCilium), ContainsSubstring("more than 5 labels"));
}

TEST_CASE("patterns: a pattern is the same after its native text, and after the wire", "[policies]") {
  for (const Row& row : kGolden) {
    for (const Dialect dialect : kDialects) {
      const auto parsed = NamePattern::parse(row.pattern, dialect);
      if (!parsed) {
        continue;
      }
      INFO(row.pattern << " is " << parsed->text());
      CHECK(NamePattern::from_wire(parsed->labels().wire(), parsed->below()).value() == *parsed);
      if (!parsed->has_partial_label()) {
        CHECK(NamePattern::parse(parsed->text(), Dialect::kNative).value() == *parsed);
      }
    }
  }
  const std::string comma = std::string("\3a,b\7example", 12) + '\0';
  CHECK_FALSE(static_cast<bool>(
      NamePattern::from_wire({reinterpret_cast<const std::uint8_t*>(comma.data()), comma.size()}, false)));
}

std::string random_text(std::mt19937& random, bool starred) {
  static constexpr const char* kLabels[] = {"a", "b", "ab", "ba", "aab"};
  static constexpr const char* kGlobs[] = {"*", "a*", "*b", "a*b", "*a*"};
  std::string text;
  for (std::size_t count = 1 + random() % 4; count-- > 0;) {
    const bool glob = starred && random() % 3 == 0;
    text += (text.empty() ? "" : ".") + std::string(glob ? kGlobs[random() % 5] : kLabels[random() % 5]);
  }
  return starred && random() % 4 == 0 ? "**." + text : text;
}

TEST_CASE("patterns: the matcher agrees with the plain definition, whatever stands beside", "[policies]") {
  std::mt19937 random(7);
  for (int round = 0; round < 400; ++round) {
    std::vector<NamePattern> patterns;
    NameMatcher matcher;
    for (std::uint32_t i = 0; i < 1 + random() % 8; ++i) {
      patterns.push_back(pattern(random_text(random, true), Dialect::kCilium));
      matcher.add(patterns.back(), i);
    }
    matcher.freeze();
    for (int asked = 0; asked < 40; ++asked) {
      const DnsName text = name(random_text(random, false));
      const NameMatch match = matcher.match(text.wire());
      std::size_t expected = 0;
      for (std::uint32_t i = 0; i < patterns.size(); ++i) {
        const bool means = patterns[i].matches(text.wire());
        expected += means ? 1 : 0;
        const bool found =
            std::find(match.rules.begin(), match.rules.begin() + match.count, i) != match.rules.begin() + match.count;
        if (!match.more) {
          INFO(patterns[i].text() << " and " << text.text());
          CHECK(found == means);
        }
      }
      CHECK((match.more ? expected > NameMatch::kRulesMax : expected == match.count));
    }
  }
}

TEST_CASE("patterns: what two patterns share is what both mean, or less and said so", "[policies]") {
  std::mt19937 random(11);
  int shared = 0;
  for (int round = 0; round < 4000; ++round) {
    const NamePattern a = pattern(random_text(random, true), Dialect::kCilium);
    const NamePattern b = pattern(random_text(random, true), Dialect::kCilium);
    const PatternJoin join = PatternJoin::of(a, b);
    for (int asked = 0; asked < 20; ++asked) {
      const DnsName text = name(random_text(random, false));
      const bool both = a.matches(text.wire()) && b.matches(text.wire());
      const bool joined = join.pattern && join.pattern->matches(text.wire());
      INFO(a.text() << " and " << b.text() << ": " << text.text());
      CHECK((joined == both || (both && join.narrowed)));
      shared += joined ? 1 : 0;
      if (a.covers(b)) {
        CHECK((!b.matches(text.wire()) || a.matches(text.wire())));
      }
    }
  }
  CHECK(shared > 200);
  CHECK(pattern("*.example.com").covers(pattern("a.*.example.com")));
  CHECK(pattern("*.example.com").covers(pattern("*.b.example.com")));
  CHECK_FALSE(pattern("*{1}.example.com").covers(pattern("*.example.com")));
  CHECK(NamePattern::any().covers(pattern("com")));
}

}  // namespace
}  // namespace postern
