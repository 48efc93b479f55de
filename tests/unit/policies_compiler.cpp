// SPDX-License-Identifier: Apache-2.0
//
// The compiler: overlapping CIDRs resolved, rules that keep their ids, groups, fingerprints.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <random>
#include <set>

#include "policies/never_list.h"
#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;

bool allows(const PolicyImage& image, std::string_view text, std::uint16_t port) {
  const CidrVerdict* verdict = image.find_cidr(address(text));
  return verdict != nullptr && !verdict->deny.contains(kProtocolTcp, port) &&
         verdict->allow.contains(kProtocolTcp, port);
}

TEST_CASE("compiler: overlapping rules add up, the most specific one is named", "[policies]") {
  const auto image = image_of(R"(  allow:
  - {cidrs: [10.0.0.0/8], ports: [443]}
  - {cidrs: [10.1.0.0/16], ports: [5432]}
  - {cidrs: [10.1.2.3], ports: [22]}
)");
  CHECK(allows(*image, "10.9.9.9", 443));
  CHECK_FALSE(allows(*image, "10.9.9.9", 5432));
  CHECK(allows(*image, "10.1.9.9", 443));
  CHECK(allows(*image, "10.1.9.9", 5432));
  CHECK(allows(*image, "10.1.2.3", 443));
  CHECK(allows(*image, "10.1.2.3", 22));
  CHECK_FALSE(allows(*image, "10.1.2.4", 22));
  CHECK(image->find_cidr(address("11.0.0.0")) == nullptr);
  CHECK(image->find_rule(image->find_cidr(address("10.1.2.3"))->allow_rule)->target() == "10.1.2.3/32");
  CHECK(image->find_rule(image->find_cidr(address("10.9.9.9"))->allow_rule)->target() == "10.0.0.0/8");
}

TEST_CASE("compiler: deny beats allow, whichever is more specific", "[policies]") {
  const auto image = image_of(R"(  allow:
  - {cidrs: [10.0.0.0/8, 10.1.1.1], ports: [443, 25]}
  deny:
  - cidrs: [10.1.0.0/16]
  - {cidrs: [10.0.0.0/8], ports: [25]}
)");
  CHECK(allows(*image, "10.2.0.1", 443));
  CHECK_FALSE(allows(*image, "10.2.0.1", 25));
  CHECK_FALSE(allows(*image, "10.1.0.1", 443));
  CHECK_FALSE(allows(*image, "10.1.1.1", 443));  // the /32 allow does not win back what the /16 denies
}

TEST_CASE("compiler: a hole belongs to its rule alone", "[policies]") {
  const auto image = image_of(R"(  allow:
  - {cidrs: [10.0.0.0/8], except: [10.1.0.0/16], ports: [443]}
  - {cidrs: [10.1.2.0/24], ports: [80]}
)");
  CHECK(allows(*image, "10.0.0.1", 443));
  CHECK_FALSE(allows(*image, "10.1.0.1", 443));
  CHECK(allows(*image, "10.1.2.1", 80));
  CHECK_FALSE(allows(*image, "10.1.2.1", 443));  // still inside the hole
  CHECK(image->find_cidr(address("10.1.0.1"))->allow_rule == 0);
}

TEST_CASE("compiler: IPv6, and ::/0 does not speak of IPv4", "[policies]") {
  const auto image =
      image_of("  allow:\n  - {cidrs: [\"::/0\"], ports: [443]}\n  - {cidrs: [\"2001:db8::/32\"], ports: [80]}\n");
  CHECK(allows(*image, "2001:db8::1", 443));
  CHECK(allows(*image, "2001:db8::1", 80));
  CHECK(allows(*image, "2620::1", 443));
  CHECK_FALSE(allows(*image, "8.8.8.8", 443));
  // The kernel has one table for both families: IPv4 needs an entry of its own that opens nothing.
  const auto v4 = std::ranges::find(image->cidrs, prefix("0.0.0.0/0"), &CidrEntry::prefix);
  REQUIRE(v4 != image->cidrs.end());
  CHECK(v4->verdict.allow.empty());
}

