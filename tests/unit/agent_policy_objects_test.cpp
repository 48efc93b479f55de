// SPDX-License-Identifier: Apache-2.0
//
// Policy objects of an API server: each judged by itself, the last right state kept, nothing opened by a mistake; and
// what their authors are told.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "agent/object_status.h"
#include "agent/policy_objects.h"
#include "policies/template_links.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;

const PolicyResource& kind(const std::string& name) { return *find_policy_resource(name); }

PolicyObject object(const std::string& space, const std::string& name, const std::string& spec) {
  PolicyObject made;
  made.uid = "uid-" + space + "-" + name;
  made.space = space;
  made.name = name;
  made.generation = 1;
  made.version = "7";
  const std::string where = space.empty() ? "" : R"(, "namespace": ")" + space + "\"";
  made.text = R"({ "metadata": {"name": ")" + name + "\"" + where + R"(}, "spec": )" + spec + "}";
  return made;
}

/// Opens one name to the pods of its namespace with role=agent.
std::string opens(const std::string& name) {
  return R"({"selector": {"matchLabels": {"role": "agent"}}, "allow": [{"names": [")" + name + R"("]}]})";
}

const PodIdentity kAgent{"shop", {}, {{"role", "agent"}}};

struct Cluster {
  PolicyObjects objects;
  std::vector<AllowlistTemplate> of_files;
  std::string file;

  PolicySet load() {
    Diagnostics diagnostics;
    PolicySet set;
    const TemplateSet templates = objects.link(of_files, diagnostics);
    set.cache->begin_load(objects.template_texts(), set.inventory);
    add_policies(file, "files.yaml", templates, set, diagnostics);
    REQUIRE_FALSE(diagnostics.failed());
    objects.add_to(set, templates);
    return set;
  }
  std::string problem(const std::string& name) const {
    for (const auto& verdict : objects.verdicts()) {
      if (verdict.object->name == name) {
        return verdict.problem;
      }
    }
    return "not judged";
  }
};

bool resolves(const PolicySet& set, const std::string& key, const std::string& name) {
  const auto image = set.image_of(key);
  REQUIRE(image);
  return !(*image)->ports_of(DnsName::from_text(name)->wire()).empty();
}

}  // namespace

TEST_CASE("An object is a policy, and says where its rules are without lines") {
  Cluster cluster;
  CHECK(cluster.objects.put(kind("EgressPolicy"), object("shop", "web", opens("a.example.com"))));
  CHECK_FALSE(cluster.objects.put(kind("EgressPolicy"), object("shop", "web", opens("a.example.com"))));
  const PolicySet set = cluster.load();
  CHECK(set.select(kAgent) == "shop/web");
  CHECK(cluster.problem("web").empty());
  const auto image = set.image_of("shop/web");
  REQUIRE(image);
  REQUIRE((*image)->rules.size() >= 1);
  CHECK((*image)->rules[0].origin.to_string() == "EgressPolicy shop/web spec.allow[0].names[0]");
  CHECK(set.policies.at("shop/web").place.to_string() == "EgressPolicy shop/web");
}

TEST_CASE("A refused object stops nothing but itself, and what it was stays") {
  Cluster cluster;
  cluster.objects.put(kind("EgressPolicy"), object("shop", "web", opens("a.example.com")));
  cluster.objects.put(kind("EgressPolicy"), object("bank", "web2", opens("a.example.com")));
  static_cast<void>(cluster.load());
  CHECK(cluster.objects.put(kind("EgressPolicy"), object("shop", "web", R"({"allow": [{"names": ["*.com"]}]})")));
  CHECK(cluster.problem("web") == "not judged");
  CHECK(cluster.objects.put(kind("EgressPolicy"), object("bank", "web2", opens("b.example.com"))));
  const PolicySet set = cluster.load();
  CHECK(set.select(kAgent) == "shop/web");
  CHECK(resolves(set, "shop/web", "a.example.com"));
  CHECK(resolves(set, "bank/web2", "b.example.com"));
  CHECK(cluster.problem("web2").empty());
  CHECK_THAT(cluster.problem("web"), ContainsSubstring("EgressPolicy shop/web: spec.allow[0].names[0]: \"*.com\""));
  REQUIRE(cluster.objects.verdicts().size() == 2);
  CHECK(cluster.objects.verdicts()[1].former_stays);
  CHECK(cluster.objects.remove("uid-shop-web"));
  CHECK(cluster.load().select(kAgent).empty());
}

