// SPDX-License-Identifier: Apache-2.0
//
// Inventories: the compact kind and what kubectl prints, and what policies open against them.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "policies/inventory_reader.h"
#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

constexpr std::string_view kHead = "apiVersion: postern.dev/v1alpha1\nkind: Inventory\n";

constexpr std::string_view kCompact = R"(apiVersion: postern.dev/v1alpha1
kind: Inventory
metadata: {name: lab}
ranges: {pods: [10.244.0.0/16, "fd00:10::/56"], services: [10.96.0.0/16]}
host: [192.0.2.10]
namespaces:
- {name: shop, labels: {team: web}}
pods:
- {name: api-0, namespace: shop, labels: {app: api}, addresses: [10.244.1.5, "fd00:10::5"]}
- {name: agent, namespace: shop, labels: {app: agent}, addresses: [192.0.2.10], hostNetwork: true}
nodes:
- {name: one, labels: {zone: a}, addresses: [192.0.2.10]}
services:
- name: api
  namespace: shop
  labels: {tier: back}
  selector: {app: api}
  addresses: [10.96.0.20]
  ports: [{port: 80, target: 8080}, {port: 53, protocol: UDP}]
- {name: database, namespace: shop, addresses: [10.96.0.21], endpoints: [198.51.100.7], ports: [{port: 5432}]}
)";

// Shortened, but with fields of every sort that is not read.
constexpr std::string_view kKubectl = R"(apiVersion: v1
items:
- apiVersion: v1
  kind: Pod
  metadata:
    annotations: {note: "a: b"}
    creationTimestamp: "2026-11-01T10:00:00Z"
    labels: {app: api}
    name: api-0
    namespace: shop
    ownerReferences: [{kind: ReplicaSet, name: api, controller: true}]
  spec:
    containers:
    - image: registry.example/api:1
      resources: {}
      ports: [{containerPort: 8080, name: web, protocol: TCP}]
    tolerations: [{effect: NoExecute, key: node.kubernetes.io/not-ready, tolerationSeconds: 300}]
  status: {phase: Running, podIP: 10.244.1.5, podIPs: [{ip: 10.244.1.5}, {ip: "fd00:10::5"}], qosClass: BestEffort}
- apiVersion: v1
  kind: Pod
  metadata: {name: migrate, namespace: shop, labels: {app: api}}
  spec: {containers: []}
  status: {phase: Succeeded, podIP: 10.244.1.6}
- apiVersion: v1
  kind: Pod
  metadata: {name: waits, namespace: shop, labels: null}
  spec: {hostNetwork: true}
  status: {phase: Pending}
- apiVersion: v1
  kind: Namespace
  metadata: {name: shop, labels: {kubernetes.io/metadata.name: shop, team: web}}
  spec: {finalizers: [kubernetes]}
- apiVersion: v1
  kind: Node
  metadata: {name: one, labels: {zone: a}}
  spec: {podCIDR: 10.244.1.0/24, podCIDRs: [10.244.1.0/24]}
  status:
    addresses: [{address: 192.0.2.10, type: InternalIP}, {address: one, type: Hostname}]
    images: [{names: [registry.example/api:1], sizeBytes: 1}]
- apiVersion: v1
  kind: Service
  metadata: {name: api, namespace: shop, labels: {tier: back}}
  spec:
    clusterIP: 10.96.0.20
    clusterIPs: [10.96.0.20]
    ports:
    - {name: http, port: 80, protocol: TCP, targetPort: web}
    - {name: admin, port: 9000, protocol: TCP, targetPort: 9001, nodePort: 31000}
    - {name: odd, port: 99, protocol: SCTP, targetPort: nobody}
    selector: {app: api}
    type: ClusterIP
- apiVersion: v1
  kind: Service
  metadata: {name: nodes, namespace: shop}
  spec: {clusterIP: None, clusterIPs: [None], selector: {app: api}, ports: [{port: 80}]}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  addressType: IPv4
  metadata: {name: api-x7k2p, namespace: shop, labels: {kubernetes.io/service-name: api}}
  endpoints:
  - {addresses: [10.244.1.5], conditions: {ready: true, serving: true}, targetRef: {kind: Pod, name: api-0}}
  - {addresses: [10.244.1.9], conditions: {ready: false}}
  - {addresses: [10.244.1.7]}
  ports: [{name: http, port: 8080, protocol: TCP}, {name: admin, port: 9001}]
- apiVersion: networking.k8s.io/v1
  kind: ServiceCIDR
  metadata: {name: kubernetes}
  spec: {cidrs: [10.96.0.0/16]}
kind: List
metadata: {resourceVersion: ""}
)";

