// SPDX-License-Identifier: Apache-2.0
//
// What a second load takes over from the first, and what it must not.
#include <catch2/catch_test_macros.hpp>

#include "policies/policy_set.h"
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

}  // namespace
}  // namespace postern
