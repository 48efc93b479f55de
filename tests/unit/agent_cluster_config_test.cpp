// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "agent/config.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;

Config good(std::string_view text) {
  Diagnostics diagnostics;
  Config config = read_config(text, "postern.yaml", diagnostics);
  INFO((diagnostics.failed() ? diagnostics.to_error().message() : ""));
  REQUIRE_FALSE(diagnostics.failed());
  return config;
}

std::string error_of(std::string_view text) {
  Diagnostics diagnostics;
  static_cast<void>(read_config(text, "postern.yaml", diagnostics));
  return diagnostics.failed() ? diagnostics.to_error().message() : "";
}

TEST_CASE("cluster config: every key", "[agent]") {
  const Config config = good(R"(
scope: {label: team.example/egress, namespaces: [agents, kube-system], except: [agents-test], enforce: strict}
kubernetes:
  kubeconfig: /etc/postern/kubeconfig
  node: worker-1
  cluster_domain: k8s.corp.example
  kubelet_config: /k/config.yaml
  cni_results: /c/results
  pod_cidrs: [10.244.0.0/16, "fd00:10:244::/56"]
)");
  CHECK(config.kubernetes.on);
  CHECK(config.kubernetes.kubeconfig == "/etc/postern/kubeconfig");
  CHECK(config.kubernetes.node == "worker-1");
  CHECK(config.kubernetes.cluster_domain.text() == "k8s.corp.example");
  CHECK(config.kubernetes.kubelet_config == "/k/config.yaml");
  CHECK(config.kubernetes.cni_results == "/c/results");
  REQUIRE(config.kubernetes.pod_cidrs.size() == 2);
  CHECK(config.kubernetes.pod_cidrs[1].to_string() == "fd00:10:244::/56");
  CHECK(config.scope.label == "team.example/egress");
  CHECK(config.scope.namespaces == std::set<std::string>{"agents", "kube-system"});
  CHECK(config.scope.except == std::set<std::string>{"agents-test"});
  CHECK(config.scope.strict);
}

TEST_CASE("cluster config: kubernetes alone turns it on, with defaults", "[agent]") {
  for (const char* text : {"kubernetes: {}\n", "kubernetes:\n", "kubernetes: {}\nscope: {}\n"}) {
    INFO(text);
    const Config config = good(text);
    CHECK(config.kubernetes.on);
    CHECK(config.kubernetes.kubeconfig.empty());
    CHECK(config.kubernetes.cluster_domain.text() == "cluster.local");
    CHECK(config.kubernetes.kubelet_config == "/var/lib/kubelet/config.yaml");
    CHECK(config.kubernetes.cni_results == "/var/lib/cni/results");
    CHECK(config.scope.label == "postern.dev/enforce");
    CHECK_FALSE(config.scope.strict);
    CHECK(config.kubernetes.kinds ==
          std::vector<std::string>{"EgressPolicy", "ClusterEgressPolicy", "AllowlistTemplate"});
  }
  CHECK(good("kubernetes: {}\nkinds: []\n").kubernetes.kinds.empty());
  CHECK(good("kubernetes: {}\nkinds: [NetworkPolicy]\n").kubernetes.kinds == std::vector<std::string>{"NetworkPolicy"});
  CHECK_FALSE(good("").kubernetes.on);
  CHECK_FALSE(good("log: {level: info}\n").kubernetes.on);
}

TEST_CASE("cluster config: what is wrong is said with its place", "[agent]") {
  CHECK_THAT(error_of("kubernetes: {kubeconf: /x}\n"), ContainsSubstring("kubeconfig"));
  CHECK_THAT(error_of("kubernetes: yes\n"), ContainsSubstring("kubernetes"));
  CHECK_THAT(error_of("kubernetes: {kubeconfig: x}\n"), ContainsSubstring("begin it with /"));
  CHECK_THAT(error_of("kubernetes: {cluster_domain: \"a b\"}\n"), ContainsSubstring("kubernetes.cluster_domain"));
  CHECK_THAT(error_of("kubernetes: {pod_cidrs: [10.0.0.1/8]}\n"), ContainsSubstring("kubernetes.pod_cidrs[0]"));
  CHECK_THAT(error_of("kubernetes: {pod_cidrs: 10.0.0.0/8}\n"), ContainsSubstring("expected a list"));
  CHECK_THAT(error_of("kubernetes: {}\nscope: {enforce: always}\n"), ContainsSubstring("postern.yaml:2:"));
  CHECK_THAT(error_of("kubernetes: {}\nscope: {label: \"a=b\"}\n"), ContainsSubstring("without a value"));
  CHECK_THAT(error_of("kubernetes: {}\nscope: {label: /x}\n"), ContainsSubstring("scope.label"));
  CHECK_THAT(error_of("kubernetes: {}\nscope: {namespaces: [\"team-*\"]}\n"), ContainsSubstring("no wildcards"));
  CHECK_THAT(error_of("kubernetes: {}\nscope: {namespaces: [Agents]}\n"), ContainsSubstring("lower case"));
  CHECK_THAT(error_of("kubernetes: {}\nscope: {except: agents}\n"), ContainsSubstring("expected a list"));
  CHECK_THAT(error_of("scope: {enforce: strict}\n"), ContainsSubstring("there is no kubernetes"));
  CHECK_THAT(error_of("kinds: [EgressPolicy]\n"), ContainsSubstring("there is no kubernetes"));
  CHECK_THAT(error_of("kubernetes: {}\nkinds: [ClusterNetworkPolicy]\n"),
             ContainsSubstring("ClusterNetworkPolicy.networking.k8s.aws"));
  CHECK_THAT(error_of("kubernetes: {}\nkinds: [EgressPolicy, EgressPolicy]\n"), ContainsSubstring("there twice"));
}

TEST_CASE("config: the search list of a resolv.conf", "[agent]") {
  const auto text = [](std::string_view conf) {
    std::string all;
    for (const DnsName& suffix : search_of(conf)) {
      all += (all.empty() ? "" : " ") + suffix.text();
    }
    return all;
  };
  CHECK(text("nameserver 192.0.2.1\nsearch a.example b.example\n") == "a.example b.example");
  CHECK(text("search a.example\nsearch\tb.example.\noptions ndots:5\n") == "b.example");
  CHECK(text("domain c.example\n") == "c.example");
  CHECK(text("search . bad..name ok.example\n") == "ok.example");
  CHECK(text("#search a.example\n").empty());
}

}  // namespace
}  // namespace postern
