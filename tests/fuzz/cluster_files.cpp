// SPDX-License-Identifier: Apache-2.0
//
// Bytes as each of the files and answers of a cluster that posternd reads beside pods and namespaces: a
// cached CNI result, a Service, kubelet's configuration, a resolv.conf, and its own configuration.
#include "agent/cluster_dns.h"
#include "agent/sandbox/cni_result.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  if (size > 64 * 1024) {
    return 0;
  }
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto result = read_cni_result(text)) {
    FUZZ_REQUIRE(!result->pod.space.empty() && !result->pod.name.empty());
    FUZZ_REQUIRE(result->addresses.size() <= kCniAddressesMax && result->macs.size() <= kCniAddressesMax);
    FUZZ_REQUIRE(!describes(*result, {}, {}));
  }
  if (const auto service = read_dns_service(text)) {
    FUZZ_REQUIRE(service->addresses.size() <= 8);
  }
  if (const auto servers = read_kubelet_dns(text, "kubelet.yaml")) {
    FUZZ_REQUIRE(servers->size() <= 8);
  } else {
    FUZZ_REQUIRE(servers.error().message().find('\n') == std::string::npos);
  }
  for (const DnsName& suffix : search_of(text)) {
    FUZZ_REQUIRE(!suffix.is_root());
  }
  Diagnostics diagnostics;
  const Config config = read_config(text, "postern.yaml", diagnostics);
  FUZZ_REQUIRE(config.kubernetes.pod_cidrs.size() <= kPodCidrsMax);
  FUZZ_REQUIRE(config.scope.namespaces.size() <= kNamespacesListedMax);
  for (const Diagnostic& error : diagnostics.errors()) {
    FUZZ_REQUIRE(error.to_string().find('\n') == std::string::npos);
  }
  return 0;
}
