// SPDX-License-Identifier: Apache-2.0
//
// The native form: every field of the format is read, or refused with what to do.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

constexpr const char* kEverything = R"(  selector: {matchLabels: {agent-sandbox/role: runtime}}
  mode: enforce
  allow:
  - names: [api.example.com, "*.files.example.com"]
    ports: [443, 8000-8010/tcp, 443/udp]
  - cidrs: [10.20.0.0/16]
    except: [10.20.9.0/24]
    ports: [5432]
  deny:
  - cidrs: [10.20.1.1/32]
  inbound: [{from: pods}, {from: link}, {cidrs: [10.0.0.0/8], ports: [8080]}]
  dns: {allow: [status.example.com], private: [10.20.0.0/16], grace_s: 60, denial: nodata, text: "ask #platform for access"}
  onDeny: drop
)";

TEST_CASE("reader: every field that is enforced arrives in the model", "[policies]") {
  const Policy policy = policy_of(kEverything);
  CHECK(policy.name == "agent");
  CHECK(policy.subject->pods.labels.at("agent-sandbox/role") == "runtime");
  REQUIRE(policy.allow_names.size() == 3);
  CHECK(policy.allow_names[0].pattern == pattern("api.example.com"));
  CHECK(policy.allow_names[0].ports.to_string() == "443/tcp, 8000-8010/tcp, 443/udp");
  CHECK(policy.allow_names[0].origin.to_string() == "agent.yaml:9:13");
  CHECK(policy.allow_names[1].pattern == pattern("*.files.example.com"));
  CHECK(policy.allow_names[2].pattern == pattern("status.example.com"));
  CHECK(policy.allow_names[2].ports.empty());  // resolves, opens nothing
  REQUIRE(policy.allow_cidrs.size() == 1);
  CHECK(policy.allow_cidrs[0].prefix == prefix("10.20.0.0/16"));
  CHECK(policy.allow_cidrs[0].except == std::vector{prefix("10.20.9.0/24")});
  CHECK(policy.allow_cidrs[0].ports.to_string() == "5432/tcp");
  REQUIRE(policy.deny_cidrs.size() == 1);
  CHECK(policy.deny_cidrs[0].ports.is_all());
  REQUIRE(policy.inbound);
  CHECK(policy.inbound->from_pods);
  CHECK(policy.inbound->from_link);
  REQUIRE(policy.inbound->cidrs.size() == 1);
  CHECK(policy.inbound->cidrs[0].ports.to_string() == "8080/tcp");
  CHECK(policy.dns.private_allowed == std::vector{prefix("10.20.0.0/16")});
  CHECK(policy.dns.grace_s == 60);
  CHECK(policy.dns.denial_text == "ask #platform for access");
}

TEST_CASE("reader: defaults", "[policies]") {
  const Policy policy = policy_of("  allow:\n  - names: [a.example]\n  - cidrs: [192.0.2.1]\n");
  CHECK(policy.allow_names[0].ports == PortSet::https());
  CHECK(policy.allow_cidrs[0].ports == PortSet::https());
  CHECK(policy.allow_cidrs[0].prefix == prefix("192.0.2.1/32"));
  CHECK_FALSE(policy.inbound);
  CHECK(policy.dns.grace_s == 120);
  CHECK(policy_of("  {}\n").allow_names.empty());
  CHECK(policy_of("  inbound: []\n").inbound);  // written: nothing comes in
}

TEST_CASE("reader: what is not enforced yet is refused, never ignored", "[policies]") {
  const auto [spec, message] = GENERATE(table<std::string, std::string>({
      {"  mode: audit\n",
       "agent.yaml:6:9: spec.mode: \"audit\" is not enforced by this version: write enforce, or remove the field"},
      {"  onDeny: reject\n",
       "agent.yaml:6:11: spec.onDeny: \"reject\" is not enforced by this version: write drop, or remove the field"},
      {"  dns: {types: [SRV]}\n",
       "agent.yaml:6:16: spec.dns.types: is not enforced by this version, which passes A, AAAA and CNAME: remove the "
       "field"},
      {"  dns: {denial: nxdomain}\n",
       "agent.yaml:6:17: spec.dns.denial: \"nxdomain\" is not enforced by this version: write nodata, or remove the "
       "field"},
  }));
  CHECK_THAT(errors_of(spec), Equals(message));
}

