// SPDX-License-Identifier: Apache-2.0
#include "agent/sandbox/pod_scope.h"

#include <catch2/catch_test_macros.hpp>

#include "agent/sandbox/pod_search.h"

namespace postern {
namespace {

ScopeAnswer scope(const std::string& name, const Labels& labels, const ScopeConfig& config = {}) {
  const NamespaceInfo space{name, labels};
  return scope_of_namespace(name, &space, config, "postern-system");
}

std::string joined(const SearchList& list) {
  std::string all;
  for (const DnsName& suffix : list) {
    all += (all.empty() ? "" : " ") + suffix.text();
  }
  return all;
}

SearchList names(std::initializer_list<const char*> texts) {
  SearchList list;
  for (const char* text : texts) {
    list.push_back(*DnsName::from_text(text));
  }
  return list;
}

PodInfo pod(const char* dns_policy) {
  PodInfo made;
  made.space = "agents";
  made.dns_policy = dns_policy;
  return made;
}

TEST_CASE("scope: by the label of the namespace", "[agent]") {
  CHECK(scope("agents", {{"postern.dev/enforce", "true"}}) == ScopeAnswer::kIn);
  CHECK(scope("agents", {{"postern.dev/enforce", ""}}) == ScopeAnswer::kIn);
  CHECK(scope("agents", {{"postern.dev/enforce", "strict"}}) == ScopeAnswer::kIn);
  CHECK(scope("agents", {{"postern.dev/enforce", "false"}}) == ScopeAnswer::kOut);
  CHECK(scope("agents", {}) == ScopeAnswer::kOut);
  CHECK(scope("agents", {{"postern.dev/enforced", "true"}}) == ScopeAnswer::kOut);
  ScopeConfig other;
  other.label = "team.example/egress";
  CHECK(scope("agents", {{"postern.dev/enforce", "true"}}, other) == ScopeAnswer::kOut);
  CHECK(scope("agents", {{"team.example/egress", "on"}}, other) == ScopeAnswer::kIn);
}

TEST_CASE("scope: by the list, and never ours, nor kube-system unless listed", "[agent]") {
  const Labels labelled = {{"postern.dev/enforce", "true"}};
  ScopeConfig listed;
  listed.namespaces = {"agents", "postern-system", "kube-system"};
  CHECK(scope("agents", {}, listed) == ScopeAnswer::kIn);
  CHECK(scope("kube-system", {}, listed) == ScopeAnswer::kIn);
  CHECK(scope("postern-system", labelled, listed) == ScopeAnswer::kOut);
  CHECK(scope("kube-system", labelled) == ScopeAnswer::kOut);
  listed.except = {"agents", "kube-system"};
  CHECK(scope("agents", labelled, listed) == ScopeAnswer::kOut);
  CHECK(scope("kube-system", {}, listed) == ScopeAnswer::kOut);
}

TEST_CASE("scope: a namespace that is not told yet is unknown, unless its name decides", "[agent]") {
  ScopeConfig config;
  config.namespaces = {"listed"};
  const auto untold = [&](const std::string& name) {
    return scope_of_namespace(name, nullptr, config, "postern-system");
  };
  CHECK(untold("agents") == ScopeAnswer::kUnknown);
  CHECK(untold("listed") == ScopeAnswer::kIn);
  CHECK(untold("kube-system") == ScopeAnswer::kOut);
  CHECK(untold("postern-system") == ScopeAnswer::kOut);
}

TEST_CASE("scope: pods behind an upstream address", "[agent]") {
  const DnsBackends dns{
      {*Address::parse("10.96.0.10"), *Address::parse("10.244.0.5")}, "kube-system", {{"k8s-app", "kube-dns"}}};
  PodInfo asked = pod("Default");
  CHECK_FALSE(is_dns_backend(asked, dns));
  asked.addresses = {*Address::parse("10.244.0.5")};
  CHECK(is_dns_backend(asked, dns));
  PodInfo behind = pod("Default");
  behind.labels = {{"k8s-app", "kube-dns"}, {"x", "y"}};
  CHECK_FALSE(is_dns_backend(behind, dns));  // another namespace
  behind.space = "kube-system";
  CHECK(is_dns_backend(behind, dns));
  behind.labels["k8s-app"] = "other";
  CHECK_FALSE(is_dns_backend(behind, dns));
  CHECK_FALSE(is_dns_backend(behind, {{}, "kube-system", {}}));
}

TEST_CASE("search: as kubelet writes resolv.conf", "[agent]") {
  const DnsName domain = *DnsName::from_text("cluster.local");
  const SearchList node = names({"corp.example", "example"});
  const std::string cluster = "agents.svc.cluster.local svc.cluster.local cluster.local corp.example example";
  CHECK(joined(search_of_pod(pod("ClusterFirst"), domain, node)) == cluster);
  CHECK(joined(search_of_pod(pod(""), domain, node)) == cluster);
  CHECK(joined(search_of_pod(pod("ClusterFirstWithHostNet"), domain, node)) == cluster);
  CHECK(joined(search_of_pod(pod("Default"), domain, node)) == "corp.example example");
  CHECK(joined(search_of_pod(pod("None"), domain, node)).empty());
  CHECK(joined(search_of_pod(pod("ClusterFirst"), *DnsName::from_text("k8s.corp.example"), {})) ==
        "agents.svc.k8s.corp.example svc.k8s.corp.example k8s.corp.example");
  PodInfo host = pod("ClusterFirst");
  host.host_network = true;
  CHECK(joined(search_of_pod(host, domain, node)) == "corp.example example");
}

TEST_CASE("search: dnsConfig.searches come last, once each; what is no name is left out", "[agent]") {
  PodInfo wished = pod("None");
  wished.searches = {"a.example", "not a name", "", ".", "A.example", "b.example."};
  CHECK(joined(search_of_pod(wished, *DnsName::from_text("cluster.local"), names({"corp.example"}))) ==
        "a.example b.example");
  PodInfo many = pod("None");
  for (int i = 0; i < 100; ++i) {
    many.searches.push_back("s" + std::to_string(i) + ".example");
  }
  CHECK(search_of_pod(many, *DnsName::from_text("cluster.local"), {}).size() == kPodSearchMax);
}

}  // namespace
}  // namespace postern
