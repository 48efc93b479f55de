// SPDX-License-Identifier: Apache-2.0
//
// posternd's feed. A policy that is taken can decide any name and write any denial.
#include "dnsproxy/feed_reader.h"

#include "dnsproxy/reply.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace postern;

void use(const WorkerPolicy& policy) {
  Query query;
  for (const std::string& name : {std::string("\3api\7example\3com\0", 17), std::string("\0", 1)}) {
    const Wire wire{reinterpret_cast<const std::uint8_t*>(name.data()), name.size()};
    const NameMatch match = policy.names.match(wire);
    for (std::uint8_t i = 0; i < match.count; ++i) {
      FUZZ_REQUIRE(match.rules[i] < policy.rules.size());
    }
    std::ranges::copy(wire, query.name.bytes.begin());
    query.name.size = static_cast<std::uint8_t>(name.size());
    query.has_edns = query.dnssec_ok = true;
    std::array<std::uint8_t, kUdpPlainPayload> buffer;
    FUZZ_REQUIRE(write_denial(query, kRcodeNoError, policy.denial, buffer) > kHeaderSize);
  }
  for (const Prefix& prefix : policy.private_allowed) {
    FUZZ_REQUIRE(!prefix.to_string().empty());
    static_cast<void>(prefix.contains(prefix.address));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  testing::Input input(data, size);
  const std::uint8_t kind = input.u8() % 3;
  const auto rest = input.rest();
  const std::string_view body(reinterpret_cast<const char*>(rest.data()), rest.size());
  if (kind == 0) {
    if (const auto settings = read_settings(body)) {
      for (const Endpoint& upstream : settings->upstreams) {
        FUZZ_REQUIRE(upstream.port != 0 && !upstream.to_string().empty());
      }
    }
  } else if (kind == 1) {
    if (const auto policy = read_policy(body)) {
      use(**policy);
    }
  } else if (const auto sandbox = read_sandbox(body)) {
    for (const DnsName& suffix : sandbox->view.search) {
      FUZZ_REQUIRE(!suffix.text().empty());
    }
  }
  return 0;
}
