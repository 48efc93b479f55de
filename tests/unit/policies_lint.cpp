// SPDX-License-Identifier: Apache-2.0
//
// `postern allowlist lint` and `diff`, without files: what is odd about a list, and what changes with one.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <random>

#include "policies/list_lint.h"
#include "policies/policy_diff.h"
#include "policies/user_content.h"
#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;

std::vector<std::string> checks(const std::vector<LintFinding>& findings) {
  std::vector<std::string> words;
  for (const LintFinding& finding : findings) {
    words.push_back(std::to_string(finding.place.line) + " " + finding.check);
  }
  return words;
}

TEST_CASE("lint: entries that open nothing of their own, inside a group", "[policies]") {
  const auto templates = templates_of(template_text(R"(  purpose: x
  groups:
  - name: one
    purpose: b
    names:
    - a.example
    - A.example
    - x.b.example
    - "*.b.example"
    - {name: x.b.example, ports: [80]}
    cidrs: [10.1.0.0/16, 10.0.0.0/8]
  - {name: other, purpose: b, names: [a.example]}
)"));
  const auto findings = lint_template(templates.at("tools"));
  CHECK(checks(findings) == std::vector<std::string>{"13 duplicate", "14 shadowed", "17 shadowed"});
  CHECK_THAT(findings[1].message, ContainsSubstring("\"*.b.example\" (tools.yaml:15:7) does not: remove it"));
}

TEST_CASE("lint: content of strangers is marked", "[policies]") {
  const auto templates = templates_of(template_text(R"(  purpose: x
  groups:
  - name: one
    purpose: b
    names: [github.com, "*.github.example", my-bucket.s3.amazonaws.com, "*.googleusercontent.com"]
  - {name: two, purpose: b, risk: user-content, names: [github.com, "*.workers.dev"]}
)"));
  CHECK(checks(lint_template(templates.at("tools"))) == std::vector<std::string>{"11 user-content", "11 user-content"});
  CHECK(user_content_zone(pattern("*.amazonaws.com")));
  CHECK(user_content_zone(pattern("*.s3.*.amazonaws.com")));
  CHECK_FALSE(user_content_zone(pattern("sts.*.amazonaws.com")));
  CHECK_FALSE(user_content_zone(pattern("d1234.cloudfront.net")));
}

TEST_CASE("lint: a policy's own entries against those of its templates", "[policies]") {
  const auto templates =
      templates_of(template_text("  purpose: x\n  groups: [{name: a, purpose: b, names: [\"*.a.example\"]}]\n"));
  const Policy policy = policy_of(
      "  allow:\n  - templates: [tools]\n  - names: [x.a.example, b.example]\n  - cidrs: [10.0.0.0/8]\n    except: "
      "[10.1.0.0/16]\n  - cidrs: [10.1.0.0/16]\n",
      templates);
  CHECK(checks(lint_policy(policy)) == std::vector<std::string>{"8 shadowed"});
}

std::vector<std::string> changes_of(std::string_view before, std::string_view after) {
  std::vector<std::string> lines;
  for (const PolicyChange& change : diff_images(image_of(before).get(), image_of(after).get())) {
    lines.push_back((change.opens ? "+ " : "- ") + std::string(name_of(change.kind)) + " " + change.target + " " +
                    change.ports.to_string());
  }
  return lines;
}

TEST_CASE("diff: names by what their patterns mean", "[policies]") {
  using Lines = std::vector<std::string>;
  CHECK(changes_of("  allow: [{names: [a.x.example, b.example]}]\n",
                   "  allow: [{names: [\"*.x.example\", b.example]}]\n") == Lines{"+ name *.x.example 443/tcp"});
  CHECK(changes_of("  allow: [{names: [a.example], ports: [443, 80]}]\n", "  allow: [{names: [a.example]}]\n") ==
        Lines{"- name a.example 80/tcp"});
  CHECK(changes_of("  allow: [{names: [a.example]}]\n", "  dns: {allow: [a.example]}\n") ==
        Lines{"- name a.example 443/tcp"});
  CHECK(changes_of("  {}\n", "  dns: {allow: [a.example]}\n") == Lines{"+ lookup a.example none"});
}

TEST_CASE("diff: addresses by what all rules say of them", "[policies]") {
  using Lines = std::vector<std::string>;
  CHECK(changes_of("  allow: [{cidrs: [10.0.0.0/8]}]\n", "  allow: [{cidrs: [10.1.0.0/16]}]\n") ==
        Lines{"- address 10.0.0.0/8 without 10.1.0.0/16 443/tcp"});
  CHECK(changes_of("  allow: [{cidrs: [10.0.0.0/8]}]\n", "  allow: [{cidrs: [10.0.0.0/8, 10.1.0.0/16]}]\n").empty());
  CHECK(changes_of("  allow: [{cidrs: [10.0.0.0/8]}]\n",
                   "  allow: [{cidrs: [10.0.0.0/8]}]\n  deny: [{cidrs: [10.1.0.0/16]}]\n") ==
        Lines{"- address 10.1.0.0/16 443/tcp", "- denial 10.1.0.0/16 all"});
  CHECK(changes_of("  inbound: []\n", "  inbound: [{cidrs: [10.0.0.0/8], ports: [80]}, {from: link}]\n") ==
        Lines{"+ inbound 10.0.0.0/8 80/tcp", "+ inbound the sandbox's own link all"});
}

TEST_CASE("diff: a policy that is not there opens nothing, and the same one changes nothing", "[policies]") {
  const auto image = image_of("  allow: [{names: [a.example]}, {cidrs: [10.0.0.0/8]}]\n");
  CHECK(diff_images(nullptr, image.get()).size() == 2);
  CHECK(diff_images(image.get(), image.get()).empty());
  const auto closed = diff_images(image.get(), nullptr);
  REQUIRE(closed.size() == 2);
  CHECK_FALSE(closed[0].opens);
}

TEST_CASE("diff: what it does not call open is not open", "[policies]") {
  std::mt19937 random(47);
  const auto spec = [&] {
    static constexpr const char* kCidrs[] = {"10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "0.0.0.0/0", "192.0.2.0/24"};
    std::string text = "  allow:\n";
    for (std::size_t rule = 0; rule < 1 + random() % 3; ++rule) {
      text += std::string("  - cidrs: [") + kCidrs[random() % 5] + "]\n    ports: [" +
              (random() % 2 == 0 ? "443" : "80, 443") + "]\n";
    }
    return random() % 2 == 0 ? text : text + "  deny: [{cidrs: [" + kCidrs[random() % 5] + "], ports: [443]}]\n";
  };
  for (int round = 0; round < 200; ++round) {
    const auto before = image_of(spec());
    const auto after = image_of(spec());
    bool opens = false;
    bool closes = false;
    for (const PolicyChange& change : diff_images(before.get(), after.get())) {
      opens = opens || (change.opens && change.kind == PolicyChange::Kind::kAddress);
      closes = closes || (!change.opens && change.kind == PolicyChange::Kind::kAddress);
    }
    const auto open = [](const PolicyImage& image, const char* text, std::uint16_t port) {
      const CidrVerdict* verdict = image.find_cidr(address(text));
      return verdict != nullptr && verdict->allow.without(verdict->deny).contains(kProtocolTcp, port);
    };
    bool opened = false;
    bool closed = false;
    for (const char* text : {"10.0.0.1", "10.1.0.1", "10.1.2.1", "192.0.2.1", "8.8.8.8"}) {
      for (const std::uint16_t port : {std::uint16_t{80}, std::uint16_t{443}}) {
        opened = opened || (open(*after, text, port) && !open(*before, text, port));
        closed = closed || (open(*before, text, port) && !open(*after, text, port));
      }
    }
    CHECK(opens == opened);
    CHECK(closes == closed);
  }
}

}  // namespace
}  // namespace postern
