// SPDX-License-Identifier: Apache-2.0
//
// Policies written in another kind and read again by its reader: never wider than the source, and the same
// unless a loss is reported. Random policies; names and addresses that nearly fit them.
#include <array>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "policies/explain.h"
#include "policies/render.h"
#include "policies_texts.h"

namespace postern {
namespace {

constexpr std::array kTargets{RenderTarget::kNative, RenderTarget::kCilium, RenderTarget::kAws, RenderTarget::kGke,
                              RenderTarget::kNetworkPolicy};
constexpr std::array kTargetNames{"native", "cilium", "aws", "gke", "netpol"};

std::string pick(std::mt19937& random, std::initializer_list<const char*> words) {
  return words.begin()[random() % words.size()];
}

std::string some_ports(std::mt19937& random) {
  return pick(random, {"[443]", "[80, 443]", "[443/udp]", "[8000-8010]", "[\"*\"]", "[443, echo]", "[1-65535]",
                       "[443, 8000-9000/udp]"});
}

/// Zones apart, so that no more than four rules meet one name.
std::string some_name(std::mt19937& random, std::size_t zone) {
  const std::string suffix = "z" + std::to_string(zone) + ".example";
  return pick(random, {"", "a.", "a.b.", "\"*.", "\"*{1}.", "\"a.*.", "\"*.a.*.", "\"*{1}.a."}) + suffix;
}

std::string quoted(std::string text) { return text.starts_with('"') ? text + "\"" : text; }

std::string native_text(std::mt19937& random) {
  std::string spec =
      "apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: agent, namespace: shop}\nspec:\n"
      "  selector: {matchLabels: {app: agent}}\n  allow:\n";
  for (std::size_t rule = 0; rule < 1 + random() % 3; ++rule) {
    spec += "  - names: [" + quoted(some_name(random, 2 * rule)) + ", " + quoted(some_name(random, 2 * rule + 1)) +
            "]\n    ports: " + some_ports(random) + "\n";
  }
  for (std::size_t rule = random() % 3; rule > 0; --rule) {
    const std::string cidr = pick(
        random, {"192.0.2.0/24", "198.51.100.0/25", "0.0.0.0/0", "\"::/0\"", "\"2001:db8::/32\"", "169.254.170.23/32"});
    spec += "  - cidrs: [" + cidr + "]\n    ports: " + some_ports(random) + "\n";
    spec += cidr == "0.0.0.0/0" && random() % 2 == 0 ? "    except: [192.0.2.64/26, 10.0.0.0/8]\n" : "";
  }
  if (random() % 3 == 0) {
    spec += "  deny:\n  - cidrs: [" + pick(random, {"192.0.2.128/25", "192.0.0.0/16", "\"2001:db8:1::/48\""}) + "]\n" +
            pick(random, {"", "    ports: [443]\n", "    ports: [echo]\n"});
  }
  if (random() % 3 == 0) {
    spec += "  dns: {allow: [" + quoted(some_name(random, 8)) + "]}\n";
  }
  return spec;
}

std::string cilium_text(std::mt19937& random) {
  std::string text =
      "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: agent, namespace: shop}\nspec:\n"
      "  endpointSelector: {matchLabels: {app: agent}}\n  egress:\n";
  for (std::size_t rule = 0; rule < 1 + random() % 3; ++rule) {
    const std::string zone = "z" + std::to_string(rule) + ".example";
    text += "  - toFQDNs:\n    - matchPattern: \"" + pick(random, {"*.", "**.", "a*.", "a.*.", "*-b.", "a.", ""}) +
            zone + "\"\n    toPorts: [{ports: [{port: \"443\", protocol: " + pick(random, {"TCP", "UDP", "ANY"}) +
            "}]}]\n";
  }
  text += "  - toPorts:\n    - ports: [{port: \"53\", protocol: ANY}]\n      rules: {dns: [{matchPattern: \"" +
          pick(random, {"*", "*.z0.example", "**.z7.example", "a.z7.example", "*.com"}) + "\"}]}\n" +
          "    toEndpoints: [{matchLabels: {k8s-app: kube-dns, \"k8s:io.kubernetes.pod.namespace\": kube-system}}]\n";
  if (random() % 2 == 0) {
    text += "  - toCIDRSet: [{cidr: " + pick(random, {"192.0.2.0/24", "0.0.0.0/0"}) + ", except: [192.0.2.64/26]}]\n";
  }
  if (random() % 2 == 0) {
    text += "  egressDeny:\n  - toCIDR: [192.0.2.128/25]\n";
  }
  return text;
}

std::vector<Policy> read(const std::string& text) {
  Diagnostics diagnostics;
  auto policies = read_policies(text, "round.yaml", {}, diagnostics);
  if (diagnostics.failed()) {
    throw std::runtime_error(diagnostics.to_error().message() + "\n" + text);
  }
  return policies;
}

std::shared_ptr<const PolicyImage> compiled(const std::vector<Policy>& policies, const std::string& text) {
  std::vector<const Policy*> all;
  for (const Policy& policy : policies) {
    all.push_back(&policy);
  }
  Diagnostics diagnostics;
  auto image = compile(all, {}, diagnostics);
  if (image == nullptr) {
    throw std::runtime_error(diagnostics.to_error().message() + "\n" + text);
  }
  return image;
}

struct Asked {
  std::uint8_t protocol;
  std::uint16_t port;
};
constexpr Asked kAsked[] = {{kProtocolTcp, 443},  {kProtocolTcp, 80},   {kProtocolUdp, 443}, {kProtocolTcp, 8005},
                            {kProtocolTcp, 8011}, {kProtocolUdp, 8500}, {kProtocolIcmp, 0},  {kProtocolTcp, 65535}};
constexpr const char* kAddresses[] = {
    "192.0.2.1",     "192.0.2.65", "192.0.2.129",  "192.0.3.1",       "198.51.100.5",       "198.51.100.200",
    "8.8.8.8",       "10.1.2.3",   "127.0.0.1",    "169.254.169.254", "169.254.170.23",     "2001:db8::1",
    "2001:db8:1::1", "fe80::1",    "2606:4700::1", "fd00:ec2::254",   "64:ff9b::a9fe:a9fe", "224.0.0.1"};

/// How much of two images was the same, and whether the second opened more.
struct Comparison {
  bool wider = false;
  bool same = true;
  std::string first;  ///< What differed.