TEST_CASE("An object that was never right closes the pods that nothing else closes") {
  Cluster cluster;
  cluster.objects.put(kind("EgressPolicy"), object("shop", "wrong", R"({"selector": {"matchLabels": {"role": "agent"}},
    "allow": [{"names": ["good.example.com", "bad name"]}], "onDney": "drop"})"));
  PolicySet set = cluster.load();
  CHECK(set.select(kAgent) == "shop/wrong");
  CHECK_FALSE(resolves(set, "shop/wrong", "good.example.com"));
  CHECK(set.select({"shop", {}, {{"role", "other"}}}).empty());
  CHECK(set.select({"bank", {}, {{"role", "agent"}}}).empty());

  SECTION("and changes nothing for a pod that another policy closes") {
    cluster.objects.put(kind("EgressPolicy"), object("shop", "web", opens("a.example.com")));
    set = cluster.load();
    CHECK(set.select(kAgent) == "shop/web");
  }
  SECTION("even when its kind is another's, and not so much as its selector can be read") {
    cluster.objects.remove("uid-shop-wrong");
    cluster.objects.put(kind("CiliumNetworkPolicy"), object("shop", "odd", R"("nothing")"));
    set = cluster.load();
    CHECK(set.select(kAgent) == "CiliumNetworkPolicy:shop/odd");
    CHECK(set.select({"shop", {}, {}}) == "CiliumNetworkPolicy:shop/odd");
    CHECK(set.select({"bank", {}, {}}).empty());
  }
}

TEST_CASE("An object that would keep the loop busy is refused unread, and its namespace closed") {
  Cluster cluster;
  PolicyObject huge = object("shop", "huge", "{}");
  huge.too_large = true;  // agent/kube/reader.h left its text out
  cluster.objects.put(kind("EgressPolicy"), huge);
  const PolicySet set = cluster.load();
  CHECK_THAT(cluster.problem("huge"), ContainsSubstring("larger than 512 KiB: split it"));
  CHECK(set.select(kAgent) == "shop/huge");
  CHECK_FALSE(resolves(set, "shop/huge", "a.example.com"));
}

TEST_CASE("What is refused is not read again until what it depends on has changed") {
  Cluster cluster;
  cluster.objects.put(kind("EgressPolicy"), object("shop", "wrong", R"({"nonsense": 1})"));
  const auto cache = std::make_shared<PolicyCache>();
  const auto load = [&](const std::string& templates) {
    PolicySet set;
    set.cache = cache;
    cache->begin_load(templates, Inventory());
    cluster.objects.add_to(set, {});
    return cache->counters().files_read;
  };
  CHECK(load("one") == 1);
  CHECK(load("one") == 1);
  CHECK(load("other") == 2);
  cluster.objects.put(kind("EgressPolicy"), object("shop", "wrong", R"({"nonsense": 2})"));
  CHECK(load("other") == 3);
  CHECK_THAT(cluster.problem("wrong"), ContainsSubstring("nonsense"));
}

TEST_CASE("Of two wrong edits before a load neither takes the place of what was right") {
  Cluster cluster;
  cluster.objects.put(kind("EgressPolicy"), object("shop", "web", opens("a.example.com")));
  static_cast<void>(cluster.load());
  cluster.objects.put(kind("EgressPolicy"), object("shop", "web", R"({"nonsense": 1})"));
  cluster.objects.put(kind("EgressPolicy"), object("shop", "web", R"({"nonsense": 2})"));
  Cluster next;
  next.objects.restore(cluster.objects.record());
  next.objects.put(kind("EgressPolicy"), object("shop", "web", R"({"nonsense": 3})"));
  CHECK(resolves(next.load(), "shop/web", "a.example.com"));
}

TEST_CASE("An author is not told that a former state stays where the stand-in is in force") {
  Cluster cluster;
  const auto to_pods = [](const std::string& more) {
    return R"({"endpointSelector": {}, "egress": [{"toEndpoints": [{}])" + more + "}]}";
  };
  cluster.objects.put(kind("CiliumNetworkPolicy"), object("shop", "pods", to_pods("")));
  static_cast<void>(cluster.load());
  cluster.objects.put(kind("CiliumNetworkPolicy"), object("shop", "pods", to_pods(R"(, "icmps": [])")));
  PolicySet set;
  set.inventory.whole = false;  // by which what was right does not compile
  set.cache->begin_load("", set.inventory);
  cluster.objects.add_to(set, {});
  REQUIRE(cluster.objects.verdicts().size() == 1);
  CHECK_FALSE(cluster.objects.verdicts()[0].problem.empty());
  CHECK_FALSE(cluster.objects.verdicts()[0].former_stays);
  CHECK(set.policies.at("CiliumNetworkPolicy:shop/pods").stand_in);
}