TEST_CASE("reader: bad input is one line that says what to write instead", "[policies]") {
  const auto [spec, message] = GENERATE(table<std::string, std::string>({
      // a wrong YAML type
      {"  allow: pypi.org\n", "agent.yaml:6:10: spec.allow: expected a list, found a single value: write [pypi.org]"},
      {"  allow:\n  - names: pypi.org\n",
       "agent.yaml:7:12: spec.allow[0].names: expected a list, found a single value: write [pypi.org]"},
      {"  allow:\n  - pypi.org\n", "agent.yaml:7:5: spec.allow[0]: expected a map of fields, found a single value"},
      {"  dns: {grace_s: soon}\n", "agent.yaml:6:18: spec.dns.grace_s: \"soon\" is not a whole number from 0 to 86400"},
      // an unknown key
      {"  alow: []\n", "agent.yaml:6:3: spec: unknown field \"alow\": did you mean \"allow\"?"},
      {"  allow:\n  - names: [a.example]\n    port: [443]\n",
       "agent.yaml:8:5: spec.allow[0]: unknown field \"port\": did you mean \"ports\"?"},
      // an impossible port
      {"  allow:\n  - names: [a.example]\n    ports: [443, 70000]\n",
       "agent.yaml:8:18: spec.allow[0].ports[1]: \"70000\" is not a port from 1 to 65535: write a port (443), a range "
       "(8000-8010), "
       "either with /tcp or /udp, echo, or \"*\""},
      {"  allow:\n  - names: [a.example]\n    ports: []\n",
       "agent.yaml:8:12: spec.allow[0].ports: is an empty list, which would open nothing: give ports, or remove it for "
       "443/tcp"},
      // a name with spaces, and other things that are no names
      {"  allow:\n  - names: [\"api example.com\"]\n",
       "agent.yaml:7:13: spec.allow[0].names[0]: \"api example.com\" is not a host name: it contains a space (write "
       "each name as an item of its own)"},
      {"  allow:\n  - names: [8.8.8.8]\n",
       "agent.yaml:7:13: spec.allow[0].names[0]: \"8.8.8.8\" is an address: write it under cidrs"},
      {"  allow:\n  - names: [10.0.0.0/8]\n",
       "agent.yaml:7:13: spec.allow[0].names[0]: \"10.0.0.0/8\" is an address: write it under cidrs"},
      {"  allow:\n  - names: [443]\n",
       "agent.yaml:7:13: spec.allow[0].names[0]: \"443\" is not a host name: its last label is a number (an address "
       "goes under cidrs, a port under ports)"},
      {"  allow:\n  - names: [\"\"]\n", "agent.yaml:7:13: spec.allow[0].names[0]: a name is empty"},
      // a CIDR with host bits, and others
      {"  allow:\n  - cidrs: [10.20.3.4/16]\n",
       "agent.yaml:7:13: spec.allow[0].cidrs[0]: \"10.20.3.4/16\" has bits set behind its length: write 10.20.0.0/16, "
       "or 10.20.3.4 for the one address"},
      {"  allow:\n  - cidrs: [\"10.0.0.0/33\"]\n",
       "agent.yaml:7:13: spec.allow[0].cidrs[0]: \"10.0.0.0/33\" has no prefix length from 0 to 32"},
      {"  allow:\n  - cidrs: [example.com]\n",
       "agent.yaml:7:13: spec.allow[0].cidrs[0]: \"example.com\" is not a CIDR prefix: write 10.0.0.0/8 or "
       "2001:db8::/32"},
      {"  allow:\n  - cidrs: [10.0.0.0/8]\n    except: [192.168.0.0/16]\n",
       "agent.yaml:8:14: spec.allow[0].except[0]: 192.168.0.0/16 lies in none of the cidrs of this rule: remove it, or "
       "add the cidr it is a hole in"},
      {"  allow:\n  - cidrs: [10.0.0.0/8]\n    except: [10.0.0.0/8]\n",
       "agent.yaml:8:14: spec.allow[0].except[0]: 10.0.0.0/8 is a whole cidr of this rule, which would open nothing: "
       "remove both"},
      {"  allow:\n  - names: [a.example]\n    except: [10.0.0.0/8]\n",
       "agent.yaml:8:14: spec.allow[0].except[0]: 10.0.0.0/8 lies in none of the cidrs of this rule: remove it, or add "
       "the cidr it is a hole in\n"
       "agent.yaml:8:13: spec.allow[0].except: is a hole in cidrs, and there are none here"},
      // a template that does not exist
      {"  allow:\n  - templates: [pypy]\n",
       "agent.yaml:7:17: spec.allow[0].templates[0]: there is no template \"pypy\": there is none"},
      // rules that say nothing
      {"  allow:\n  - ports: [443]\n",
       "agent.yaml:7:5: spec.allow[0]: says nothing to allow: give templates, names or cidrs"},
      {"  deny:\n  - ports: [25]\n",
       "agent.yaml:7:5: spec.deny[0]: says nothing to deny: give cidrs (a name is denied by not allowing it)"},
      {"  inbound:\n  - ports: [80]\n",
       "agent.yaml:7:5: spec.inbound[0]: give either from: pods, from: link, or cidrs"},
      {"  inbound:\n  - {from: world}\n",
       "agent.yaml:7:12: spec.inbound[0].from: \"world\" is not known here: use one of pods, link"},
      {"  inbound:\n  - {from: pods, ports: [80]}\n",
       "agent.yaml:7:25: spec.inbound[0].ports: ports go with cidrs; from: pods opens every port"},
      {"  dns: {text: \"two\\nlines\"}\n", "agent.yaml:6:15: spec.dns.text: must be one line of at most 120 bytes"},
  }));
  CHECK_THAT(errors_of(spec), Equals(message));
}

