// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

TEST_CASE("policy set: a name may be there once, over all files", "[policies]") {
  Diagnostics diagnostics;
  PolicySet set;
  add_policies(policy_text("  {}\n"), "a.yaml", {}, set, diagnostics);
  REQUIRE_FALSE(diagnostics.failed());
  CHECK(set.policies.at("agent").image != nullptr);
  CHECK(set.policies.at("agent").place.to_string() == "a.yaml:1:1");
  add_policies(policy_text("  {}\n"), "b.yaml", {}, set, diagnostics);
  CHECK_THAT(diagnostics.to_error().message(),
             Equals("b.yaml:1:1: metadata.name: policy agent exists already, at a.yaml:1:1: rename or remove one"));

  Diagnostics others;
  const std::string text = template_text("  purpose: x\n  groups: [{name: a, purpose: b, names: [a.example]}]\n");
  auto templates = unlinked_templates(text, "t.yaml");
  templates.push_back(unlinked_templates(text, "u.yaml").at(0));
  link_templates(std::move(templates), others);
  CHECK_THAT(others.to_error().message(),
             ContainsSubstring("u.yaml:1:1: metadata.name: template tools exists already, at t.yaml:1:1"));
}

TEST_CASE("policy set: nothing is compiled behind an error", "[policies]") {
  Diagnostics diagnostics;
  PolicySet set;
  add_policies(policy_text("  mode: audit\n"), "a.yaml", {}, set, diagnostics);
  CHECK(diagnostics.failed());
  CHECK(set.policies.at("agent").image == nullptr);
}

PolicySet set_of(std::string_view text, const Inventory& inventory = {}) {
  Diagnostics diagnostics;
  PolicySet set;
  set.inventory = inventory;
  add_policies(text, "all.yaml", {}, set, diagnostics);
  INFO((diagnostics.failed() ? diagnostics.to_error().message() : ""));
  REQUIRE_FALSE(diagnostics.failed());
  return set;
}

std::string object(std::string_view metadata, std::string_view spec) {
  return "---\napiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {" + std::string(metadata) +
         "}\nspec: {" + std::string(spec) + "}\n";
}

TEST_CASE("policy set: one name in two namespaces is two policies", "[policies]") {
  const PolicySet set = set_of(object("name: a, namespace: x", "") + object("name: a, namespace: y", "") +
                               object("name: b, namespace: y", "") + object("name: c", ""));
  CHECK(set.policies.size() == 4);
  CHECK(set.key_of("x/a").value() == "x/a");
  CHECK(set.key_of("b").value() == "y/b");
  CHECK(set.key_of("c").value() == "c");
  CHECK_THAT(set.key_of("a").error().message(), ContainsSubstring("write x/a or y/a"));
  CHECK(set.key_of("").error().code() == Errc::kNotFound);
  CHECK(set.key_of("x/b").error().code() == Errc::kNotFound);
  CHECK_THAT(errors_in(object("name: a, namespace: 'x+y'", "")), ContainsSubstring("is not a namespace"));
}

TEST_CASE("policy set: selectors choose a pod's policies in its own namespace", "[policies]") {
  const PolicySet set = set_of(object("name: every, namespace: x", "selector: {}") +
                               object("name: web, namespace: x", "selector: {matchLabels: {role: web}}") +
                               object("name: both, namespace: x", "selector: {matchLabels: {role: web, tier: '1'}}") +
                               object("name: none, namespace: x", "") + object("name: lost", "selector: {}") +
                               object("name: other, namespace: y", "selector: {}"));
  CHECK(set.select({"x", {}, {}}) == "x/every");
  CHECK(set.select({"x", {}, {{"role", "db"}}}) == "x/every");
  CHECK(set.select({"x", {}, {{"role", "web"}, {"other", "z"}}}) == "x/every+x/web");
  CHECK(set.select({"x", {}, {{"role", "web"}, {"tier", "1"}}}) == "x/both+x/every+x/web");
  CHECK(set.select({"y", {}, {{"role", "web"}}}) == "y/other");
  CHECK(set.select({"z", {}, {}}).empty());
  CHECK(set.select({"", {}, {}}).empty());
  CHECK(set.has("x/every+x/web"));
  CHECK_FALSE(set.has("x/every+x/gone"));
  CHECK_FALSE(set.has(""));
}

TEST_CASE("policy set: a union allows what any allows and denies what any denies", "[policies]") {
  const PolicySet set = set_of(
      object("name: a, namespace: x",
             "selector: {}, allow: [{names: [a.example]}, {cidrs: [10.0.0.0/8], ports: [443]}], dns: {grace_s: 10}") +
          object("name: b, namespace: x",
                 "selector: {}, allow: [{names: [b.example], ports: [80]}], deny: [{cidrs: [10.1.0.0/16]}], "
                 "inbound: [{cidrs: [192.0.2.0/24]}], dns: {text: ask, private: [10.0.0.0/8]}"),
      {.pods = {prefix("10.244.0.0/16")}});
  const auto joined = set.image_of("x/a+x/b").value();
  CHECK(joined->name == "a+b");
  CHECK(joined->ports_of(name("a.example").wire()) == PortSet::https());
  CHECK_FALSE(joined->ports_of(name("b.example").wire()).empty());
  CHECK_FALSE(joined->find_cidr(address("10.2.0.1"))->allow.empty());
  CHECK_FALSE(joined->find_cidr(address("10.1.0.1"))->deny.empty());
  CHECK_FALSE(joined->find_cidr(address("192.0.2.1"))->inbound.empty());
  CHECK_FALSE(joined->find_cidr(address("10.244.3.1"))->inbound.empty());  // a's default
  CHECK(joined->inbound_link);
  CHECK(joined->dns.grace_s == 120);
  CHECK(joined->dns.denial_text == "ask");
  CHECK(joined->dns.private_allowed.size() == 1);
  CHECK(set.image_of("x/a+x/b").value() == joined);
  // What a policy that is gone would have denied, nobody knows.
  CHECK(set.image_of("x/a+x/gone").error().code() == Errc::kNotFound);
}

TEST_CASE("policy set: policies that do not go together are an error that names them", "[policies]") {
  std::string text;
  for (int i = 0; i < 9; ++i) {
    text += object("name: p" + std::to_string(i) + ", namespace: x",
                   "selector: {}, allow: [{names: [a.example], ports: [" + std::to_string(1000 + i) + "]}]");
  }
  const PolicySet set = set_of(text);
  const auto joined = set.image_of(set.select({"x", {}, {}}));
  REQUIRE_FALSE(joined);
  CHECK_THAT(joined.error().message(), ContainsSubstring("the policies x/p0+x/p1"));
  CHECK_THAT(joined.error().message(), ContainsSubstring("rules match a.example"));
}

}  // namespace
}  // namespace postern
