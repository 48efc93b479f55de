// SPDX-License-Identifier: Apache-2.0
//
// Text as a kubeconfig. One that is taken names an https server and has credentials fit for a header.
#include "agent/kube/kube_config.h"
#include "agent/kube/token_source.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  if (size > 64 * 1024) {
    return 0;
  }
  Diagnostics diagnostics;
  const KubeConfig config = read_kubeconfig({reinterpret_cast<const char*>(data), size}, "/k/config", diagnostics);
  for (const Diagnostic& error : diagnostics.errors()) {
    for (const char c : error.to_string()) {
      FUZZ_REQUIRE(c >= ' ' && c < 0x7f);
    }
  }
  if (diagnostics.failed()) {
    return 0;
  }
  FUZZ_REQUIRE(config.server.starts_with("https://") && config.server.size() > 8);
  FUZZ_REQUIRE(config.token.empty() || is_token(config.token));
  FUZZ_REQUIRE(!config.token.empty() || !config.token_file.empty() || config.client_certificate.present());
  FUZZ_REQUIRE(config.client_certificate.present() == config.client_key.present());
  return 0;
}
