// SPDX-License-Identifier: Apache-2.0
//
// Policies written in other kinds: what each kind cannot say, and what becomes of it.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "policies/render.h"
#include "policies/yaml_out.h"
#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;

Rendered rendered(const Policy& policy, RenderOptions options) {
  auto out = render(policy, options);
  if (!out) {
    throw std::runtime_error(out.error().message());
  }
  return std::move(out).value();
}

Rendered rendered(std::string_view spec, RenderTarget target) {
  RenderOptions options;
  options.target = target;
  return rendered(policy_of(spec), options);
}

bool loses(const Rendered& out, std::string_view what) {
  return std::ranges::any_of(out.losses, [&](const std::string& loss) { return loss.find(what) != std::string::npos; });
}

constexpr const char* kNames =
    "  allow: [{names: [a.example, \"*.b.example\", \"*{1}.c.example\", \"s.*.d.example\"]}]\n";

TEST_CASE("render: a wildcard is written where the dialect has one that is not wider", "[policies]") {
  const Rendered cilium = rendered(kNames, RenderTarget::kCilium);
  CHECK(cilium.losses.empty());
  CHECK_THAT(cilium.yaml, ContainsSubstring("{matchName: a.example}"));
  CHECK_THAT(cilium.yaml, ContainsSubstring("{matchPattern: \"**.b.example\"}"));
  CHECK_THAT(cilium.yaml, ContainsSubstring("{matchPattern: \"*.c.example\"}"));
  CHECK_THAT(cilium.yaml, ContainsSubstring("{matchPattern: \"s.*.d.example\"}"));

  const Rendered aws = rendered(kNames, RenderTarget::kAws);
  CHECK_THAT(aws.yaml, ContainsSubstring("- \"*.b.example\""));
  CHECK(loses(aws, "*{1}.c.example"));
  CHECK(loses(aws, "s.*.d.example"));
  CHECK(aws.yaml.find("- \"*.c.example\"") == std::string::npos);

  const Rendered gke = rendered(kNames, RenderTarget::kGke);
  CHECK_THAT(gke.yaml, ContainsSubstring("{pattern: \"*.b.example\"}"));
  CHECK(loses(gke, "*.b.example: there the \"*\" in front is exactly one label"));
  CHECK_FALSE(loses(gke, "c.example"));
}

TEST_CASE("render: losses and notes stand at the top as comments", "[policies]") {
  const Rendered aws = rendered(kNames, RenderTarget::kAws);
  CHECK(aws.yaml.starts_with("# EgressPolicy agent of agent.yaml"));
  for (const std::string& loss : aws.losses) {
    CHECK_THAT(aws.yaml, ContainsSubstring("# loss: " + loss));
  }
  for (const std::string& note : aws.notes) {
    CHECK_THAT(aws.yaml, ContainsSubstring("# note: " + note));
  }
}

TEST_CASE("render: a \"*\" that is a parameter becomes one entry for each of its values", "[policies]") {
  const TemplateSet templates = templates_of(template_text(
      "  purpose: x\n  parameters: [{name: region, purpose: where, default: \"*\"}, {name: account, purpose: whose, "
      "default: \"*\"}]\n  groups: [{name: a, purpose: b, names: [\"sts.{region}.example.com\", "
      "\"{account}.dkr.{region}.example.com\"]}]\n"));
  const Policy policy = policy_of("  allow: [{templates: [tools]}]\n", templates);
  RenderOptions options;
  options.target = RenderTarget::kAws;
  options.templates = &templates;
  options.values = {{"region", {"eu-west-1", "us-west-2"}}};
  const Rendered aws = rendered(policy, options);
  CHECK_THAT(aws.yaml, ContainsSubstring("- sts.eu-west-1.example.com"));
  CHECK_THAT(aws.yaml, ContainsSubstring("- sts.us-west-2.example.com"));
  CHECK_THAT(aws.yaml, ContainsSubstring("- \"*.dkr.us-west-2.example.com\""));
  CHECK(loses(aws, "sts.*.example.com"));  // the other regions
  options.values["account"] = {"123456789012"};
  CHECK_THAT(rendered(policy, options).yaml, ContainsSubstring("- \"123456789012.dkr.eu-west-1.example.com\""));
  CHECK(names_to_resolve(policy, options) ==
        std::vector<std::string>{"123456789012.dkr.eu-west-1.example.com", "123456789012.dkr.us-west-2.example.com",
                                 "sts.eu-west-1.example.com", "sts.us-west-2.example.com"});
}

TEST_CASE("render: NetworkPolicy has names only as addresses of a day, and none that no name may open", "[policies]") {
  const Policy policy = policy_of(
      "  allow: [{names: [a.example, b.example, \"*.c.example\"]}]\n  deny: [{cidrs: [192.0.2.128/25]}]\n"
      "  dns: {private: [10.1.0.0/16]}\n");
  RenderOptions options;
  options.target = RenderTarget::kNetworkPolicy;
  CHECK(loses(rendered(policy, options), "a.example, b.example, *.c.example: NetworkPolicy knows no names"));
  const ResolvedNames resolved{{{"a.example",
                                 {address("192.0.2.1"), address("192.0.2.200"), address("10.1.2.3"),
                                  address("10.2.2.3"), address("169.254.169.254"), address("2001:db8::7")}}},
                               "2026-11-27"};
  options.resolved = &resolved;
  const Rendered out = rendered(policy, options);
  CHECK_THAT(out.yaml, ContainsSubstring("cidr: 192.0.2.1/32  # a.example"));
  CHECK_THAT(out.yaml, ContainsSubstring("10.1.2.3/32"));
  CHECK_THAT(out.yaml, ContainsSubstring("\"2001:db8::7/128\""));
  CHECK_THAT(out.yaml, ContainsSubstring("2026-11-27"));
  for (const char* closed : {"192.0.2.200", "10.2.2.3", "169.254.169.254/32"}) {
    CHECK(out.yaml.find(closed) == std::string::npos);
  }
  CHECK(loses(out, "b.example: no address of it was found"));
  CHECK(loses(out, "*.c.example: NetworkPolicy knows addresses alone"));
}

