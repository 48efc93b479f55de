// SPDX-License-Identifier: Apache-2.0
//
// What a second load takes over from the first, and what it must not.
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <vector>

#include "policies/policy_set.h"
#include "policies/template_links.h"
#include "policies/template_reader.h"
#include "tests/unit/policies_texts.h"

namespace postern {
namespace {

constexpr int kPolicies = 250;

std::string text_of_policy(int number, const std::string& name) {
  return "apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: agent-" + std::to_string(number) +
         ", namespace: shop}\nspec:\n  selector: {}\n  allow: [{names: [" + name + "]}]\n";
}

struct Folder {
  std::shared_ptr<PolicyCache> cache = std::make_shared<PolicyCache>();
  std::string templates = "none";
  Inventory inventory;

  /// Loads every policy; one of them names something else.
  PolicySet load(int edited, const std::string& name) const {
    PolicySet set;
    set.inventory = inventory;
    set.cache = cache;
    cache->begin_load(templates, inventory);
    Diagnostics diagnostics;
    for (int i = 0; i < kPolicies; ++i) {
      add_policies(text_of_policy(i, i == edited ? name : "api.example.com"), std::to_string(i) + ".yaml", {}, set,
                   diagnostics);
    }
    CHECK_FALSE(diagnostics.failed());
    return set;
  }
};

TEST_CASE("cache: one changed policy of 250 is read and compiled alone", "[policies]") {
  const Folder folder;
  const PolicySet first = folder.load(0, "api.example.com");
  CHECK(folder.cache->counters().files_read == kPolicies);
  CHECK(folder.cache->counters().images_compiled == kPolicies);
  const PolicySet second = folder.load(7, "other.example.com");
  CHECK(folder.cache->counters().files_read == kPolicies + 1);
  CHECK(folder.cache->counters().images_compiled == kPolicies + 1);
  CHECK(second.policies.at("shop/agent-6").image == first.policies.at("shop/agent-6").image);
  CHECK(second.policies.at("shop/agent-7").image->fingerprint != first.policies.at("shop/agent-7").image->fingerprint);
}

TEST_CASE("cache: policies that select one pod are compiled together once, until one of them changes", "[policies]") {
  const Folder folder;
  const PodIdentity pod{"shop", {}, {}};
  const auto joined = [&](const PolicySet& set) { return set.image_of(set.select(pod)).value(); };
  const auto first = joined(folder.load(0, "api.example.com"));
  const std::size_t compiled = folder.cache->counters().images_compiled;
  CHECK(joined(folder.load(0, "api.example.com")) == first);
  CHECK(joined(folder.load(0, "api.example.com")) == first);
  CHECK(folder.cache->counters().images_compiled == compiled);
  const auto edited = joined(folder.load(0, "new.example.com"));
  CHECK(edited != first);
  CHECK(folder.cache->counters().images_compiled == compiled + 2);  // the policy, and the whole
}

TEST_CASE("cache: other templates or another inventory are not those it was compiled with", "[policies]") {
  Folder folder;
  static_cast<void>(folder.load(0, "api.example.com"));
  folder.templates = "others";
  static_cast<void>(folder.load(0, "api.example.com"));
  CHECK(folder.cache->counters().files_read == 2 * kPolicies);
  CHECK(folder.cache->counters().images_compiled == 2 * kPolicies);
  folder.inventory.pods = {Prefix::parse("10.244.0.0/16").value()};
  static_cast<void>(folder.load(0, "api.example.com"));
  CHECK(folder.cache->counters().files_read == 2 * kPolicies);
  CHECK(folder.cache->counters().images_compiled == 3 * kPolicies);
}

TEST_CASE("cache: a file with an error is read again, and its warnings come each time", "[policies]") {
  PolicyCache cache;
  cache.begin_load("", {});
  for (const std::size_t reads : {1u, 2u}) {
    Diagnostics diagnostics;
    cache.read(policy_text("  mode: never\n"), "a.yaml", {}, diagnostics);
    CHECK(diagnostics.errors().size() == 1);
    CHECK(cache.counters().files_read == reads);
  }
  for (int load = 0; load < 2; ++load) {
    cache.begin_load("", {});
    Diagnostics diagnostics;
    const auto models =
        cache.read(policy_text("  allow: [{cidrs: [169.0.0.0/8], ports: [80]}]\n"), "b.yaml", {}, diagnostics);
    REQUIRE(models.size() == 1);
    CHECK(cache.compile(models, {}, diagnostics) != nullptr);
    CHECK(diagnostics.warnings().size() == 1);
  }
  CHECK(cache.counters().images_compiled == 1);
}

TEST_CASE("cache: what two loads did not ask for is forgotten", "[policies]") {
  PolicyCache cache;
  Diagnostics diagnostics;
  cache.begin_load("", {});
  const std::weak_ptr<const Policy> model = cache.read(policy_text("  {}\n"), "a.yaml", {}, diagnostics).at(0);
  cache.begin_load("", {});
  CHECK_FALSE(model.expired());
  cache.begin_load("", {});
  CHECK(model.expired());
}

std::string to_pods(const std::string& name) {
  return "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: " + name +
         ", namespace: shop}\nspec:\n  endpointSelector: {}\n  egress: [{toEndpoints: [{matchLabels: {app: api}}]}]\n";
}

TEST_CASE("cache: a pod that comes compiles those policies anew that speak of pods", "[policies]") {
  const auto cache = std::make_shared<PolicyCache>();
  const auto load = [&](const Inventory& inventory) {
    PolicySet set;
    set.inventory = inventory;
    set.cache = cache;
    cache->begin_load("", inventory);
    Diagnostics diagnostics;
    add_policies(text_of_policy(0, "api.example.com"), "names.yaml", {}, set, diagnostics);
    add_policies(to_pods("pods"), "pods.yaml", {}, set, diagnostics);
    CHECK_FALSE(diagnostics.failed());
    return set;
  };
  Inventory inventory;
  static_cast<void>(load(inventory));
  CHECK(cache->counters().images_compiled == 2);
  inventory.pod_list = {{"api", {"shop", {}, {{"app", "api"}}}, {*Address::parse("10.0.0.7")}, false}};
  const PolicySet set = load(inventory);
  CHECK(cache->counters().images_compiled == 3);
  const auto image = set.image_of("CiliumNetworkPolicy:shop/pods");
  REQUIRE(image);
  CHECK((*image)->find_cidr(*Address::parse("10.0.0.7")) != nullptr);
  inventory.pods = {*Prefix::parse("10.0.0.0/16")};  // "from: pods" is in every policy
  static_cast<void>(load(inventory));
  CHECK(cache->counters().images_compiled == 5);
}

TEST_CASE("compile: what speaks of the cluster is not compiled by a part of it", "[policies]") {
  Inventory part;
  part.whole = false;
  const auto errors = [&](const std::string& text) {
    PolicySet set;
    set.inventory = part;
    Diagnostics diagnostics;
    add_policies(text, "p.yaml", {}, set, diagnostics);
    return diagnostics.errors().size();
  };
  const auto cilium = [](const std::string& egress) {
    return "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a, namespace: shop}\nspec:\n  "
           "endpointSelector: {}\n  " +
           egress + "\n";
  };
  CHECK(errors(to_pods("a")) == 1);
  CHECK(errors(cilium("egress: [{toEntities: [world]}]")) == 1);   // it would be too wide
  CHECK(errors(cilium("egress: [{toCIDR: [10.0.0.0/8]}]")) == 1);  // which means no pod of these
  CHECK(errors(cilium("egressDeny: [{toCIDR: [169.254.169.254/32]}]")) == 0);
  CHECK(errors(cilium("egress: [{toEntities: [all]}]")) == 0);
  CHECK(errors(cilium("egress: [{toFQDNs: [{matchName: a.example.com}]}]")) == 0);
  CHECK(errors(text_of_policy(0, "api.example.com")) == 0);
}

TEST_CASE("cache: what policies take of a template is compiled once for all that take the same", "[policies]") {
  Diagnostics diagnostics;
  const TemplateSet templates = link_templates(
      read_templates(
          "apiVersion: postern.dev/v1alpha1\nkind: AllowlistTemplate\nmetadata: {name: base}\nspec:\n"
          "  version: 2026-11-28\n  purpose: p\n  parameters: [{name: region, purpose: p, default: eu}]\n"
          "  groups:\n"
          "  - {name: a, purpose: p, names: [a.example.com, \"*.a.example.com\", \"{region}.example.com\"]}\n"
          "  - {name: b, purpose: p, ports: [8443], names: [b.example.com, \"*.deep.a.example.com\"]}\n",
          "t.yaml", diagnostics),
      diagnostics);
  const auto policy = [](const std::string& name, const std::string& allow) {
    return "apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: " + name + "}\nspec: {allow: [" +
           allow + "]}\n";
  };
  const std::string kAll = "{templates: [base]}";
  const std::string kOwn = "{names: [own.example.com, \"*.a.example.com\", x.deep.a.example.com], ports: [22]}";
  PolicySet set;
  for (const auto& [name, allow] :
       std::map<std::string, std::string>{{"first", kAll},
                                          {"second", kOwn + ", " + kAll},
                                          {"part", "{templates: [{name: base, groups: [a]}]}"},
                                          {"same-part", "{templates: [{name: base, groups: [a]}, base]}"},
                                          {"other-value", "{templates: [{name: base, params: {region: us}}]}"}}) {
    add_policies(policy(name, allow), name + ".yaml", templates, set, diagnostics);
  }
  REQUIRE_FALSE(diagnostics.failed());
  const auto matcher = [&](const std::string& name, std::size_t at = 0) {
    return set.policies.at(name).image->names.sets().at(at).matcher;
  };
  CHECK(matcher("first") == matcher("second"));
  CHECK(matcher("part") == matcher("same-part"));
  CHECK(matcher("first") == matcher("same-part", 1));
  CHECK(matcher("first") != matcher("part"));
  CHECK(matcher("first") != matcher("other-value"));

  // Shared or not, the same names find the same rules.
  for (const auto& [name, loaded] : set.policies) {
    Policy alone = *loaded.model;
    alone.shared_names.clear();
    const auto plain = compile(alone, Inventory(), diagnostics);
    REQUIRE(plain != nullptr);
    CHECK(plain->fingerprint == loaded.image->fingerprint);
    for (const char* asked : {"a.example.com", "x.a.example.com", "x.deep.a.example.com", "deep.a.example.com",
                              "eu.example.com", "us.example.com", "b.example.com", "own.example.com", "example.com",
                              "com", "c.example.com", "x.y.deep.a.example.com"}) {
      const auto wire = DnsName::from_text(asked).value();
      const NameMatch one = loaded.image->names.match(wire.wire());
      const NameMatch other = plain->names.match(wire.wire());
      INFO(name << " asked for " << asked);
      CHECK(std::vector(one.rules.begin(), one.rules.begin() + one.count) ==
            std::vector(other.rules.begin(), other.rules.begin() + other.count));
      CHECK(one.more == other.more);
      CHECK(one.ancestor == other.ancestor);
      CHECK(loaded.image->ports_of(wire.wire()) == plain->ports_of(wire.wire()));
    }
  }
}

TEST_CASE("cache: other templates are shared anew", "[policies]") {
  const auto templates = [](const std::string& name) {
    Diagnostics diagnostics;
    return link_templates(
        read_templates("apiVersion: postern.dev/v1alpha1\nkind: AllowlistTemplate\nmetadata: {name: base}\n"
                       "spec:\n  version: 2026-11-28\n  purpose: p\n  groups: [{name: a, purpose: p, names: [" +
                           name + "]}]\n",
                       "t.yaml", diagnostics),
        diagnostics);
  };
  const auto cache = std::make_shared<PolicyCache>();
  const auto load = [&](const std::string& name) {
    PolicySet set;
    set.cache = cache;
    cache->begin_load(name, Inventory());
    Diagnostics diagnostics;
    add_policies(
        "apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: p}\nspec: {allow: [{templates: "
        "[base]}]}\n",
        "p.yaml", templates(name), set, diagnostics);
    return set.policies.at("p").image;
  };
  const auto first = load("a.example.com");
  const auto second = load("b.example.com");
  const auto wire = DnsName::from_text("b.example.com").value();
  CHECK_FALSE(first->names.match(wire.wire()).matched());
  CHECK(second->names.match(wire.wire()).matched());
}

TEST_CASE(
    "peers: whoever makes Services makes no policy fail: a denial closes all of them, what allows leaves them out",
    "[policies]") {
  Inventory inventory;
  inventory.pod_list = {{"db", {"shop", {}, {{"app", "db"}}}, {*Address::parse("10.0.0.7")}, false}};
  InventoryService service;
  service.space = "shop";
  service.name = "many";
  service.selector = {{"app", "db"}};
  service.cluster_ips = {*Address::parse("10.96.0.7")};
  for (std::uint16_t port = 1; port < 100; port = static_cast<std::uint16_t>(port + 2)) {
    service.ports.push_back({6, port, 5432});
  }
  inventory.service_list = {service};
  const auto image = [&](const std::string& direction, const std::string& ports) {
    PolicySet set;
    set.inventory = inventory;
    Diagnostics diagnostics;
    add_policies(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a, namespace: shop}\nspec:\n"
        "  endpointSelector: {}\n  " +
            direction + ": [{toEndpoints: [{matchLabels: {app: db}}]" + ports + "}]\n",
        "p.yaml", {}, set, diagnostics);
    INFO((diagnostics.failed() ? diagnostics.to_error().message() : ""));
    REQUIRE_FALSE(diagnostics.failed());
    return set.policies.begin()->second.image;
  };
  const std::string postgres = ", toPorts: [{ports: [{port: \"5432\", protocol: TCP}]}]";
  const auto denies = image("egressDeny", postgres);
  REQUIRE(denies->find_cidr(*Address::parse("10.96.0.7")) != nullptr);
  CHECK(denies->find_cidr(*Address::parse("10.96.0.7"))->deny.contains(6, 4));  // wider than written, never narrower
  CHECK(image("egressDeny", "")->find_cidr(*Address::parse("10.96.0.7"))->deny.contains(6, 3));
  const auto allows = image("egress", postgres);
  const CidrVerdict* opened = allows->find_cidr(*Address::parse("10.96.0.7"));
  CHECK((opened == nullptr || !opened->allow.contains(6, 3)));
  CHECK(allows->find_cidr(*Address::parse("10.0.0.7"))->allow.contains(6, 5432));
}

TEST_CASE("peers: a Service whose pods do not agree on a port's number is closed by who denies any of them",
          "[policies]") {
  Inventory inventory;
  inventory.pod_list = {{"db", {"shop", {}, {{"app", "db"}}}, {*Address::parse("10.0.0.7")}, false}};
  InventoryService service;
  service.space = "shop";
  service.name = "db";
  service.selector = {{"app", "db"}};
  service.cluster_ips = {*Address::parse("10.96.0.7")};
  service.ports = {{6, 5432, 0}};
  inventory.service_list = {service};
  PolicySet set;
  set.inventory = inventory;
  Diagnostics diagnostics;
  add_policies(
      "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a, namespace: shop}\nspec:\n"
      "  endpointSelector: {}\n  egressDeny: [{toEndpoints: [{matchLabels: {app: db}}], toPorts: [{ports: "
      "[{port: \"9999\", protocol: TCP}]}]}]\n",
      "p.yaml", {}, set, diagnostics);
  REQUIRE_FALSE(diagnostics.failed());
  const CidrVerdict* closed = set.policies.begin()->second.image->find_cidr(*Address::parse("10.96.0.7"));
  REQUIRE(closed != nullptr);
  CHECK(closed->deny.contains(6, 5432));
}

TEST_CASE("cache: what an inventory of before compiled is not found by the one of now", "[policies]") {
  PolicyCache cache;
  Inventory before;
  Inventory now;
  now.pod_list = {{"api", {"shop", {}, {{"app", "api"}}}, {*Address::parse("10.0.0.7")}, false}};
  Diagnostics diagnostics;
  cache.begin_load("", before);
  const auto models = cache.read(to_pods("p"), "p.yaml", {}, diagnostics);
  cache.begin_load("", now);
  const auto dated = cache.compile(models, before, diagnostics);  // of a change that began earlier
  const auto image = cache.compile(models, now, diagnostics);
  REQUIRE_FALSE(diagnostics.failed());
  CHECK(dated->find_cidr(*Address::parse("10.0.0.7")) == nullptr);
  CHECK(image->find_cidr(*Address::parse("10.0.0.7")) != nullptr);
}

}  // namespace
}  // namespace postern