TEST_CASE("What an object was when it was right outlives posternd") {
  Cluster cluster;
  cluster.objects.put(kind("EgressPolicy"), object("shop", "web", opens("a.example.com")));
  const std::string head = R"({"version": "2026-11-01", "purpose": "p", )";
  const auto group = [](const std::string& name) {
    return R"("groups": [{"name": "g", "purpose": "p", "names": [")" + name + R"("]}]})";
  };
  cluster.objects.put(kind("AllowlistTemplate"), object("", "base", head + group("base.example.com")));
  cluster.objects.put(kind("EgressPolicy"), object("shop", "user", R"({"selector": {"matchLabels": {"role": "user"}},
    "allow": [{"templates": ["base"]}]})"));
  static_cast<void>(cluster.load());
  cluster.objects.put(kind("EgressPolicy"), object("shop", "web", R"({"nonsense": 1})"));
  cluster.objects.put(kind("AllowlistTemplate"), object("", "base", head + R"("extends": ["nowhere"]})"));
  const auto holds = [](Cluster& each) {
    const PolicySet set = each.load();
    CHECK(resolves(set, "shop/web", "a.example.com"));
    CHECK(resolves(set, "shop/user", "base.example.com"));
    CHECK_THAT(each.problem("web"), ContainsSubstring("nonsense"));
    CHECK_THAT(each.problem("base"), ContainsSubstring("nowhere"));
    for (const auto& verdict : each.objects.verdicts()) {
      CHECK(verdict.former_stays == !verdict.problem.empty());
    }
  };
  holds(cluster);
  CHECK(cluster.objects.record_changed());
  Cluster next;
  next.objects.restore(cluster.objects.record());
  CHECK_FALSE(cluster.objects.record_changed());
  holds(next);
}

TEST_CASE("A policy of a file comes before an object of its name") {
  Cluster cluster;
  cluster.file =
      "apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: web, namespace: shop}\n"
      "spec: {selector: {}, allow: [{names: [file.example.com]}]}\n";
  cluster.objects.put(kind("EgressPolicy"), object("shop", "web", opens("object.example.com")));
  const PolicySet set = cluster.load();
  CHECK(resolves(set, "shop/web", "file.example.com"));
  CHECK_FALSE(resolves(set, "shop/web", "object.example.com"));
  CHECK_FALSE(set.policies.at("shop/web").stand_in);
  CHECK_THAT(cluster.problem("web"), ContainsSubstring("files.yaml:1"));
}

TEST_CASE("Template objects are linked with those of files, and a wrong one is left out alone") {
  const auto group = [](const std::string& name) {
    return R"("groups": [{"name": "g", "purpose": "p", "source": "https://example.com/d", "checked": "2026-11-01",
      "names": [")" +
           name + R"("]}])";
  };
  const std::string head = R"({"version": "2026-11-01", "purpose": "p", )";
  Cluster cluster;
  cluster.objects.put(kind("AllowlistTemplate"), object("", "base", head + group("base.example.com") + "}"));
  cluster.objects.put(kind("AllowlistTemplate"),
                      object("", "more", head + R"("extends": ["base"], )" + group("more.example.com") + "}"));
  cluster.objects.put(kind("AllowlistTemplate"), object("", "lost", head + R"("extends": ["nowhere"]})"));
  cluster.objects.put(kind("EgressPolicy"),
                      object("shop", "web", R"({"selector": {}, "allow": [{"templates": ["more"]}]})"));
  cluster.objects.put(kind("EgressPolicy"),
                      object("shop", "lame", R"({"selector": {}, "allow": [{"templates": ["lost"]}]})"));
  PolicySet set = cluster.load();
  CHECK(resolves(set, "shop/web", "base.example.com"));
  CHECK(resolves(set, "shop/web", "more.example.com"));
  CHECK(cluster.problem("more").empty());
  CHECK_THAT(cluster.problem("lost"), ContainsSubstring("nowhere"));
  CHECK_THAT(cluster.problem("lame"), ContainsSubstring("lost"));

  SECTION("a template that goes leaves policies as they were") {
    cluster.objects.remove("uid--more");
    set = cluster.load();
    CHECK(resolves(set, "shop/web", "more.example.com"));
    CHECK_THAT(cluster.problem("web"), ContainsSubstring("more"));
  }
}