TEST_CASE("render: a denial that a kind does not have cuts the allows, or names them lost", "[policies]") {
  constexpr const char* kSpec =
      "  allow: [{names: [a.example]}, {cidrs: [10.0.0.0/8], ports: [443, 80]}]\n"
      "  deny: [{cidrs: [10.1.0.0/16], ports: [443]}]\n";
  const Rendered netpol = rendered(kSpec, RenderTarget::kNetworkPolicy);
  CHECK_THAT(netpol.yaml, ContainsSubstring("- 10.1.0.0/16"));
  const Rendered gke = rendered(kSpec, RenderTarget::kGke);
  CHECK(loses(gke, "a.example: GKE has no denials"));
  const Rendered aws = rendered(kSpec, RenderTarget::kAws);
  CHECK_THAT(aws.yaml, ContainsSubstring("kind: ClusterNetworkPolicy"));
  CHECK_THAT(aws.yaml, ContainsSubstring("action: Deny"));
}

TEST_CASE("render: what would open more is refused", "[policies]") {
  Policy policy = policy_of("  allow: [{names: [a.example]}]\n");
  PeerRule peer;
  peer.action = PeerRule::Action::kDeny;
  peer.who = PeerRule::Who::kApiServer;
  policy.peers.push_back(peer);
  for (const RenderTarget target : {RenderTarget::kNative, RenderTarget::kCilium, RenderTarget::kAws}) {
    RenderOptions options;
    options.target = target;
    CHECK_FALSE(static_cast<bool>(render(policy, options)));
  }
  policy.peers.clear();
  policy.kind = "ClusterEgressPolicy";
  RenderOptions options;
  options.target = RenderTarget::kGke;
  CHECK_FALSE(static_cast<bool>(render(policy, options)));
}

TEST_CASE("render: what stands behind a Pass is lost", "[policies]") {
  Policy policy = policy_of("  allow: [{names: [a.example]}, {cidrs: [192.0.2.0/24]}]\n");
  policy.pass_cidrs.push_back({prefix("192.0.2.0/24"), {}, PortSet::all(), {}, {10, 2}, false});
  policy.allow_cidrs[0].order = {20, 1};
  const Rendered native = rendered(policy, {});
  CHECK(loses(native, "192.0.2.0/24: it stands behind a Pass"));
  CHECK_THAT(native.yaml, ContainsSubstring("a.example"));
}

TEST_CASE("render: policies that would open more together are not written together", "[policies]") {
  Policy native = policy_of("  allow: [{names: [a.example]}]\n");
  Policy other = native;
  CHECK(static_cast<bool>(check_together({native, other})));
  other.family = Family::kNetworkPolicy;
  CHECK(static_cast<bool>(check_together({native, other})));
  other.stands_alone = true;
  CHECK_FALSE(static_cast<bool>(check_together({native, other})));
  CHECK(static_cast<bool>(check_together({other})));
  other.stands_alone = false;
  other.family = Family::kAws;
  CHECK_THAT(check_together({native, other}).error().message(), ContainsSubstring("native and AWS"));
  native.family = Family::kAws;
  other.pass_cidrs.push_back({prefix("192.0.2.0/24"), {}, PortSet::all(), {}, {}, false});
  CHECK_THAT(check_together({native, other}).error().message(), ContainsSubstring("Pass"));
}

TEST_CASE("render: a baseline rule of AWS is for fewer pods than a native one would be", "[policies]") {
  Policy policy =
      policy_of("  allow: [{names: [a.example]}, {cidrs: [192.0.2.0/24]}]\n  deny: [{cidrs: [10.0.0.0/8]}]\n");
  policy.family = Family::kAws;
  policy.kind = "ClusterNetworkPolicy";
  policy.tier = Tier::kBaseline;
  const Rendered native = rendered(policy, {});
  CHECK(loses(native, "a.example, 192.0.2.0/24: "));
  CHECK_THAT(native.yaml, ContainsSubstring("tier: Baseline"));
  CHECK_THAT(native.yaml, ContainsSubstring("10.0.0.0/8"));
}

TEST_CASE("yaml: text that YAML would read as something else is quoted", "[policies]") {
  YamlOut map = YamlOut::map();
  for (const char* text :
       {"true", "No", "1", "1e3", "2026-11-27", "*.a.example", "", "a: b", "~", "0x1f", "- a", "#a"}) {
    map.set("k", YamlOut::text(text));
  }
  const std::string yaml = to_yaml({map}, {"one\ntwo"});
  CHECK(yaml.starts_with("# one?two\n"));
  CHECK(std::ranges::count(yaml, '"') == 24);
  CHECK(to_yaml({YamlOut::map().set("k", YamlOut::text("10.0.0.0/8"))}, {}) == "k: 10.0.0.0/8\n");
}

}  // namespace
}  // namespace postern
