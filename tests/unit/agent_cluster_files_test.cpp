// SPDX-License-Identifier: Apache-2.0
//
// What others on a node and in a cluster write, and posternd reads.
#include <catch2/catch_test_macros.hpp>

#include "agent/cluster_dns.h"
#include "agent/sandbox/cni_result.h"

namespace postern {
namespace {

constexpr const char* kPtpResult = R"({"kind":"cniCacheV1","containerId":"0a1b","config":"e30=","ifName":"eth0",
"networkName":"pods","cniArgs":[["IgnoreUnknown","1"],["K8S_POD_NAMESPACE","agents"],["K8S_POD_NAME","agent-0"],
["K8S_POD_INFRA_CONTAINER_ID","0a1b"],["K8S_POD_UID","7c1e"]],"capabilityArgs":{"dns":{}},
"result":{"cniVersion":"0.3.1","dns":{},"interfaces":[{"mac":"ce:0d:00:00:00:01","name":"veth1234"},
{"mac":"ce:0d:00:00:00:02","name":"eth0","sandbox":"/var/run/netns/cni-1"}],
"ips":[{"address":"10.88.0.5/24","gateway":"10.88.0.1","interface":1,"version":"4"},
{"address":"fd00::5/64","interface":1,"version":"6"}],"routes":[{"dst":"0.0.0.0/0"}]}})";

TEST_CASE("cni result: whose it is, its addresses and its own MAC", "[agent]") {
  const auto result = read_cni_result(kPtpResult);
  REQUIRE(result);
  CHECK(result->pod == PodRef{"7c1e", "agents", "agent-0"});
  REQUIRE(result->addresses.size() == 2);
  CHECK(result->addresses[0].to_string() == "10.88.0.5");
  CHECK(result->addresses[1].to_string() == "fd00::5");
  REQUIRE(result->macs.size() == 1);
  CHECK(to_string(result->macs[0]) == "ce:0d:00:00:00:02");
}

TEST_CASE("cni result: the names of the node's own ends", "[agent]") {
  CHECK(read_cni_result(kPtpResult)->host_names == std::vector<std::string>{"veth1234"});
}

TEST_CASE("cni result: it describes an interface by address and MAC", "[agent]") {
  const CniResult result = *read_cni_result(kPtpResult);
  const Mac mac = *parse_mac("ce:0d:00:00:00:02");
  CHECK(describes(result, {*Address::parse("10.88.0.5")}, mac));
  CHECK(describes(result, {*Address::parse("192.0.2.1"), *Address::parse("fd00::5")}, mac));
  CHECK_FALSE(describes(result, {*Address::parse("10.88.0.6")}, mac));
  CHECK_FALSE(describes(result, {}, mac));
  CHECK_FALSE(describes(result, {*Address::parse("10.88.0.5")}, *parse_mac("ce:0d:00:00:00:01")));
  CniResult without = result;
  without.macs.clear();
  CHECK(describes(without, {*Address::parse("10.88.0.5")}, mac));
}

TEST_CASE("cni result: what is not a pod's is refused, whatever it is", "[agent]") {
  for (const char* text :
       {"", "{", "[]", "null", "7", R"({"kind":"other"})", R"({"kind":"cniCacheV1"})",
        R"({"kind":"cniCacheV1","cniArgs":[["K8S_POD_NAME","a"]]})", R"({"kind":"cniCacheV1","cniArgs":"x"})",
        R"({"kind":"cniCacheV1","cniArgs":[7,["K8S_POD_NAMESPACE"],["K8S_POD_NAMESPACE",1]]})"}) {
    INFO(text);
    CHECK_FALSE(read_cni_result(text));
  }
  const auto odd = read_cni_result(
      R"({"kind":"cniCacheV1","cniArgs":[["K8S_POD_NAMESPACE","a"],["K8S_POD_NAME","b"]],)"
      R"("result":{"ips":[7,{},{"address":1},{"address":"x/1"}],"interfaces":[7,{"mac":"x","sandbox":"y"}]}})");
  REQUIRE(odd);
  CHECK(odd->pod.uid.empty());
  CHECK(odd->addresses.empty());
  CHECK(odd->macs.empty());
}

TEST_CASE("cluster dns: the addresses and the selector of a Service", "[agent]") {
  const auto service =
      read_dns_service(R"({"kind":"Service","spec":{"clusterIP":"10.96.0.10","clusterIPs":["10.96.0.10","fd00::a"],)"
                       R"("selector":{"k8s-app":"kube-dns"},"ports":[{"port":53}]}})");
  REQUIRE(service);
  REQUIRE(service->addresses.size() == 2);
  CHECK(service->addresses[0].to_string() == "10.96.0.10");
  CHECK(service->addresses[1].to_string() == "fd00::a");
  CHECK(service->selector == Labels{{"k8s-app", "kube-dns"}});
  CHECK(read_dns_service(R"({"spec":{"clusterIP":"None"}})")->addresses.empty());
  CHECK(read_dns_service(R"({"spec":{"clusterIP":7,"clusterIPs":[7],"selector":{"a":7}}})")->selector.empty());
  for (const char* text : {"", "{}", "[]", R"({"spec":7})"}) {
    INFO(text);
    CHECK_FALSE(read_dns_service(text));
  }
}

TEST_CASE("cluster dns: clusterDNS of kubelet's configuration", "[agent]") {
  const auto servers = read_kubelet_dns(
      "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nclusterDNS:\n- 10.96.0.10\n- nonsense\n"
      "authentication: {anonymous: {enabled: false}}\n",
      "config.yaml");
  REQUIRE(servers);
  REQUIRE(servers->size() == 1);
  CHECK((*servers)[0].to_string() == "10.96.0.10");
  CHECK(read_kubelet_dns("kind: KubeletConfiguration\n", "config.yaml")->empty());
  CHECK(read_kubelet_dns("", "config.yaml")->empty());
  CHECK(read_kubelet_dns(R"({"clusterDNS": ["10.96.0.10"]})", "config.yaml")->size() == 1);
  CHECK_FALSE(read_kubelet_dns("clusterDNS: 7\n", "config.yaml"));
  CHECK_FALSE(read_kubelet_dns("a: [\n", "config.yaml"));
}

}  // namespace
}  // namespace postern
