// SPDX-License-Identifier: Apache-2.0
//
// Whether two patterns have a name in common: a table, and a comparison with trying all names of a small world.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <random>

#include "policies/pattern_overlap.h"
#include "policies_texts.h"

namespace postern {
namespace {

std::string common(std::string_view a, std::string_view b, Dialect dialect = Dialect::kNative) {
  const auto name = common_name(pattern(a), pattern(b, dialect));
  const auto other = common_name(pattern(b, dialect), pattern(a));
  CHECK(name.has_value() == other.has_value());
  return name ? name->text() : "none";
}

TEST_CASE("pattern overlap: a shortest name in common", "[policies]") {
  CHECK(common("*.workers.dev", "*.workers.dev") == "x.workers.dev");
  CHECK(common("*.workers.dev", "app.workers.dev") == "app.workers.dev");
  CHECK(common("*.workers.dev", "workers.dev") == "none");  // "*." is one label or more below
  CHECK(common("*.workers.dev", "*.dev") == "x.workers.dev");
  CHECK(common("*.workers.dev", "*.team.workers.dev") == "x.team.workers.dev");
  CHECK(common("*{1}.workers.dev", "*.team.workers.dev") == "none");
  CHECK(common("*{1}.workers.dev", "*.workers.dev") == "x.workers.dev");
  CHECK(common("*.workers.dev", "*.networkers.dev") == "none");
  CHECK(common("*", "*.example.com") == "x.example.com");
  CHECK(common("*", "example.com") == "example.com");
  CHECK(common("sts.*.amazonaws.com", "*.eu-west-1.amazonaws.com") == "sts.eu-west-1.amazonaws.com");
  CHECK(common("sts.*.amazonaws.com", "*.amazonaws.com") == "sts.x.amazonaws.com");
}

TEST_CASE("pattern overlap: labels with letters beside their \"*\"", "[policies]") {
  const auto [a, b, both] = GENERATE(table<std::string, std::string, std::string>({
      {"api-*.example.com", "*-eu.example.com", "api-eu.example.com"},
      {"api-*.example.com", "*eu.example.com", "api-eu.example.com"},
      {"ab*.example.com", "*ba.example.com", "aba.example.com"},
      {"a*b.example.com", "b*a.example.com", "none"},
      {"a*b*c.example.com", "*bb*.example.com", "abbc.example.com"},
      {"*a*.example.com", "*b*.example.com", "ab.example.com"},
      {"**.example.com", "*a*.b.example.com", "a.b.example.com"},
  }));
  INFO(a << " " << b);
  const auto name = common_name(pattern(a, Dialect::kCilium), pattern(b, Dialect::kCilium));
  const std::string found = name ? name->text() : "none";
  CHECK(found.size() == both.size());
  CHECK((name ? pattern(a, Dialect::kCilium).matches(name->wire()) && pattern(b, Dialect::kCilium).matches(name->wire())
              : both == "none"));
}

TEST_CASE("pattern overlap: no name that would be too long", "[policies]") {
  const std::string front(40, 'a');
  const std::string back(40, 'b');
  CHECK_FALSE(common_name(pattern(front + "*.example.com", Dialect::kCilium),
                          pattern("*" + back + ".example.com", Dialect::kCilium)));
  const std::string label(60, 'a');
  const std::string zone = label + "." + label + "." + label + "." + label;  // 245 bytes on the wire
  CHECK(common_name(pattern("*." + zone), pattern("*")));
  CHECK(common_name(pattern("*." + zone), pattern("cccccccc*." + zone, Dialect::kCilium)));
  CHECK_FALSE(
      common_name(pattern("*." + zone), pattern("**.ccccccccc." + zone, Dialect::kCilium)));  // would be 257 bytes
}

/// Of the letters a, b and "*", so that much coincides.
NamePattern any_pattern(std::mt19937& random) {
  std::string text = random() % 3 == 0 ? "**." : "";
  const std::size_t labels = 1 + random() % 2;
  for (std::size_t i = 0; i < labels; ++i) {
    text += i == 0 ? "" : ".";
    const std::size_t letters = 1 + random() % 3;
    for (std::size_t j = 0; j < letters; ++j) {
      text += "ab*"[random() % 3];
    }
  }
  return pattern(text, Dialect::kCilium);
}

/// Every name of one to three labels of one to three letters a, b, x.
std::vector<DnsName> small_world() {
  std::vector<std::string> labels{"a", "b", "x"};
  for (std::size_t begin = 0, round = 0; round < 2; ++round) {
    const std::size_t end = labels.size();
    for (std::size_t i = begin; i < end; ++i) {
      for (const char letter : {'a', 'b', 'x'}) {
        labels.push_back(labels[i] + letter);
      }
    }
    begin = end;
  }
  std::vector<DnsName> names;
  for (const std::string& one : labels) {
    names.push_back(name(one));
    for (const std::string& two : labels) {
      names.push_back(name(one + "." + two));
      names.push_back(name("x." + one + "." + two));
    }
  }
  return names;
}

TEST_CASE("pattern overlap: agrees with trying every name", "[policies]") {
  const auto names = small_world();
  std::mt19937 random(7);
  std::size_t some = 0;
  for (int round = 0; round < 2000; ++round) {
    const NamePattern a = any_pattern(random);
    const NamePattern b = any_pattern(random);
    INFO(a.text() << " and " << b.text());
    const auto both = common_name(a, b);
    if (both) {
      ++some;
      CHECK((a.matches(both->wire()) && b.matches(both->wire())));
      continue;
    }
    for (const DnsName& each : names) {
      if (a.matches(each.wire()) && b.matches(each.wire())) {
        FAIL_CHECK(each.text());
      }
    }
  }
  CHECK((some > 200 && some < 1800));
}

}  // namespace
}  // namespace postern