TEST_CASE("compiler: the longest match of random rules says what all of them say", "[policies]") {
  std::mt19937 random(99);
  for (int round = 0; round < 100; ++round) {
    std::vector<CidrRule> allow;
    std::vector<CidrRule> deny;
    for (int i = 0; i < 10; ++i) {
      const std::uint8_t four[4] = {10, static_cast<std::uint8_t>(random() % 2),
                                    static_cast<std::uint8_t>(random() % 4), static_cast<std::uint8_t>(random() % 4)};
      const int bits = 96 + 8 + static_cast<int>(random() % 25);
      CidrRule rule{{masked(Address::from_v4(four), bits), static_cast<std::uint8_t>(bits)}, {}, {}, {}};
      rule.ports.add(PortRange{kProtocolTcp, static_cast<std::uint16_t>(1 + random() % 3), 3});
      if (bits < 128 && random() % 2 == 0) {
        rule.except.push_back({masked(Address::from_v4(four), bits + 1), static_cast<std::uint8_t>(bits + 1)});
      }
      (random() % 4 == 0 ? deny : allow).push_back(rule);
    }
    Policy policy;
    policy.name = "random";
    policy.allow_cidrs = allow;
    policy.deny_cidrs = deny;
    Diagnostics diagnostics;
    const auto image = compile(policy, {}, diagnostics);
    REQUIRE(image);
    for (int i = 0; i < 50; ++i) {
      const std::uint8_t four[4] = {10, static_cast<std::uint8_t>(random() % 2),
                                    static_cast<std::uint8_t>(random() % 4), static_cast<std::uint8_t>(random() % 4)};
      const Address target = Address::from_v4(four);
      const CidrVerdict* verdict = image->find_cidr(target);
      for (std::uint16_t port = 1; port <= 3; ++port) {
        const auto any = [&](const std::vector<CidrRule>& rules) {
          return std::ranges::any_of(rules, [&](const CidrRule& rule) {
            return rule.prefix.contains(target) && rule.ports.contains(kProtocolTcp, port) &&
                   std::ranges::none_of(rule.except, [&](const Prefix& hole) { return hole.contains(target); });
          });
        };
        REQUIRE((any(allow) && !any(deny)) == (verdict != nullptr && verdict->allow.contains(kProtocolTcp, port)));
        REQUIRE(any(deny) == (verdict != nullptr && verdict->deny.contains(kProtocolTcp, port)));
      }
    }
  }
}

TEST_CASE("compiler: only a rule inside the never-list opens it", "[policies]") {
  const auto image =
      image_of("  allow:\n  - {cidrs: [169.254.170.23/32], ports: [80]}\n  - {cidrs: [0.0.0.0/0], ports: [80]}\n");
  CHECK(image->find_cidr(address("169.254.170.23"))->narrow.contains(kProtocolTcp, 80));
  CHECK(image->find_cidr(address("169.254.169.254"))->narrow.empty());
  CHECK(image->find_cidr(address("8.8.8.8"))->narrow.empty());
}

TEST_CASE("compiler: a rule that only seems to open a never-listed range is pointed out", "[policies]") {
  const auto warnings = [](std::string_view cidr) {
    Diagnostics diagnostics;
    compile(policy_of("  allow:\n  - cidrs: [\"" + std::string(cidr) + "\"]\n"), {}, diagnostics);
    return diagnostics.warnings().size();
  };
  CHECK(warnings("169.0.0.0/8") == 1);
  CHECK(warnings("100.64.0.0/10") == 1);   // a metadata address lies in the middle
  CHECK(warnings("169.254.0.0/16") == 0);  // opens it: inside the entry
  CHECK(warnings("10.0.0.0/8") == 0);
  CHECK(warnings("0.0.0.0/0") == 0);
  CHECK(warnings("::/0") == 0);
  CHECK(warnings("fd00::/8") == 2);
}

TEST_CASE("compiler: ids are the same wherever and in whatever order a rule is written", "[policies]") {
  const auto one = image_of("  allow:\n  - names: [a.example, b.example]\n  - cidrs: [10.0.0.0/8]\n");
  const auto two = image_of("  allow:\n  - cidrs: [10.0.0.0/8]\n  - names: [b.example]\n  - names: [a.example]\n");
  std::set<std::uint32_t> ids_one;
  std::set<std::uint32_t> ids_two;
  for (const Rule& rule : one->rules) {
    ids_one.insert(rule.id);
    CHECK(rule.id != 0);
    CHECK((rule.id & 0x80000000u) == 0);
  }
  for (const Rule& rule : two->rules) {
    ids_two.insert(rule.id);
  }
  CHECK(ids_one == ids_two);
  CHECK(one->fingerprint == two->fingerprint);
  const auto other = image_of("  allow:\n  - {names: [a.example], ports: [80]}\n");
  CHECK_FALSE(ids_one.contains(other->rules[0].id));
}

TEST_CASE("compiler: the same rule twice is one rule, with its first origin", "[policies]") {
  const auto image = image_of("  allow:\n  - names: [a.example]\n  - names: [A.example, a.example]\n");
  REQUIRE(image->rules.size() == 1);
  CHECK(image->rules[0].origin.place.line == 7);
  CHECK(image->names.match(name("a.example").wire()).count == 1);
}

