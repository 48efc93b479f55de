// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/feed_reader.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <functional>

#include "api/dns_feed.pb.h"
#include "tests/support/resolver_lab.h"

namespace postern::testing {
namespace {

std::string bytes16(std::string_view text) {
  const Address address = Address::parse(text).value();
  return {reinterpret_cast<const char*>(address.bytes.data()), 16};
}

api::DnsPolicy policy_message() {
  api::DnsPolicy policy;
  policy.set_id(4);
  policy.set_name("agent");
  policy.set_grace_s(120);
  const DenialTail tail = make_denial_tail("no");
  policy.set_denial_soa(tail.soa);
  policy.set_denial_opt(tail.opt);
  api::DnsRule& rule = *policy.add_rules();
  rule.set_pattern(wire_name("*.example.com"));
  rule.set_id(77);
  rule.set_port_set(3);
  rule.set_group(0x80000001);
  api::DnsPortRange& range = *rule.add_ports();
  range.set_protocol(6);
  range.set_first(443);
  range.set_last(8443);
  api::DnsPrefix& prefix = *policy.add_private_allowed();
  prefix.set_address(bytes16("10.0.0.0"));
  prefix.set_bits(104);
  return policy;
}

TEST_CASE("feed: a policy", "[dnsproxy]") {
  const auto policy = read_policy(policy_message().SerializeAsString());
  REQUIRE(policy);
  CHECK((*policy)->id == 4);
  CHECK((*policy)->name == "agent");
  CHECK((*policy)->grace_s == 120);
  CHECK((*policy)->names.match(bytes_of(wire_name("a.example.com"))).matched());
  CHECK_FALSE((*policy)->names.match(bytes_of(wire_name("example.com"))).matched());
  REQUIRE((*policy)->rules.size() == 1);
  CHECK((*policy)->rules[0].id == 77);
  CHECK((*policy)->rules[0].ports.to_string() == "443-8443/tcp");
  CHECK((*policy)->private_allowed[0].to_string() == "10.0.0.0/8");
}

struct PolicyRow {
  const char* what;
  std::function<void(api::DnsPolicy&)> change;
};

TEST_CASE("feed: a policy that is refused", "[dnsproxy]") {
  const auto row = GENERATE(values<PolicyRow>({
      {"no id", [](api::DnsPolicy& p) { p.set_id(0); }},
      {"no pattern", [](api::DnsPolicy& p) { p.mutable_rules(0)->set_pattern(""); }},
      {"a pattern that is no name", [](api::DnsPolicy& p) { p.mutable_rules(0)->set_pattern("example.com"); }},
      {"a pattern with a pointer", [](api::DnsPolicy& p) { p.mutable_rules(0)->set_pattern("\1a\xc0\x0c"); }},
      {"a pattern and more", [](api::DnsPolicy& p) { p.mutable_rules(0)->set_pattern(wire_name("a") + "x"); }},
      {"a port above all", [](api::DnsPolicy& p) { p.mutable_rules(0)->mutable_ports(0)->set_last(65536); }},
      {"ports backwards", [](api::DnsPolicy& p) { p.mutable_rules(0)->mutable_ports(0)->set_first(9000); }},
      {"a protocol above all", [](api::DnsPolicy& p) { p.mutable_rules(0)->mutable_ports(0)->set_protocol(256); }},
      {"half an address", [](api::DnsPolicy& p) { p.mutable_private_allowed(0)->set_address("1234"); }},
      {"a prefix too long", [](api::DnsPolicy& p) { p.mutable_private_allowed(0)->set_bits(129); }},
      {"no SOA", [](api::DnsPolicy& p) { p.set_denial_soa(""); }},
      {"half an OPT", [](api::DnsPolicy& p) { p.set_denial_opt("12345"); }},
      {"a denial that is too long", [](api::DnsPolicy& p) { p.set_denial_soa(std::string(500, 'x')); }},
  }));
  INFO(row.what);
  api::DnsPolicy policy = policy_message();
  row.change(policy);
  CHECK(read_policy(policy.SerializeAsString()).error().code() == Errc::kInvalid);
}

TEST_CASE("feed: settings", "[dnsproxy]") {
  api::DnsSettings message;
  message.set_grant_s_min(45);
  api::DnsEndpoint& upstream = *message.add_upstreams();
  upstream.set_address(bytes16("2001:db8::53"));
  upstream.set_port(53);
  const auto settings = read_settings(message.SerializeAsString());
  REQUIRE(settings);
  CHECK(settings->grant_s_min == 45);
  REQUIRE(settings->upstreams.size() == 1);
  CHECK(settings->upstreams[0].to_string() == "[2001:db8::53]:53");
  upstream.set_port(0);
  CHECK_FALSE(read_settings(message.SerializeAsString()));
  upstream.set_port(65536);
  CHECK_FALSE(read_settings(message.SerializeAsString()));
  upstream.set_port(53);
  upstream.set_address("short");
  CHECK_FALSE(read_settings(message.SerializeAsString()));
  CHECK_FALSE(read_settings("\xff\xff"));
}

TEST_CASE("feed: a sandbox", "[dnsproxy]") {
  api::DnsSandbox message;
  message.set_id(9);
  message.set_policy(4);
  message.set_generation(7);
  message.set_staged_policy(5);
  message.set_staged_generation(8);
  message.add_search(wire_name("SVC.cluster.local"));
  const auto sandbox = read_sandbox(message.SerializeAsString());
  REQUIRE(sandbox);
  CHECK(sandbox->view.id == 9);
  CHECK(sandbox->policy == 4);
  CHECK(sandbox->staged_policy == 5);
  CHECK(sandbox->view.generation == 7);
  CHECK(sandbox->view.staged_generation == 8);
  CHECK(sandbox->view.search.at(0).text() == "svc.cluster.local");
  message.add_search("nonsense");
  CHECK_FALSE(read_sandbox(message.SerializeAsString()));
  message.clear_search();
  message.set_id(0);
  CHECK_FALSE(read_sandbox(message.SerializeAsString()));
}

}  // namespace
}  // namespace postern::testing
