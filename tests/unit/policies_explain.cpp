// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "policies/explain.h"
#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;

constexpr const char* kSpec = R"(  allow:
  - names: [api.example.com, "*.files.example.com"]
  - {names: [api.example.com], ports: [8443]}
  - {cidrs: [10.0.0.0/8], ports: [443, 25]}
  - {cidrs: [169.254.170.23/32], ports: [80]}
  - {cidrs: [0.0.0.0/0], ports: [8080]}
  deny:
  - {cidrs: [10.1.0.0/16], ports: [25]}
  - cidrs: [10.2.0.0/16]
  dns: {allow: [status.example.com]}
)";

Explanation ask(std::string_view target) {
  static const auto image = image_of(kSpec);
  static const SearchList search{name("corp.example")};
  return explain(*image, search, Target::parse(target).value());
}

TEST_CASE("explain: verdicts, with the rule that decides", "[policies]") {
  const auto [target, allowed, words, line] = GENERATE(table<std::string, bool, std::string, int>({
      {"api.example.com", true, "opens", 7},
      {"api.example.com:443", true, "is allowed", 7},
      {"api.example.com:8443", true, "is allowed", 7},
      {"api.example.com:22", false, "open only 443/tcp, 8443/tcp", 7},
      {"a.files.example.com:443", true, "is allowed", 7},
      {"files.example.com", false, "no rule of policy agent names it", 0},
      {"evil.example.net", false, "no rule of policy agent names it", 0},
      {"status.example.com", true, "its addresses are not opened", 15},
      {"status.example.com:443", false, "its addresses are not opened", 15},
      {"10.9.9.9:443", true, "allowed by a CIDR rule", 9},
      {"10.9.9.9:443/udp", false, "open only", 9},
      {"10.1.9.9:25", false, "denied by a CIDR rule", 13},
      {"10.1.9.9:443", true, "allowed by a CIDR rule", 9},
      {"10.1.9.9", true, "allowed by a CIDR rule", 9},  // port 25 alone is denied there
      {"10.2.9.9", false, "denied by a CIDR rule", 14},
      {"8.8.8.8:443", false, "open only 8080/tcp", 11},
      {"2001:db8::1", false, "no CIDR rule of policy agent allows it", 0},
      {"169.254.170.23:80", true, "allowed by a CIDR rule", 10},
      {"169.254.169.254:8080", false, "never allowed", 0},
      {"127.0.0.1:8080", false, "never allowed", 0},
  }));
  INFO(target);
  const Explanation result = ask(target);
  CHECK(result.allowed == allowed);
  const std::string all = result.verdict + (result.notes.empty() ? "" : " " + result.notes[0]);
  CHECK_THAT(all == "" ? result.verdict : all, ContainsSubstring(words == "opens" ? "its addresses open" : words));
  CHECK((result.rules.empty() ? 0 : result.rules[0]->origin.place.line) == line);
}

TEST_CASE("explain: notes say what else a reader wants to know", "[policies]") {
  CHECK_THAT(ask("files.example.com").notes[1], ContainsSubstring("does not include x itself"));
  CHECK_THAT(ask("x.corp.example").notes[0], ContainsSubstring("NXDOMAIN"));
  CHECK_THAT(ask("evil.example.net").notes[0], ContainsSubstring("no data"));
  CHECK_THAT(ask("10.1.9.9").notes[0], ContainsSubstring("25/tcp is denied there"));
  CHECK_THAT(ask("2001:db8::1").notes[0], ContainsSubstring("when a lookup of an allowed name returns it"));
}

TEST_CASE("explain: targets as people write them", "[policies]") {
  const auto shown = [](std::string_view text) {
    const auto target = Target::parse(text);
    return target ? target->to_string() : "error: " + target.error().message();
  };
  CHECK(shown("PyPI.org") == "pypi.org");
  CHECK(shown("pypi.org:443") == "pypi.org:443");
  CHECK(shown("pypi.org:53/udp") == "pypi.org:53/udp");
  CHECK(shown("8.8.8.8") == "8.8.8.8");
  CHECK(shown("8.8.8.8:53/udp") == "8.8.8.8:53/udp");
  CHECK(shown("[2001:db8::1]:443") == "[2001:db8::1]:443");
  CHECK(shown("2001:db8::1") == "2001:db8::1");
  for (const char* wrong : {"", "a b", "pypi.org:0", "pypi.org:70000", "pypi.org:80-90", "pypi.org:echo", "pypi.org:*",
                            "8.8.8.8:0", "10.0.0.0/8", "pypi.org:443/sctp", "[2001:db8::1", "https://pypi.org"}) {
    INFO(wrong);
    CHECK_THAT(shown(wrong), ContainsSubstring("error: "));
  }
}

}  // namespace
}  // namespace postern