TEST_CASE("compiler: whatever changes what is enforced changes the fingerprint", "[policies]") {
  std::set<std::uint64_t> seen;
  for (const char* spec :
       {"  {}\n", "  allow:\n  - names: [a.example]\n", "  allow:\n  - {names: [a.example], ports: [80]}\n",
        "  allow:\n  - cidrs: [10.0.0.0/8]\n", "  allow:\n  - {cidrs: [10.0.0.0/8], except: [10.1.0.0/16]}\n",
        "  deny:\n  - {cidrs: [10.0.0.0/8], ports: [443]}\n", "  inbound: []\n",
        "  inbound: [{from: link}, {cidrs: [10.0.0.0/8]}]\n", "  dns: {allow: [a.example]}\n", "  dns: {grace_s: 1}\n",
        "  dns: {text: x}\n", "  dns: {private: [10.0.0.0/8]}\n"}) {
    INFO(spec);
    CHECK(seen.insert(image_of(spec)->fingerprint).second);
  }
  // Not written, and written as what it is by default: the same.
  CHECK(image_of("  {}\n")->fingerprint == image_of("  dns: {grace_s: 120}\n")->fingerprint);
}

TEST_CASE("compiler: name rules with one port set form a group", "[policies]") {
  const auto image = image_of(
      "  allow:\n  - names: [a.example, b.example]\n  - {names: [c.example], ports: [80]}\n  dns: {allow: "
      "[d.example]}\n");
  REQUIRE(image->groups.size() == 2);
  for (const RuleGroup& group : image->groups) {
    CHECK((group.id & 0x80000000u) != 0);
    CHECK(group.members.size() == (group.ports == PortSet::https() ? 2 : 1));
    CHECK(std::ranges::is_sorted(group.members));
  }
  const auto same = image_of("  allow:\n  - names: [b.example, a.example]\n");
  CHECK(same->groups[0].id == std::ranges::find(image->groups, PortSet::https(), &RuleGroup::ports)->id);
}

TEST_CASE("compiler: the ports of a name are those of every rule that matches", "[policies]") {
  const auto image = image_of(
      "  allow:\n  - {names: [a.x.example], ports: [80]}\n  - names: [\"*.x.example\"]\n  dns: {allow: "
      "[only.example]}\n");
  CHECK(image->ports_of(name("a.x.example").wire()).to_string() == "80/tcp, 443/tcp");
  CHECK(image->ports_of(name("b.x.example").wire()).to_string() == "443/tcp");
  CHECK(image->ports_of(name("only.example").wire()).empty());
  CHECK(image->names.match(name("only.example").wire()).matched());
  CHECK(image->ports_of(name("x.example").wire()).empty());
}

TEST_CASE("compiler: more rules for a name than a match carries are refused", "[policies]") {
  std::string spec = "  allow:\n";
  for (int port = 1; port <= 4; ++port) {
    spec += "  - {names: [\"*.a.example\"], ports: [" + std::to_string(port) + "]}\n";
  }
  CHECK(errors_of(spec).empty());
  CHECK_THAT(errors_of(spec + "  - names: [b.a.example]\n"),
             ContainsSubstring("agent.yaml:11:13: more than 4 rules match b.a.example: join"));
  CHECK_THAT(errors_of(spec + "  - names: [\"*.a.example\"]\n"),
             ContainsSubstring("more than 4 rules match *.a.example"));
}

TEST_CASE("compiler: overlapping rules with too many port ranges together", "[policies]") {
  const auto list = [](int first) {
    std::string text;
    for (int port = first; port < first + 80; port += 4) {
      text += std::to_string(port) + ",";
    }
    return text;
  };
  CHECK_THAT(errors_of("  allow:\n  - {cidrs: [10.0.0.0/8], ports: [" + list(1) +
                       "]}\n  - {cidrs: [10.1.0.0/16], ports: [" + list(3) + "]}\n"),
             ContainsSubstring("rules that cover 10.1.0.0/16 open more than 32 port ranges together"));
  CHECK_THAT(errors_of("  allow:\n  - {names: [\"*.example.com\"], ports: [" + list(1) +
                       "]}\n  - {names: [a.example.com], ports: [" + list(3) + "]}\n"),
             ContainsSubstring("rules that match a.example.com open more than 32 port ranges together"));
}

TEST_CASE("compiler: inbound", "[policies]") {
  const Inventory pods{.pods = {prefix("10.244.0.0/16")}};
  const auto by_default = image_of("  {}\n", {}, pods);
  CHECK(by_default->inbound_link);
  CHECK(by_default->find_cidr(address("10.244.1.1"))->inbound.is_all());
  const auto none = image_of("  inbound: []\n", {}, pods);
  CHECK_FALSE(none->inbound_link);
  CHECK(none->find_cidr(address("10.244.1.1")) == nullptr);
  const auto some = image_of("  inbound: [{from: pods}, {cidrs: [10.0.0.0/8], ports: [8080]}]\n", {}, pods);
  CHECK(some->find_cidr(address("10.9.9.9"))->inbound.to_string() == "8080/tcp");
  CHECK(some->find_cidr(address("10.244.1.1"))->inbound.is_all());
  CHECK(some->find_cidr(address("10.9.9.9"))->allow.empty());  // inbound opens nothing outward
}

}  // namespace
}  // namespace postern
