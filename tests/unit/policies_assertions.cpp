// SPDX-License-Identifier: Apache-2.0
//
// PolicyTest: what its reader takes and refuses, and how assertions are judged.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "policies/policy_test.h"
#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

constexpr std::string_view kHead = "apiVersion: postern.dev/v1alpha1\nkind: PolicyTest\npolicies: [agent.yaml]\n";

/// One test, of policy agent, with these assertions.
std::string test_text(const std::string& assertions) {
  return std::string(kHead) + "tests:\n- name: it\n  policy: agent\n  " + assertions + "\n";
}

std::vector<PolicyTest> tests_of(std::string_view text) {
  Diagnostics diagnostics;
  auto tests = read_policy_tests(text, "t.yaml", diagnostics);
  INFO((diagnostics.failed() ? diagnostics.to_error().message() : ""));
  REQUIRE_FALSE(diagnostics.failed());
  return tests;
}

std::string errors_of_test(std::string_view text) {
  Diagnostics diagnostics;
  read_policy_tests(text, "t.yaml", diagnostics);
  return diagnostics.failed() ? diagnostics.to_error().message() : "";
}

constexpr std::string_view kSpec = R"(  allow:
  - names: [api.example.com, "*.files.example.com"]
    ports: [443, 443/udp]
  - names: [db.example.com]
    ports: [5432]
  - cidrs: [10.20.0.0/16, 169.254.170.23/32]
    ports: [80, 5432]
  deny:
  - cidrs: [10.20.1.1/32]
  dns: {allow: [status.example.com]}
)";

PolicySet set_of(std::string_view text) {
  Diagnostics diagnostics;
  PolicySet set;
  add_policies(text, "agent.yaml", {}, set, diagnostics);
  INFO((diagnostics.failed() ? diagnostics.to_error().message() : ""));
  REQUIRE_FALSE(diagnostics.failed());
  return set;
}

/// The failure of the one assertion of a test, or "holds".
std::string outcome(const std::string& assertion, const PolicySet& set) {
  const auto tests = tests_of(test_text(assertion));
  const PolicyTestCase& test = tests.at(0).cases.at(0);
  REQUIRE(test.assertions.size() == 1);
  const CaseResult result = judge_case(test, set);
  CHECK(result.problem.empty());
  return result.results[0].holds ? "holds" : failure_of(test.assertions[0], result.results[0], result).to_string();
}

TEST_CASE("policy test: the reader", "[policies]") {
  const auto tests = tests_of(std::string(kHead) + R"(metadata: {name: agents}
templates: ../lists
inventory: cluster.yaml
tests:
- name: by labels
  sandbox: {namespace: shop, labels: {app: agent}, namespaceLabels: {team: web}}
  allows: ["api.example.com:443/udp", "[2001:db8::1]:53"]
  denies: ["*{1}.example.com", "*"]
- name: by name
  policy: agent
  resolves: [status.example.com]
  refuses: ["*.example.net"]
)");
  REQUIRE(tests.size() == 1);
  CHECK(tests[0].policies.at(0).path == "agent.yaml");
  CHECK(tests[0].templates->path == "../lists");
  CHECK(tests[0].inventory.at(0).place.line == 6);
  REQUIRE(tests[0].cases.size() == 2);
  const PolicyTestCase& first = tests[0].cases[0];
  CHECK(*first.sandbox == PodIdentity{"shop", {{"team", "web"}}, {{"app", "agent"}}});
  REQUIRE(first.assertions.size() == 4);
  CHECK(first.assertions[0].names == pattern("api.example.com"));
  CHECK((first.assertions[0].port == 443 && first.assertions[0].protocol == kProtocolUdp));
  CHECK(first.assertions[1].address == address("2001:db8::1"));
  CHECK(first.assertions[2].names == pattern("*{1}.example.com"));
  CHECK(first.assertions[3].names == NamePattern::any());
  CHECK(first.assertions[2].place.to_string() == "t.yaml:11:12");
  CHECK(tests[0].cases[1].policy == "agent");
  CHECK(tests[0].cases[1].assertions[1].kind == Assertion::Kind::kRefuses);
}