  void see(bool source, bool target, const std::string& what) {
    wider = wider || (target && !source);
    same = same && target == source;
    if (target != source && first.empty()) {
      first = what + (target ? " opened" : " closed");
    }
  }
};

Comparison compare(const PolicyImage& source, const PolicyImage& target, bool lookups, std::mt19937& random) {
  Comparison compared;
  for (int i = 0; i < 60; ++i) {
    const std::string text =
        pick(random, {"", "a.", "b.", "a.b.", "a.a.", "b.a.", "c.a.b.", "ab.", "a-b.", "x.a.b.c."}) + "z" +
        std::to_string(random() % 9) + pick(random, {".example", ".example", ".test", ""});
    const DnsName asked = name(text);
    for (const Asked& port : kAsked) {
      compared.see(source.ports_of(asked.wire()).contains(port.protocol, port.port),
                   target.ports_of(asked.wire()).contains(port.protocol, port.port),
                   text + ":" + std::to_string(port.port));
    }
    if (lookups) {
      compared.see(source.names.match(asked.wire()).matched(), target.names.match(asked.wire()).matched(), text);
    }
  }
  for (const char* text : kAddresses) {
    for (const Asked& port : kAsked) {
      Target asked;
      asked.address = address(text);
      asked.port = port.port;
      asked.protocol = port.protocol;
      compared.see(explain(source, {}, asked).allowed, explain(target, {}, asked).allowed,
                   std::string(text) + ":" + std::to_string(port.port));
    }
  }
  return compared;
}

TEST_CASE("round trip: native policies in every kind are never wider, and the same where no loss is reported",
          "[policies]") {
  std::mt19937 random(41);
  std::array<int, kTargets.size()> written{};
  std::array<int, kTargets.size()> lossless{};
  for (int round = 0; round < 150; ++round) {
    const Policy policy = read(native_text(random))[0];
    const auto source = compiled({policy}, "");
    for (std::size_t i = 0; i < kTargets.size(); ++i) {
      RenderOptions options;
      options.target = kTargets[i];
      const auto rendered = render(policy, options);
      if (!rendered) {
        CHECK(rendered.error().message().find("denies echo") != std::string::npos);
        continue;
      }
      const auto target = compiled(read(rendered->yaml), rendered->yaml);
      const bool lookups = kTargets[i] == RenderTarget::kNative || kTargets[i] == RenderTarget::kCilium;
      const Comparison compared = compare(*source, *target, lookups, random);
      INFO(kTargetNames[i] << ": " << compared.first << "\n" << rendered->yaml);
      CHECK_FALSE(compared.wider);
      CHECK((compared.same || !rendered->losses.empty()));
      ++written[i];
      lossless[i] += rendered->losses.empty() ? 1 : 0;
    }
  }
  for (std::size_t i = 0; i < kTargets.size(); ++i) {
    CHECK(written[i] > 75);
  }
  CHECK(lossless[0] == 150);  // native can say all of itself
  CHECK(lossless[1] > 25);
  CHECK(lossless[2] > 0);
}

TEST_CASE("round trip: Cilium's policies as native ones are never wider, and back again", "[policies]") {
  std::mt19937 random(43);
  int lossless = 0;
  for (int round = 0; round < 150; ++round) {
    const std::string text = cilium_text(random);
    const Policy policy = read(text)[0];
    const auto source = compiled({policy}, text);
    const auto native = render(policy, {});
    REQUIRE(static_cast<bool>(native));
    const auto policies = read(native->yaml);
    const auto target = compiled(policies, native->yaml);
    const Comparison compared = compare(*source, *target, true, random);
    INFO(compared.first << "\n" << text << native->yaml);
    CHECK_FALSE(compared.wider);
    CHECK((compared.same || !native->losses.empty()));
    lossless += native->losses.empty() ? 1 : 0;
    RenderOptions options;
    options.target = RenderTarget::kCilium;
    const auto back = render(policies[0], options);
    REQUIRE(static_cast<bool>(back));
    const auto again = compiled(read(back->yaml), back->yaml);
    const Comparison returned = compare(*target, *again, true, random);
    INFO(returned.first << "\n" << back->yaml);
    CHECK_FALSE(returned.wider);
  }
  CHECK(lossless > 20);
}

}  // namespace
}  // namespace postern
