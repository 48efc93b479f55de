// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>

#include "agent/feed_writer.h"
#include "agent/sandbox/sandbox.h"
#include "api/dns_feed.pb.h"
#include "api/observer_feed.pb.h"
#include "policies/policy_set.h"

namespace postern {
namespace {

Sandbox example() {
  Sandbox sandbox;
  sandbox.id = 7;
  sandbox.slot = 3;
  sandbox.ifindex = 12;
  sandbox.interface = "veth7";
  sandbox.policy = "agent";
  sandbox.addresses = {*Address::parse("10.0.0.2"), *Address::parse("2001:db8::2")};
  sandbox.mac = {2, 0, 0, 0, 0, 9};
  sandbox.host_mac = {2, 0, 0, 0, 0, 1};
  sandbox.link_prefixes = {*Prefix::parse("10.0.0.0/24")};
  sandbox.search = {*DnsName::from_text("ns.svc.cluster.local")};
  sandbox.policy_id = 5;
  sandbox.generation = 9;
  return sandbox;
}

TEST_CASE("sandbox: MAC addresses as text", "[agent]") {
  CHECK(to_string(*parse_mac("02:AB:cd:00:00:01")) == "02:ab:cd:00:00:01");
  for (const char* wrong : {"", "02:ab:cd:00:00", "02:ab:cd:00:00:0", "02-ab-cd-00-00-01", "02:ab:cd:00:00:0g", "02:ab:cd:00:00:01:"}) {
    INFO(wrong);
    CHECK_FALSE(parse_mac(wrong));
  }
}

TEST_CASE("sandbox: its kernel form", "[agent]") {
  PolicyImage image;
  image.inbound_link = true;
  const egress_sandbox entry = to_kernel(example(), &image);
  CHECK(entry.id == 7);
  CHECK(entry.slot == 3);
  CHECK(entry.policy == 5);
  CHECK(entry.min_generation == 9);
  CHECK(entry.mode == EGRESS_MODE_ENFORCE);
  CHECK(entry.inbound == EGRESS_INBOUND_LINK);
  REQUIRE(entry.addr_count == 2);
  CHECK(from_kernel(entry.addrs[0]).to_string() == "10.0.0.2");
  CHECK(from_kernel(entry.addrs[1]).to_string() == "2001:db8::2");
  REQUIRE(entry.link_prefix_count == 1);
  CHECK(entry.link_prefixes[0].bits == 120);
  CHECK(entry.flow_age_s_max == 24 * 3600);
  CHECK(to_kernel(example(), nullptr).inbound == 0);
}

TEST_CASE("sandbox: a lockdown is in the kernel's form and in the file", "[agent]") {
  Sandbox sandbox = example();
  sandbox.mode = SandboxMode::kLockdown;
  CHECK(to_kernel(sandbox, nullptr).mode == EGRESS_MODE_LOCKDOWN);
  const auto read = sandboxes_from_json(to_json({&sandbox}));
  REQUIRE(read);
  CHECK(read->at(0).mode == SandboxMode::kLockdown);
  CHECK_FALSE(parse_mode("lock"));
  CHECK_FALSE(parse_mode("audit"));
}

TEST_CASE("sandbox: the file says what the kernel does not know", "[agent]") {
  const Sandbox sandbox = example();
  const auto read = sandboxes_from_json(to_json({&sandbox}));
  REQUIRE(read);
  REQUIRE(read->size() == 1);
  const Sandbox& again = read->front();
  CHECK(again.id == sandbox.id);
  CHECK(again.interface == sandbox.interface);
  CHECK(again.policy == sandbox.policy);
  CHECK(again.addresses == sandbox.addresses);
  CHECK(again.mac == sandbox.mac);
  CHECK(again.search == sandbox.search);
  CHECK(again.pod == PodRef());
  CHECK_FALSE(again.held);
  for (const char* damaged : {"", "{", "[1]", R"([{"id":1}])", R"([{"id":"x"}])"}) {
    INFO(damaged);
    CHECK_FALSE(sandboxes_from_json(damaged));
  }
}

TEST_CASE("sandbox: whose pod it is, and that it is held, are in the file", "[agent]") {
  Sandbox sandbox = example();
  sandbox.pod = {"7c1e", "agents", "agent-0"};
  Sandbox held = example();
  held.policy = "";
  held.held = true;
  const auto read = sandboxes_from_json(to_json({&sandbox, &held}));
  REQUIRE(read);
  CHECK(read->at(0).pod == sandbox.pod);
  CHECK_FALSE(read->at(0).held);
  CHECK(read->at(1).pod == PodRef());
  CHECK(read->at(1).held);
}

TEST_CASE("feed: the observer hears of a pod and its labels", "[agent]") {
  Sandbox sandbox = example();
  sandbox.pod = {"7c1e", "agents", "agent-0"};
  const std::map<std::string, std::string> labels = {{"role", "runtime"}};
  api::ObserverUpdate update;
  REQUIRE(update.ParseFromString(observer_sandbox(sandbox, &labels)));
  CHECK(update.put_sandbox().namespace_() == "agents");
  CHECK(update.put_sandbox().pod() == "agent-0");
  REQUIRE(update.put_sandbox().labels_size() == 1);
  CHECK(update.put_sandbox().labels(0) == "role=runtime");
}

TEST_CASE("feed: a policy's rules carry the kernel's numbers and groups", "[agent]") {
  PolicySet set;
  Diagnostics diagnostics;
  add_policies(R"(
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: p}
spec:
  allow:
  - names: [a.example.com, "*.b.example.com"]
  dns: {allow: [only.example.com], text: ask}
)",
               "p.yaml", {}, set, diagnostics);
  REQUIRE_FALSE(diagnostics.failed());
  const auto& image = *set.policies.at("p").image;
  api::DnsPolicy fed;
  REQUIRE(fed.ParseFromString(policy_feed(4, image, [](const PortSet& ports) { return ports.empty() ? 0u : 77u; })));
  REQUIRE(fed.rules_size() == 3);
  CHECK(fed.id() == 4);
  CHECK(fed.rules(0).port_set() == 77);
  CHECK(fed.rules(0).group() != 0);
  CHECK(fed.rules(0).group() == fed.rules(1).group());
  CHECK(fed.rules(2).port_set() == 0);
  CHECK(fed.rules(2).group() == 0);
  CHECK(fed.denial_opt().find("ask") != std::string::npos);
  CHECK_FALSE(fed.denial_soa().empty());
}

}  // namespace
}  // namespace postern