TEST_CASE("policy test: mistakes are named with their place", "[policies]") {
  const auto [text, error] = GENERATE(table<std::string, std::string>({
      {test_text("allow: [a.example]"), "t.yaml:7:3: tests[0]: unknown field \"allow\": did you mean \"allows\"?"},
      {test_text("allows: [\"a.example:0\"]"), "t.yaml:7:12: tests[0].allows[0]: \"a.example:0\" has no port"},
      {test_text("allows: [10.0.0.0/8]"), "tests[0].allows[0]: \"10.0.0.0/8\": write a name or an address"},
      {test_text("denies: [a.example/udp]"), "has a protocol and no port: write NAME:PORT/udp"},
      {test_text("resolves: [\"a.example:443\"]"), "a lookup is of a name, without a port: write a.example"},
      {test_text("refuses: [8.8.8.8]"), "write it under allows or denies"},
      {test_text("refuses: [\"bad name\"]"), "t.yaml:7:13: tests[0].refuses[0]: "},
      {test_text("sandbox: {namespace: a}"), "say who is tested: either sandbox:"},
      {test_text("denies: []"), "tests[0]: asserts nothing"},
      {std::string(kHead), "tests: is missing"},
      {"apiVersion: postern.dev/v1alpha1\nkind: PolicyTest\ntests: []\n", "policies: is missing"},
      {"apiVersion: postern.dev/v1\nkind: PolicyTest\n", "t.yaml:1:13: apiVersion: \"postern.dev/v1\" is not known"},
      {"apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\n", "does not belong in this file: write PolicyTest"},
      {std::string(kHead) + "tests: [{name: a, policy: b, sandbox: {space: c}, allows: [d.example]}]\n", "say who"},
      {std::string(kHead) + "tests: [{name: a, sandbox: {space: c}, allows: [d.example]}]\n",
       "tests[0].sandbox: unknown field \"space\""},
  }));
  INFO(text);
  CHECK_THAT(errors_of_test(text), ContainsSubstring(error));
}

TEST_CASE("policy test: assertions that hold", "[policies]") {
  const PolicySet set = set_of(policy_text(kSpec));
  const std::string assertion = GENERATE(
      as<std::string>(), "allows: [\"api.example.com:443\"]", "allows: [\"api.example.com:443/udp\"]",
      "allows: [api.example.com]", "allows: [\"*.files.example.com:443\"]", "allows: [\"*{1}.files.example.com\"]",
      "allows: [\"10.20.0.5:5432\"]", "allows: [\"169.254.170.23:80\"]", "denies: [\"api.example.com:80\"]",
      "denies: [example.com]", "denies: [files.example.com]", "denies: [\"*.workers.dev\"]",
      "denies: [\"*.files.example.com:80\"]", "denies: [\"8.8.8.8:443\"]", "denies: [\"169.254.169.254:80\"]",
      "denies: [10.20.1.1]", "denies: [\"10.20.0.5:5432/udp\"]", "denies: [status.example.com]",
      "denies: [\"*.status.example.com\"]", "resolves: [status.example.com]", "resolves: [\"*.files.example.com\"]",
      "refuses: [\"*.example.net\"]", "refuses: [files.example.com]");
  CHECK(outcome(assertion, set) == "holds");
}

TEST_CASE("policy test: a failure says what was asserted and which rule says otherwise", "[policies]") {
  const PolicySet set = set_of(policy_text(kSpec));
  const auto [assertion, failure] = GENERATE(table<std::string, std::string>({
      {"denies: [\"*.example.com\"]",
       "t.yaml:7:12: tests[0].denies[0]: asserted: denies *.example.com; but api.example.com is allowed: it resolves, "
       "and "
       "its addresses open 443/tcp, 443/udp, by allow api.example.com 443/tcp, 443/udp (EgressPolicy agent, "
       "agent.yaml:7:"},
      {"denies: [\"*.com:5432\"]", "but db.example.com:5432 is allowed: it resolves"},
      {"denies: [\"*{1}.files.example.com\"]", "but x.files.example.com is allowed"},
      {"denies: [\"*\"]", "is allowed"},
      {"denies: [\"10.20.0.5:80\"]", "10.20.0.5:80 is allowed by a CIDR rule, by allow 10.20.0.0/16"},
      {"denies: [10.20.0.5]", "10.20.0.5 is allowed by a CIDR rule"},
      {"allows: [\"api.example.com:80\"]",
       "denied: the name resolves, but its addresses open only 443/tcp, 443/udp, by allow"},
      {"allows: [nowhere.example]", "is denied: no rule of policy agent names it (agent.yaml:1:1)"},
      {"allows: [\"*.example.com:443\"]", "no one rule opens every such name on that port, by allow api.example.com"},
      {"allows: [\"10.20.1.1:80\"]",
       "is denied by a CIDR rule, by deny 10.20.1.1/32 all (EgressPolicy agent, agent.yaml:14:"},
      {"allows: [\"169.254.169.254:80\"]", "the address is never allowed"},
      {"allows: [status.example.com]", "resolves, but its addresses are not opened (dns.allow), by lookup"},
      {"resolves: [nowhere.example]", "asserted: resolves nowhere.example; but"},
      {"refuses: [\"*.example.com\"]", "api.example.com is allowed"},
      {"refuses: [status.example.com]", "asserted: refuses status.example.com; but status.example.com resolves"},
  }));
  INFO(assertion);
  CHECK_THAT(outcome(assertion, set), ContainsSubstring(failure));
}

