// SPDX-License-Identifier: Apache-2.0
//
// `postern allowlist compose`: what several templates open together, and from where each entry is.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "policies/compose.h"
#include "policies/render.h"
#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;

constexpr const char* kTools = R"(apiVersion: postern.dev/v1alpha1
kind: AllowlistTemplate
metadata: {name: tools}
spec:
  version: 2026-11-27
  purpose: tools
  parameters: [{name: region, purpose: where, default: "*"}]
  groups:
  - {name: api, purpose: the API, names: ["api.{region}.example.com", status.example.com]}
  - {name: files, purpose: downloads, risk: user-content, names: ["*.files.example.com"], ports: [443, 80]}
---
apiVersion: postern.dev/v1alpha1
kind: AllowlistTemplate
metadata: {name: more}
spec:
  version: 2026-11-27
  purpose: more
  extends: [tools]
  groups: [{name: own, purpose: our own, names: [own.example.net], cidrs: [192.0.2.0/24]}]
)";

std::vector<ComposedEntry> composed(const ComposeRequest& request) {
  Diagnostics diagnostics;
  auto entries = compose(request, templates_of(kTools), diagnostics);
  if (diagnostics.failed()) {
    throw std::runtime_error(diagnostics.to_error().message());
  }
  return entries;
}

std::string errors_of(const ComposeRequest& request) {
  Diagnostics diagnostics;
  compose(request, templates_of(kTools), diagnostics);
  return diagnostics.failed() ? diagnostics.to_error().message() : "";
}

TEST_CASE("compose: an entry of several templates is one, with every origin", "[policies]") {
  const auto entries = composed({{"tools:api", "more"}, {}, {}, {}});
  REQUIRE(entries.size() == 5);
  CHECK(entries[0].entry.text == "api.*.example.com");
  REQUIRE(entries[0].origins.size() == 2);
  CHECK(entries[0].origins[0].to_string() == "tools/api");
  CHECK(entries[0].origins[1].to_string() == "more/api (tools)");
  CHECK(entries[0].origins[0].place.line == 9);
  CHECK(entries[2].entry.user_content);
}

TEST_CASE("compose: a parameter with several values makes an entry for each", "[policies]") {
  const auto entries = composed({{"tools:api"}, {{"region", {"eu-west-1", "us-west-2"}}}, {}, {}});
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].entry.text == "api.eu-west-1.example.com");
  CHECK(entries[2].entry.text == "api.us-west-2.example.com");
}

TEST_CASE("compose: except and add", "[policies]") {
  const auto entries =
      composed({{"more"},
                {},
                {"*.files.example.com", "status.example.com"},
                {"git.corp.example:22", "*.corp.example", "[2001:db8::/32]:8000-8010/udp", "192.0.2.0/24:443"}});
  REQUIRE(entries.size() == 6);
  CHECK(entries[1].entry.text == "own.example.net");
  CHECK(entries[2].origins.size() == 2);  // the same range on the same port
  CHECK(entries[3].entry.ports.to_string() == "22/tcp");
  CHECK(entries[3].origins[0].to_string() == "--add");
  CHECK(entries[4].entry.text == "*.corp.example");
  CHECK(entries[5].entry.ports.to_string() == "8000-8010/udp");
}

TEST_CASE("compose: what is wrong is said with the option", "[policies]") {
  CHECK_THAT(errors_of({{"tols"}, {}, {}, {}}),
             ContainsSubstring("TEMPLATE: there is no template \"tols\": there is more, tools"));
  CHECK_THAT(errors_of({{"tools:ap"}, {}, {}, {}}), ContainsSubstring("has no group \"ap\": it has api, files"));
  CHECK_THAT(errors_of({{"tools"}, {{"zone", {"a"}}}, {}, {}}),
             ContainsSubstring("--param zone: none of these templates"));
  CHECK_THAT(errors_of({{"tools"}, {{"region", {"a.b"}}}, {}, {}}),
             ContainsSubstring("--param: \"a.b\" is not one label"));
  CHECK_THAT(errors_of({{"tools"}, {}, {"other.example"}, {}}),
             ContainsSubstring("--except: \"other.example\" excepts nothing"));
  CHECK_THAT(errors_of({{"tools"}, {}, {}, {"a.example:99999"}}), ContainsSubstring("--add: \"99999\" is not a port"));
  CHECK_THAT(errors_of({{"tools"}, {}, {}, {"*.co.uk"}}), ContainsSubstring("public suffix"));
  CHECK_THAT(errors_of({{"tools"}, {}, {}, {"https://a.example"}}), ContainsSubstring("--add: "));
}

TEST_CASE("compose: the policy of a list opens exactly the list", "[policies]") {
  const auto entries = composed({{"tools", "more:own"}, {{"region", {"eu-west-1"}}}, {}, {"git.corp.example:22"}});
  const auto rendered = render(policy_of(entries, "agent"), {});
  REQUIRE(static_cast<bool>(rendered));
  CHECK(rendered->losses.empty());
  CHECK_THAT(rendered->yaml, ContainsSubstring("- api.eu-west-1.example.com  # tools/api: the API"));
  Diagnostics diagnostics;
  const auto policies = read_policies(rendered->yaml, "agent.yaml", {}, diagnostics);
  REQUIRE_FALSE(diagnostics.failed());
  const auto image = compile(policies[0], {}, diagnostics);
  REQUIRE(image != nullptr);
  CHECK(image->rules.size() == entries.size());
  CHECK(image->ports_of(name("git.corp.example").wire()).to_string() == "22/tcp");
  CHECK(image->ports_of(name("a.files.example.com").wire()).to_string() == "80/tcp, 443/tcp");
  CHECK(image->ports_of(name("api.us-west-2.example.com").wire()).empty());
}

}  // namespace
}  // namespace postern