TEST_CASE("reader: a pattern must not open a whole top-level domain", "[policies]") {
  for (const char* pattern : {"*", "*.com", "*.*.com", "api.*.com", "*.*", "api.*", "example.*"}) {
    INFO(pattern);
    CHECK_THAT(errors_of("  allow:\n  - names: [\"" + std::string(pattern) + "\"]\n"),
               ContainsSubstring("whole top-level domain"));
  }
  CHECK_THAT(errors_of("  allow:\n  - names: [\"*.a.*.b.*.c.*.d.*.e.*.f.*.example.com\"]\n"),
             ContainsSubstring("more than 5 labels"));
  CHECK(errors_of("  allow:\n  - names: [\"*.*.example.com\", localhost, \"a.*.*.*.*.example.com\"]\n").empty());
}

TEST_CASE("reader: an empty word is wrong everywhere, never nothing", "[policies]") {
  for (const char* spec : {"  allow:\n  - {names: [a.example], ports: [\"\"]}\n", "  allow:\n  - cidrs: [\"\"]\n",
                           "  deny:\n  - cidrs: [\"\"]\n", "  allow:\n  - {cidrs: [10.0.0.0/8], except: [\"\"]}\n",
                           "  allow:\n  - templates: [\"\"]\n", "  allow:\n  - templates: [{name: \"\"}]\n",
                           "  inbound:\n  - {from: \"\"}\n", "  mode: \"\"\n", "  dns: {private: [\"\"]}\n",
                           "  dns: {allow: [\"\"]}\n", "  dns: {grace_s: \"\"}\n"}) {
    INFO(spec);
    CHECK(std::ranges::count(errors_of(spec), '\n') == 0);
    CHECK(errors_of(spec) != "");
  }
  CHECK(errors_in("apiVersion: \"\"\nkind: EgressPolicy\nmetadata: {name: a}\nspec: {}\n") != "");
  CHECK(errors_in("apiVersion: postern.dev/v1alpha1\nkind: \"\"\nmetadata: {name: a}\nspec: {}\n") != "");
  CHECK(errors_in("apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: \"\"}\nspec: {}\n") != "");
}

TEST_CASE("reader: the head of the object", "[policies]") {
  CHECK_THAT(errors_in("kind: EgressPolicy\n"), ContainsSubstring("agent.yaml:1:1: apiVersion: is missing"));
  CHECK_THAT(errors_in("apiVersion: v1\nkind: EgressPolicy\n"),
             Equals("agent.yaml:1:13: apiVersion: \"v1\" is not known: write postern.dev/v1alpha1"));
  CHECK_THAT(errors_in("apiVersion: postern.dev/v1alpha1\nkind: ConfigMap\n"),
             Equals("agent.yaml:2:7: kind: \"ConfigMap\" does not belong in this file: write EgressPolicy (known: "
                    "EgressPolicy, "
                    "ClusterEgressPolicy, CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy, NetworkPolicy, "
                    "ApplicationNetworkPolicy, ClusterNetworkPolicy, FQDNNetworkPolicy)"));
  CHECK_THAT(errors_in("- a\n"), ContainsSubstring("not an object"));
  CHECK_THAT(errors_in("apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nspec: {}\n"),
             ContainsSubstring("metadata.name: is missing"));
  CHECK_THAT(errors_in("apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: ../x}\nspec: {}\n"),
             ContainsSubstring("is not an object name"));
  CHECK_THAT(errors_in("apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: a}\n"),
             ContainsSubstring("spec: is missing: write spec: {} for a policy that denies everything"));
  CHECK(errors_in("# nothing\n").empty());
}

TEST_CASE("reader: several policies in one file, each with its place", "[policies]") {
  Diagnostics diagnostics;
  const auto policies =
      read_policies(policy_text("  {}\n") + "---\n" + policy_text("  {}\n"), "two.yaml", {}, diagnostics);
  REQUIRE(policies.size() == 2);
  CHECK(policies[1].place.line == 8);
}

TEST_CASE("reader: more port ranges than the kernel's table holds", "[policies]") {
  std::string list;
  for (int port = 1; port <= 66; port += 2) {
    list += std::to_string(port) + ",";
  }
  CHECK_THAT(errors_of("  allow:\n  - names: [a.example]\n    ports: [" + list + "]\n"),
             ContainsSubstring("more than 32 ranges"));
}

TEST_CASE("reader: all errors of a file are reported at once", "[policies]") {
  const std::string errors = errors_of("  allow:\n  - names: [\"a b\", \"*.com\"]\n    ports: [0]\n  mode: audit\n");
  CHECK(std::ranges::count(errors, '\n') == 3);
}

}  // namespace
}  // namespace postern