TEST_CASE("policy test: no name is denied where a whole address family is open", "[policies]") {
  const PolicySet set = set_of(policy_text(
      "  allow:\n  - cidrs: [0.0.0.0/0]\n    ports: [443, 25]\n  deny:\n  - cidrs: [0.0.0.0/0]\n    ports: [25]\n"));
  for (const char* target : {"*.workers.dev", "a.example", "a.example:443"}) {
    CHECK_THAT(
        outcome("denies: [\"" + std::string(target) + "\"]", set),
        ContainsSubstring("; but IPv4 as a whole is open on 443/tcp, whatever name leads there, by allow 0.0.0.0/0"));
  }
  CHECK(outcome("denies: [\"*.workers.dev:80\"]", set) == "holds");
  CHECK(outcome("denies: [\"a.example:25\"]", set) == "holds");
  CHECK(outcome("refuses: [\"*.workers.dev\"]", set) == "holds");  // it does not resolve all the same
}

TEST_CASE("policy test: no name is allowed where every address is denied", "[policies]") {
  constexpr std::string_view kNames =
      "  selector: {}\n  allow:\n  - names: [a.example.com]\n    ports: [25, 443]\n  deny:\n  - cidrs: [0.0.0.0/0]\n   "
      " ports: "
      "[25]\n";
  const PolicySet v4 = set_of(policy_text(kNames));
  CHECK(outcome("allows: [\"a.example.com:25\"]", v4) == "holds");  // by IPv6
  const PolicySet both = set_of(policy_text(std::string(kNames) + "  - cidrs: [\"::/0\"]\n    ports: [25]\n"));
  CHECK_THAT(
      outcome("allows: [\"a.example.com:25\"]", both),
      ContainsSubstring("; but every address is denied there, and a denial goes before names, by deny ::/0 25/tcp"));
  CHECK(outcome("allows: [\"a.example.com:443\"]", both) == "holds");
  CHECK(outcome("allows: [a.example.com]", both) == "holds");
}

TEST_CASE("policy test: a NetworkPolicy beside an allowlist", "[policies]") {
  const auto [egress, holds] = GENERATE(table<std::string, bool>({
      {"[]", false},                                      // nothing goes out, whatever resolves
      {"[{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]", true},  // the name may lead there
      {"[{to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{protocol: TCP, port: 80}]}]", false},
      {"[{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]", true},
  }));
  const PolicySet set = set_of(
      "apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: a, namespace: shop}\n"
      "spec: {selector: {}, allow: [{names: [api.example.com]}]}\n---\n"
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: b, namespace: shop}\n"
      "spec: {podSelector: {}, policyTypes: [Egress], egress: " +
      egress + "}\n");
  const auto tests = tests_of(std::string(kHead) +
                              "tests: [{name: it, sandbox: {namespace: shop}, allows: [\"api.example.com:443\"]}]\n");
  INFO(egress);
  CHECK(judge_case(tests[0].cases[0], set).results.at(0).holds == holds);
}

TEST_CASE("policy test: a failure shows some rules of many", "[policies]") {
  const PolicySet set = set_of(policy_text(
      "  allow:\n  - names: [a.example.com, b.example.com, c.example.com, d.example.com, e.example.com]\n"));
  CHECK_THAT(outcome("allows: [\"*.example.com\"]", set),
             ContainsSubstring("d.example.com 443/tcp") && ContainsSubstring(") and 1 more"));
}

constexpr std::string_view kTwoPolicies = R"(apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: web, namespace: shop}
spec: {selector: {matchLabels: {app: agent}}, allow: [{names: [api.example.com]}]}
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  endpointSelector: {matchLabels: {app: agent}}
  egress: [{toFQDNs: [{matchPattern: "*.example.com"}], toPorts: [{ports: [{port: "443"}]}]}]
)";

TEST_CASE("policy test: a sandbox is under all policies that select it", "[policies]") {
  const PolicySet set = set_of(kTwoPolicies);
  const auto tests = tests_of(std::string(kHead) + R"(tests:
- name: both families must allow
  sandbox: {namespace: shop, labels: {app: agent}}
  allows: ["api.example.com:443"]
  denies: [other.example.com]
- name: nobody
  sandbox: {namespace: shop, labels: {app: other}}
  denies: ["8.8.8.8:443"]
- name: several have this name
  policy: nothing
  denies: ["8.8.8.8:443"]
)");
  const auto& cases = tests[0].cases;
  const CaseResult both = judge_case(cases[0], set);
  CHECK(both.policies == "CiliumNetworkPolicy:shop/web+shop/web");
  CHECK(both.places.size() == 2);
  CHECK((both.results.at(0).holds && both.results.at(1).holds));
  const CaseResult nobody = judge_case(cases[1], set);
  CHECK_THAT(nobody.problem,
             ContainsSubstring("no policy of this test selects this sandbox (namespace shop, labels app"));
  CHECK_FALSE(nobody.results.at(0).holds);  // a sandbox that nobody selects is not thereby denied anything
  CHECK_THAT(judge_case(cases[2], set).problem,
             Equals("there is no policy \"nothing\" in the files of this test: use one of "
                    "CiliumNetworkPolicy:shop/web, shop/web"));
}

}  // namespace
}  // namespace postern
