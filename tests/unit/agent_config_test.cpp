// SPDX-License-Identifier: Apache-2.0
#include "agent/config.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;

std::string error_of(std::string_view text) {
  Diagnostics diagnostics;
  static_cast<void>(read_config(text, "postern.yaml", diagnostics));
  return diagnostics.failed() ? diagnostics.to_error().message() : "";
}

TEST_CASE("config: every key", "[agent]") {
  Diagnostics diagnostics;
  const Config config = read_config(R"(
policies: /p
templates: /t
run_dir: /r
pin_dir: /sys/fs/bpf/x
dns: {upstreams: [192.0.2.53, "[2001:db8::53]:5353"], search: [corp.example], grant_s_min: 60}
log: {level: debug, format: json}
)",
                                    "postern.yaml", diagnostics);
  REQUIRE(diagnostics.errors().empty());
  CHECK(config.policies == "/p");
  CHECK(config.templates == "/t");
  CHECK(config.control_socket() == "/r/control.sock");
  CHECK(config.dns_socket() == "/r/dns.sock");
  CHECK(config.sandboxes_file() == "/r/sandboxes.json");
  CHECK(config.pin_dir == "/sys/fs/bpf/x");
  REQUIRE(config.upstreams.size() == 2);
  CHECK(config.upstreams[0].to_string() == "192.0.2.53:53");
  CHECK(config.upstreams[1].to_string() == "[2001:db8::53]:5353");
  REQUIRE(config.search.size() == 1);
  CHECK(config.search[0].text() == "corp.example");
  CHECK(config.grant_s_min == 60);
  CHECK(config.log_level == "debug");
  CHECK(config.log_format == LogFormat::kJson);
}

TEST_CASE("config: an empty file is all defaults", "[agent]") {
  Diagnostics diagnostics;
  const Config config = read_config("", "postern.yaml", diagnostics);
  CHECK_FALSE(diagnostics.failed());
  CHECK(config.policies == "/etc/postern/policies");
  CHECK(config.grant_s_min == 30);
}

TEST_CASE("config: what is wrong is said with its line", "[agent]") {
  CHECK_THAT(error_of("polices: /p\n"), ContainsSubstring("postern.yaml:1:1") && ContainsSubstring("policies"));
  CHECK_THAT(error_of("policies: p\n"), ContainsSubstring("begin it with /"));
  CHECK_THAT(error_of("\ndns: {upstreams: [dns.example]}\n"), ContainsSubstring("postern.yaml:2:"));
  CHECK_THAT(error_of("dns: {upstreams: 192.0.2.1}\n"), ContainsSubstring("dns.upstreams"));
  CHECK_THAT(error_of("dns: {grant_s_min: 0}\n"), ContainsSubstring("dns.grant_s_min"));
  CHECK_THAT(error_of("log: {level: loud}\n"), ContainsSubstring("log.level"));
  CHECK_THAT(error_of("policies: /p\n---\npolicies: /q\n"), ContainsSubstring("second document"));
}

TEST_CASE("config: nameservers of a resolv.conf", "[agent]") {
  const auto found = nameservers_of("# nameserver 1.1.1.1\nsearch a b\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver x\n");
  REQUIRE(found.size() == 2);
  CHECK(found[0].to_string() == "192.0.2.1:53");
  CHECK(found[1].address.to_string() == "fe80::1");
}

}  // namespace
}  // namespace postern
