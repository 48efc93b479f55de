// SPDX-License-Identifier: Apache-2.0
//
// Text as an inventory: the compact kind and Kubernetes' own objects. What is taken, policies with selectors
// compile against; what is refused says where and why, in one printable line each.
#include "policies/inventory_reader.h"

#include "policies/image.h"
#include "policies/policy_reader.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace postern;

constexpr std::string_view kPolicy = R"(
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: fuzz, namespace: shop}
spec:
  endpointSelector: {}
  egress:
  - toEndpoints: [{matchLabels: {app: api}}]
  - toServices: [{k8sService: {serviceName: api, namespace: shop}}]
  - toEntities: [world, host, kube-apiserver]
)";

std::vector<Policy> policies() {
  Diagnostics diagnostics;
  auto read = read_policies(kPolicy, "policy.yaml", {}, diagnostics);
  FUZZ_REQUIRE(read.size() == 1 && !diagnostics.failed());
  return read;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<Policy> known = policies();
  if (size > 64 * 1024) {
    return 0;
  }
  Diagnostics diagnostics;
  InventoryDraft draft;
  read_inventory({reinterpret_cast<const char*>(data), size}, "fuzz.yaml", draft, diagnostics);
  for (const Diagnostic& error : diagnostics.errors()) {
    FUZZ_REQUIRE(testing::is_one_line(error.to_string()));
  }
  if (diagnostics.failed()) {
    return 0;
  }
  const Inventory inventory = finish_inventory(std::move(draft));
  for (const InventoryService& service : inventory.service_list) {
    FUZZ_REQUIRE(!service.name.empty());
  }
  Diagnostics of_policy;
  const auto image = compile(known[0], inventory, of_policy);
  FUZZ_REQUIRE((image == nullptr) == of_policy.failed());
  return 0;
}