Inventory inventory_of(std::string_view text) {
  Diagnostics diagnostics;
  InventoryDraft draft;
  read_inventory(text, "inventory.yaml", draft, diagnostics);
  INFO((diagnostics.failed() ? diagnostics.to_error().message() : ""));
  REQUIRE_FALSE(diagnostics.failed());
  return finish_inventory(std::move(draft));
}

std::string errors_of_inventory(std::string_view text) {
  Diagnostics diagnostics;
  InventoryDraft draft;
  read_inventory(text, "inventory.yaml", draft, diagnostics);
  return diagnostics.failed() ? diagnostics.to_error().message() : "";
}

TEST_CASE("inventory: the compact kind", "[policies]") {
  const Inventory read = inventory_of(kCompact);
  CHECK(read.pods == std::vector{prefix("10.244.0.0/16"), prefix("fd00:10::/56")});
  CHECK(read.services == std::vector{prefix("10.96.0.0/16")});
  CHECK(read.host == std::vector{address("192.0.2.10")});
  REQUIRE(read.pod_list.size() == 2);
  CHECK(read.pod_list[0] == InventoryPod{"api-0",
                                         {"shop", {{"team", "web"}}, {{"app", "api"}}},
                                         {address("10.244.1.5"), address("fd00:10::5")},
                                         false});
  CHECK(read.pod_list[1].host_network);
  CHECK(read.nodes == std::vector{InventoryNode{"one", {{"zone", "a"}}, {address("192.0.2.10")}}});
  REQUIRE(read.service_list.size() == 2);
  CHECK(read.service_list[0].ports == std::vector{ServicePort{6, 80, 8080}, ServicePort{17, 53, 53}});
  CHECK(read.service_list[0].endpoints == read.pod_list[0].addresses);
  CHECK(read.service_list[1].endpoints == std::vector{address("198.51.100.7")});
}

TEST_CASE("inventory: what kubectl get -o yaml prints", "[policies]") {
  const Inventory read = inventory_of(kKubectl);
  CHECK(read.pods == std::vector{prefix("10.244.1.0/24")});
  CHECK(read.services == std::vector{prefix("10.96.0.0/16")});
  REQUIRE(read.pod_list.size() == 2);  // without the one that has ended
  CHECK(read.pod_list[0].identity ==
        PodIdentity{"shop", {{"kubernetes.io/metadata.name", "shop"}, {"team", "web"}}, {{"app", "api"}}});
  CHECK(read.pod_list[0].addresses == std::vector{address("10.244.1.5"), address("fd00:10::5")});
  CHECK((read.pod_list[1].host_network && read.pod_list[1].addresses.empty()));
  CHECK(read.nodes == std::vector{InventoryNode{"one", {{"zone", "a"}}, {address("192.0.2.10")}}});
  REQUIRE(read.service_list.size() == 2);
  const InventoryService& api = read.service_list[0];
  CHECK(api.cluster_ips == std::vector{address("10.96.0.20")});
  CHECK(api.endpoints == std::vector{address("10.244.1.5"), address("10.244.1.7")});  // only the ready ones
  CHECK(api.ports == std::vector{ServicePort{6, 80, 8080}, ServicePort{6, 9000, 9001}, ServicePort{132, 99, 0}});
  CHECK(read.service_list[1].cluster_ips.empty());
  CHECK(read.service_list[1].endpoints == read.pod_list[0].addresses);  // nobody said: those it selects
}

TEST_CASE("inventory: a named target port that differs between endpoints is known to nobody", "[policies]") {
  const std::string other = std::string(kKubectl.substr(0, kKubectl.find("kind: List"))) + R"(
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: api-second, namespace: shop, labels: {kubernetes.io/service-name: api}}
  endpoints: [{addresses: [10.244.1.8]}]
  ports: [{name: http, port: 8081}]
kind: List
)";
  const Inventory read = inventory_of(other);
  CHECK(read.service_list[0].ports[0].target == 0);
  CHECK(read.service_list[0].endpoints.size() == 3);
}

TEST_CASE("inventory: documents and files add up, and said ranges go before those of nodes", "[policies]") {
  Diagnostics diagnostics;
  InventoryDraft draft;
  read_inventory(kKubectl, "cluster.yaml", draft, diagnostics);
  read_inventory(std::string(kHead) + "ranges: {pods: [10.0.0.0/8]}\nhost: [192.0.2.10]\n---\n" + std::string(kHead) +
                     "pods: [{name: more, namespace: shop, addresses: [10.9.9.9]}]\n",
                 "more.yaml", draft, diagnostics);
  REQUIRE_FALSE(diagnostics.failed());
  const Inventory read = finish_inventory(std::move(draft));
  CHECK(read.pods == std::vector{prefix("10.0.0.0/8")});
  CHECK(read.host.size() == 1);
  REQUIRE(read.pod_list.size() == 3);
  CHECK(read.pod_list[2].identity.space_labels.at("team") == "web");
}