TEST_CASE("What a posternd leaves on record, the next one goes on with until the API server tells its own") {
  Cluster cluster;
  cluster.objects.put(kind("EgressPolicy"), object("shop", "web", opens("a.example.com")));
  cluster.objects.put(kind("EgressPolicy"), object("bank", "gone", opens("b.example.com")));
  Cluster next;
  next.objects.restore(cluster.objects.record());
  CHECK(resolves(next.load(), "shop/web", "a.example.com"));
  CHECK(resolves(next.load(), "bank/gone", "b.example.com"));
  CHECK_FALSE(next.objects.put(kind("EgressPolicy"), object("shop", "web", opens("a.example.com"))));
  next.objects.forget_untold();
  CHECK(resolves(next.load(), "shop/web", "a.example.com"));
  CHECK_FALSE(next.load().has("bank/gone"));
  for (const char* odd : {"", "nonsense", "{}", "[1, {}, {\"kind\": \"Pod\"}]"}) {
    Cluster none;
    none.objects.restore(odd);
    CHECK(none.load().policies.empty());
  }
}

TEST_CASE("Policies that do not go together cut off their own pods, and keep nobody else's from being changed") {
  Cluster cluster;
  for (int i = 0; i < 5; ++i) {  // one name, more rules than a grant has slots
    cluster.objects.put(kind("EgressPolicy"), object("shop", "web" + std::to_string(i),
                                                     R"({"selector": {}, "allow": [{"names": ["*.example.com"],
      "ports": [)" + std::to_string(443 + i) + "]}]}"));
  }
  const PolicySet set = cluster.load();
  CHECK(set.clashes_alone);
  CHECK_FALSE(set.image_of(set.select(kAgent)));
}

TEST_CASE("What an author is told") {
  Cluster cluster;
  cluster.objects.put(kind("EgressPolicy"), object("shop", "right", opens("a.example.com")));
  cluster.objects.put(kind("EgressPolicy"), object("shop", "wrong", R"({"nonsense": 1})"));
  static_cast<void>(cluster.load());
  const auto verdicts = cluster.objects.verdicts();
  REQUIRE(verdicts.size() == 2);
  const ObjectCondition right = ObjectStatus::condition_of(verdicts[0]);
  CHECK(right.status == "True");
  CHECK(right.generation == 1);
  const ObjectCondition wrong = ObjectStatus::condition_of(verdicts[1]);
  CHECK(wrong.status == "False");
  CHECK_THAT(wrong.message, ContainsSubstring("unknown field \"nonsense\""));
  CHECK_THAT(wrong.message, ContainsSubstring("nothing of it is in force"));

  const auto patch = nlohmann::json::parse(status_patch(*verdicts[0].object, right, 1'800'000'000));
  CHECK(patch["metadata"]["resourceVersion"] == "7");
  const auto& condition = patch["status"]["conditions"][0];
  CHECK(condition["type"] == "Accepted");
  CHECK(condition["lastTransitionTime"] == "2027-01-15T08:00:00Z");
  CHECK(condition["observedGeneration"] == 1);

  SECTION("since when stays when only the words change") {
    PolicyObject told = *verdicts[0].object;
    told.accepted = {"True", "Accepted", "older words", 1, "2026-01-01T00:00:00Z"};
    const auto again = nlohmann::json::parse(status_patch(told, right, 1'800'000'000));
    CHECK(again["status"]["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:00:00Z");
  }
}

TEST_CASE("The kinds of policy objects, and where they are") {
  const PolicyObject one = object("shop", "web", "{}");
  CHECK(kind("EgressPolicy").path_of(one) == "/apis/postern.dev/v1alpha1/namespaces/shop/egresspolicies/web");
  CHECK(kind("ClusterNetworkPolicy.networking.k8s.aws").path() ==
        "/apis/networking.k8s.aws/v1alpha1/clusternetworkpolicies");
  CHECK(kind("ClusterNetworkPolicy.networking.k8s.aws").title_of(object("", "deny", "{}")) ==
        "ClusterNetworkPolicy.networking.k8s.aws deny");
  CHECK(find_policy_resource("ClusterNetworkPolicy") == nullptr);
  for (const PolicyResource& resource : policy_resources()) {
    const auto text = nlohmann::json::parse(resource.text_of(one.text));
    CHECK(text["kind"] == std::string(resource.kind));
    CHECK(text["apiVersion"] == resource.api_version());
    CHECK(text["metadata"]["name"] == "web");
  }
}

}  // namespace postern