TEST_CASE("inventory: mistakes are named with their place", "[policies]") {
  const auto [text, error] = GENERATE(table<std::string, std::string>({
      {"podes: []\n", "inventory.yaml:3:1: unknown field \"podes\": did you mean \"pods\"?"},
      {"pods: [{name: a, namespace: b, addresses: [10.1]}]\n",
       "inventory.yaml:3:44: pods[0].addresses[0]: \"10.1\" is not an address: write one as"},
      {"pods: [{name: a}]\n", "inventory.yaml:3:8: pods[0].namespace: is missing"},
      {"pods: [web]\n", "inventory.yaml:3:8: pods[0]: expected a map of fields, found a single value"},
      {"ranges: {pods: [10.1.2.3/8]}\n", "inventory.yaml:3:17: ranges.pods[0]: "},
      {"namespaces: [{name: a}, {name: a}]\n",
       "inventory.yaml:3:25: namespaces[1]: Namespace a is there already, at inventory.yaml:3:14: remove one"},
      {"nodes: [{name: a, address: 10.0.0.1}]\n", "nodes[0]: unknown field \"address\": did you mean \"addresses\"?"},
      {"services: [{name: a, namespace: b, ports: [{port: http}]}]\n",
       "services[0].ports[0].port: \"http\" is a port's"},
      {"services: [{name: a, namespace: b, ports: [{port: 5, protocol: SCTP}]}]\n",
       "ports[0].protocol: \"SCTP\" cannot"},
      {"host: 10.0.0.1\n", "inventory.yaml:3:7: host: expected a list, found a single value: write [10.0.0.1]"},
  }));
  INFO(text);
  CHECK_THAT(errors_of_inventory(std::string(kHead) + text), ContainsSubstring(error));
}

TEST_CASE("inventory: objects that do not belong there, and wrong ones that do", "[policies]") {
  const auto [text, error] = GENERATE(table<std::string, std::string>({
      {"kind: Inventory\napiVersion: v2\n", "inventory.yaml:2:13: apiVersion: \"v2\" is not known: write postern.dev/"},
      {"kind: Secret\napiVersion: v1\n",
       "inventory.yaml:1:7: kind: \"Secret\" of v1 does not belong in an inventory"},
      {"- a\n", "inventory.yaml:1:1: not an object: begin with apiVersion: postern.dev/v1alpha1 and kind: Inventory"},
      {"kind: Pod\n", "inventory.yaml:1:1: apiVersion: is missing"},
      {"kind: Pod\napiVersion: v1\nstatus: {podIPs: [{ip: nowhere}]}\nmetadata: {name: a}\n",
       "inventory.yaml:3:24: status.podIPs[0].ip: \"nowhere\" is not an address"},
      {"kind: Service\napiVersion: v1\nspec: {ports: [{port: 70000}]}\nmetadata: {name: a}\n",
       "inventory.yaml:3:23: spec.ports[0].port: \"70000\" is not a whole number from 1 to 65535"},
      {"a: &x 1\nb: *x\n", "inventory.yaml:1:4: anchors (&name) are not accepted"},
  }));
  INFO(text);
  CHECK_THAT(errors_of_inventory(text), ContainsSubstring(error));
}

TEST_CASE("inventory: selectors, Services and the world resolve against what was read", "[policies]") {
  constexpr std::string_view kPolicy = R"(apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  endpointSelector: {matchLabels: {app: agent}}
  egress:
  - toEndpoints: [{matchLabels: {app: api}}]
    toPorts: [{ports: [{port: "8080", protocol: TCP}]}]
)";
  const auto& text = GENERATE(kCompact, kKubectl);
  Diagnostics diagnostics;
  PolicySet set;
  set.inventory = inventory_of(text);
  add_policies(kPolicy, "web.yaml", {}, set, diagnostics);
  REQUIRE_FALSE(diagnostics.failed());
  const PolicyImage& image = *set.policies.begin()->second.image;
  REQUIRE(image.find_cidr(address("10.244.1.5")) != nullptr);
  CHECK(image.find_cidr(address("10.244.1.5"))->allow.contains(kProtocolTcp, 8080));
  CHECK(image.find_cidr(address("10.96.0.20"))->allow.contains(kProtocolTcp, 80));
  CHECK_FALSE(image.find_cidr(address("10.96.0.20"))->allow.contains(kProtocolTcp, 9000));
}

}  // namespace
}  // namespace postern
