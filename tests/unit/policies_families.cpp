// SPDX-License-Identifier: Apache-2.0
//
// Families: which policies are joined, which must all allow, in what order rules are asked, and what
// that leaves of names and addresses. At the end random rules against the plain definition.
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "policies/denial.h"
#include "policies/family_rules.h"
#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;

PortSet ports(std::string_view text) {
  PortSet set;
  REQUIRE(set.add(text));
  return set;
}

Policy policy_of_family(Family family, Tier tier = Tier::kApplication) {
  Policy policy;
  policy.kind = std::string(name_of(family));
  policy.name = "p";
  policy.family = family;
  policy.tier = tier;
  policy.inbound = InboundRules();
  policy.denies_by_default = tier == Tier::kApplication || family == Family::kNative || family == Family::kCilium;
  return policy;
}

void allow_name(Policy& policy, std::string_view text, const PortSet& open, RuleOrder order = {}) {
  policy.allow_names.push_back({pattern(text), open, {}, order});
}

CidrRule cidr(std::string_view text, const PortSet& open, RuleOrder order = {}) {
  return {prefix(text), {}, open, {}, order, false};
}

std::shared_ptr<const PolicyImage> together(const std::vector<Policy>& policies, const Inventory& inventory = {}) {
  std::vector<const Policy*> pointers;
  for (const Policy& policy : policies) {
    pointers.push_back(&policy);
  }
  Diagnostics diagnostics;
  auto image = compile(pointers, inventory, diagnostics);
  INFO((diagnostics.failed() ? diagnostics.to_error().message() : ""));
  REQUIRE(image != nullptr);
  return image;
}

/// May a packet go to this address without any lookup?
bool open(const PolicyImage& image, std::string_view to, std::uint16_t port, std::uint8_t protocol = kProtocolTcp) {
  const CidrVerdict* verdict = image.find_cidr(address(to));
  return verdict != nullptr && verdict->allow.contains(protocol, port) && !verdict->deny.contains(protocol, port);
}

/// May it go there when an allowed name resolved to it?
bool open_by_name(const PolicyImage& image, std::string_view named, std::string_view to, std::uint16_t port) {
  const CidrVerdict* verdict = image.find_cidr(address(to));
  return image.ports_of(name(named).wire()).contains(kProtocolTcp, port) &&
         (verdict == nullptr || !verdict->deny.contains(kProtocolTcp, port));
}

bool resolves(const PolicyImage& image, std::string_view named) {
  const DnsName asked = name(named);
  return answer_for(asked.wire(), image.names.match(asked.wire()), {}) == NameAnswer::kAllow;
}

TEST_CASE("families: a name must be allowed by every family that speaks of names", "[policies]") {
  Policy native = policy_of_family(Family::kNative);
  allow_name(native, "*.example.com", PortSet::https());
  allow_name(native, "other.example", PortSet::https());
  Policy cilium = policy_of_family(Family::kCilium);
  allow_name(cilium, "api.example.com", ports("1-1000"));
  allow_name(cilium, "lookup.example.com", PortSet());
  const auto image = together({native, cilium});
  CHECK(open_by_name(*image, "api.example.com", "192.0.2.1", 443));
  CHECK_FALSE(open_by_name(*image, "api.example.com", "192.0.2.1", 80));
  CHECK_FALSE(resolves(*image, "www.example.com"));
  CHECK_FALSE(resolves(*image, "other.example"));
  CHECK(resolves(*image, "lookup.example.com"));
  CHECK(image->ports_of(name("lookup.example.com").wire()).empty());
}

TEST_CASE("families: a Managed default NetworkPolicy beside an allowlist opens nothing", "[policies]") {
  Policy native = policy_of_family(Family::kNative);
  allow_name(native, "api.example.com", PortSet::https());
  Policy managed = policy_of_family(Family::kNetworkPolicy);
  managed.stands_alone = true;
  managed.allow_cidrs = {cidr("0.0.0.0/0", PortSet::all()), cidr("::/0", PortSet::all())};
  for (const char* hole : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"}) {
    managed.allow_cidrs[0].except.push_back(prefix(hole));
  }
  SECTION("a native allowlist") {}
  SECTION("a Cilium allowlist, with which an ordinary NetworkPolicy adds up") { native.family = Family::kCilium; }
  const auto image = together({native, managed});
  CHECK_FALSE(open(*image, "8.8.8.8", 443));
  CHECK_FALSE(open(*image, "8.8.8.8", 53, kProtocolUdp));
  CHECK_FALSE(resolves(*image, "blocked.example.com"));
  CHECK(open_by_name(*image, "api.example.com", "192.0.2.1", 443));
  // What the NetworkPolicy keeps closed stays closed, also for the address of an allowed name.
  CHECK_FALSE(open_by_name(*image, "api.example.com", "10.0.0.1", 443));
  CHECK(image->find_rule(image->find_cidr(address("10.0.0.1"))->deny_rule)->to_string() ==
        "closed to all that NetworkPolicy p does not allow");
}

TEST_CASE("families: a NetworkPolicy adds up with the kinds that have it as their namespaced tier", "[policies]") {
  Policy network = policy_of_family(Family::kNetworkPolicy);
  network.allow_cidrs = {cidr("192.0.2.0/24", ports("5432"))};
  for (const Family family : {Family::kCilium, Family::kAws, Family::kUpstream, Family::kGke}) {
    Policy named = policy_of_family(family);
    allow_name(named, "api.example.com", PortSet::https());
    const auto image = together({named, network});
    CHECK(open(*image, "192.0.2.7", 5432));
    CHECK(open_by_name(*image, "api.example.com", "198.51.100.1", 443));
  }
  Policy native = policy_of_family(Family::kNative);
  allow_name(native, "api.example.com", PortSet::https());
  const auto image = together({native, network});
  CHECK_FALSE(open(*image, "192.0.2.7", 5432));
  CHECK_FALSE(open_by_name(*image, "api.example.com", "198.51.100.1", 443));
}

TEST_CASE("families: native tiers; inside one, deny beats allow", "[policies]") {
  Policy admin = policy_of_family(Family::kNative, Tier::kAdmin);
  admin.allow_cidrs = {cidr("10.1.0.0/16", ports("443"))};
  Policy application = policy_of_family(Family::kNative);
  application.allow_cidrs = {cidr("10.0.0.0/8", ports("1-1000")), cidr("10.2.0.0/16", ports("443"))};
  application.deny_cidrs = {cidr("10.1.0.0/16", PortSet::all()), cidr("10.2.0.0/16", PortSet::all())};
  allow_name(application, "api.example.com", PortSet::https());
  Policy baseline = policy_of_family(Family::kNative, Tier::kBaseline);
  baseline.deny_cidrs = {cidr("10.0.0.0/8", PortSet::all()), cidr("198.51.100.0/24", PortSet::all())};
  const auto image = together({application, baseline, admin});
  CHECK(open(*image, "10.1.0.1", 443));
  CHECK_FALSE(open(*image, "10.1.0.1", 80));
  CHECK_FALSE(open(*image, "10.2.0.1", 443));
  CHECK(open(*image, "10.3.0.1", 443));
  CHECK_FALSE(open(*image, "10.3.0.1", 2000));
  // A denial of any tier holds for the addresses of names as well.
  CHECK_FALSE(open_by_name(*image, "api.example.com", "198.51.100.1", 443));
  CHECK(open_by_name(*image, "api.example.com", "192.0.2.1", 443));
}

TEST_CASE("families: AWS tiers, priorities, Pass, and Deny before Accept", "[policies]") {
  Policy cluster = policy_of_family(Family::kAws, Tier::kAdmin);
  cluster.deny_cidrs = {cidr("10.0.0.0/8", PortSet::all(), {20, 0}), cidr("10.9.0.0/16", PortSet::all(), {30, 0})};
  cluster.allow_cidrs = {cidr("10.1.0.0/16", ports("443"), {10, 1}), cidr("10.9.0.0/16", ports("443"), {30, 1})};
  cluster.pass_cidrs = {cidr("10.2.0.0/16", PortSet::all(), {15, 2})};
  Policy application = policy_of_family(Family::kAws);
  application.allow_cidrs = {cidr("10.2.0.0/16", ports("80")), cidr("192.0.2.0/24", ports("80"))};
  const auto image = together({cluster, application});
  CHECK(open(*image, "10.1.0.1", 443));
  CHECK_FALSE(open(*image, "10.1.0.1", 80));
  CHECK(open(*image, "10.2.0.1", 80));
  CHECK_FALSE(open(*image, "10.2.0.1", 443));
  CHECK_FALSE(open(*image, "10.9.0.1", 443));
  CHECK(open(*image, "192.0.2.1", 80));
  CHECK_FALSE(open(*image, "198.51.100.1", 80));

  // Selected by denials of a cluster policy alone, a pod keeps the rest; a name may then be any.
  const auto admin_only = together({cluster});
  CHECK(open(*admin_only, "198.51.100.1", 80));
  CHECK_FALSE(open(*admin_only, "10.3.0.1", 80));
  CHECK(resolves(*admin_only, "anything.example"));

  // The Baseline tier is asked only where no namespaced policy has spoken.
  Policy baseline = policy_of_family(Family::kAws, Tier::kBaseline);
  baseline.allow_cidrs = {cidr("203.0.113.0/24", PortSet::all(), {0, 1})};
  baseline.deny_cidrs = {cidr("0.0.0.0/0", PortSet::all(), {5, 0}), cidr("::/0", PortSet::all(), {5, 0})};
  CHECK_FALSE(open(*together({cluster, application, baseline}), "203.0.113.1", 80));
  CHECK(open(*together({cluster, baseline}), "203.0.113.1", 80));
  CHECK_FALSE(open(*together({cluster, baseline}), "198.51.100.1", 80));
}

TEST_CASE("families: a denial of everything cuts the names behind it, and not those before it", "[policies]") {
  Policy cluster = policy_of_family(Family::kUpstream, Tier::kAdmin);
  allow_name(cluster, "git.example.com", PortSet::https(), {20, 0});
  cluster.deny_cidrs = {cidr("0.0.0.0/0", PortSet::all(), {100, 0}), cidr("::/0", PortSet::all(), {100, 0})};
  Policy behind = policy_of_family(Family::kUpstream, Tier::kAdmin);
  allow_name(behind, "late.example.com", PortSet::https(), {200, 0});
  const auto image = together({cluster, behind});
  CHECK(open_by_name(*image, "git.example.com", "192.0.2.1", 443));
  CHECK_FALSE(open_by_name(*image, "late.example.com", "192.0.2.1", 443));
  CHECK_FALSE(resolves(*image, "late.example.com"));
  CHECK_FALSE(open(*image, "192.0.2.1", 443));
  REQUIRE(image->narrowed.size() == 1);
  CHECK_THAT(image->narrowed[0], ContainsSubstring("late.example.com") && ContainsSubstring("opens nothing"));

  // Of a part: whoever is behind it loses that part, and so, as grants tell names not apart, does who is before it.
  Policy part = policy_of_family(Family::kUpstream, Tier::kAdmin);
  allow_name(part, "a.example.com", PortSet::https(), {20, 0});
  part.deny_cidrs = {cidr("10.0.0.0/8", PortSet::all(), {100, 0})};
  CHECK(open_by_name(*together({part}), "a.example.com", "10.0.0.1", 443));
  allow_name(part, "b.example.com", PortSet::https(), {200, 0});
  CHECK_FALSE(open_by_name(*together({part}), "b.example.com", "10.0.0.1", 443));
}

TEST_CASE("families: Cilium's lone star opens no name beside toFQDNs, unless it is wanted as written", "[policies]") {
  Policy dns = policy_of_family(Family::kCilium);
  dns.allow_names.push_back({NamePattern::any(), PortSet(), {}, {}});
  Policy names = policy_of_family(Family::kCilium);
  allow_name(names, "api.example.com", PortSet::https());
  CHECK(resolves(*together({dns}), "anything.example"));
  const auto both = together({dns, names});
  CHECK(resolves(*both, "api.example.com"));
  CHECK_FALSE(resolves(*both, "blocked-example.example.com"));
  REQUIRE(both->narrowed.size() == 1);
  CHECK_THAT(both->narrowed[0], ContainsSubstring("toFQDNs") && ContainsSubstring("as-written"));
  names.dns.as_written = true;
  CHECK(resolves(*together({dns, names}), "blocked-example.example.com"));
  CHECK(together({dns, names})->ports_of(name("blocked-example.example.com").wire()).empty());
}

TEST_CASE("families: without a rule for names, every name resolves where port 53 is open", "[policies]") {
  Policy network = policy_of_family(Family::kNetworkPolicy);
  network.allow_cidrs = {cidr("192.0.2.0/24", ports("443"))};
  CHECK_FALSE(resolves(*together({network}), "any.example"));
  network.allow_cidrs.push_back(cidr("10.96.0.10/32", ports("53/udp")));
  CHECK(resolves(*together({network}), "any.example"));
  CHECK(together({network})->ports_of(name("any.example").wire()).empty());
  Policy native = policy_of_family(Family::kNative);
  CHECK_FALSE(resolves(*together({network, native}), "any.example"));
  native.allow_cidrs = {cidr("10.0.0.0/8", PortSet::all())};
  CHECK_FALSE(resolves(*together({native}), "any.example"));
  native.allow_cidrs = {cidr("10.0.0.0/8", ports("53/udp"))};
  CHECK(resolves(*together({native}), "any.example"));
}

Inventory small_cluster() {
  Inventory cluster;
  cluster.pods = {prefix("10.244.0.0/16")};
  cluster.services = {prefix("10.96.0.0/12")};
  const auto pod = [](std::string_view pod_name, Labels labels, std::string_view ip) {
    return InventoryPod{std::string(pod_name), {"shop", {}, std::move(labels)}, {address(ip)}, false};
  };
  cluster.pod_list = {pod("web-1", {{"app", "web"}}, "10.244.0.1"), pod("web-2", {{"app", "web"}}, "10.244.0.2"),
                      pod("db-1", {{"app", "db"}, {"tier", "data"}}, "10.244.0.3")};
  cluster.nodes = {{"n1", {{"pool", "a"}}, {address("192.168.1.1")}}};
  cluster.service_list = {
      {"shop",
       "web",
       {},
       {{"app", "web"}},
       {address("10.96.0.20")},
       {address("10.244.0.1"), address("10.244.0.2")},
       {{6, 80, 8080}}},
      {"shop", "all", {}, {{"tier", "data"}}, {address("10.96.0.21")}, {address("10.244.0.3")}, {{6, 5432, 5432}}},
      {"default", "kubernetes", {}, {}, {address("10.96.0.1")}, {address("192.168.1.1")}, {{6, 443, 6443}}}};
  return cluster;
}

PeerRule peer(PeerRule::Who who, const PortSet& open, PeerRule::Action action = PeerRule::Action::kAllow) {
  PeerRule rule;
  rule.action = action;
  rule.who = who;
  rule.ports = open;
  return rule;
}

TEST_CASE("families: peers are what the inventory has, Services by their target ports", "[policies]") {
  const Inventory cluster = small_cluster();
  Policy policy = policy_of_family(Family::kNetworkPolicy);
  policy.peers = {peer(PeerRule::Who::kPods, ports("8080"))};
  policy.peers[0].pods.pods.labels = {{"app", "web"}};
  auto image = together({policy}, cluster);
  CHECK(open(*image, "10.244.0.1", 8080));
  CHECK(open(*image, "10.244.0.2", 8080));
  CHECK_FALSE(open(*image, "10.244.0.3", 8080));
  CHECK_FALSE(open(*image, "10.244.0.1", 80));
  CHECK(open(*image, "10.96.0.20", 80));
  CHECK_FALSE(open(*image, "10.96.0.20", 8080));
  CHECK_FALSE(open(*image, "10.96.0.21", 5432));

  policy.peers = {peer(PeerRule::Who::kWorld, PortSet::all())};
  image = together({policy}, cluster);
  CHECK(open(*image, "203.0.113.1", 443));
  CHECK_FALSE(open(*image, "10.244.3.4", 443));
  CHECK_FALSE(open(*image, "10.96.0.20", 80));
  CHECK_FALSE(open(*image, "192.168.1.1", 22));

  policy.peers = {peer(PeerRule::Who::kApiServer, ports("6443"))};
  image = together({policy}, cluster);
  CHECK(open(*image, "192.168.1.1", 6443));
  CHECK(open(*image, "10.96.0.1", 6443));
  CHECK_FALSE(open(*image, "10.96.0.20", 6443));

  // Without an inventory an allowed peer is nobody; a denied one is every pod.
  policy.peers = {peer(PeerRule::Who::kPods, PortSet::all())};
  Inventory ranges;
  ranges.pods = cluster.pods;
  CHECK_FALSE(open(*together({policy}, ranges), "10.244.0.1", 80));
  Policy denying = policy_of_family(Family::kAws, Tier::kAdmin);
  denying.peers = {peer(PeerRule::Who::kPods, PortSet::all(), PeerRule::Action::kDeny)};
  CHECK_FALSE(open(*together({denying}, ranges), "10.244.0.1", 80));
  CHECK(open(*together({denying}, ranges), "203.0.113.1", 80));
}

// ---- random rules against the plain definition ----

struct PlainRule {
  Rank rank;
  Prefix prefix;
  PortSet ports;
};

/// What one family says of an address and port, as the kinds define it.
bool plainly_open(const FamilyRules& family, const Address& to, std::uint16_t port) {
  std::vector<PlainRule> rules;
  for (const Policy* policy : family.policies) {
    const auto add = [&](const std::vector<CidrRule>& cidrs, RuleAction action) {
      for (const CidrRule& rule : cidrs) {
        rules.push_back({rank_of(*policy, rule.order, action), rule.prefix, rule.ports});
      }
    };
    add(policy->deny_cidrs, RuleAction::kDeny);
    add(policy->allow_cidrs, RuleAction::kAllow);
    add(policy->pass_cidrs, RuleAction::kPass);
  }
  std::ranges::stable_sort(rules, {}, &PlainRule::rank);
  std::optional<Tier> passed;
  for (const PlainRule& rule : rules) {
    const bool skipped =
        (passed && *passed == rule.rank.tier) || (family.ends_at_application && rule.rank.tier == Tier::kBaseline);
    if (skipped || !rule.prefix.contains(to) || !rule.ports.contains(kProtocolTcp, port)) {
      continue;
    }
    if (rule.rank.action != RuleAction::kPass) {
      return rule.rank.action == RuleAction::kAllow;
    }
    passed = rule.rank.tier;
  }
  return !family.denies_rest;
}

TEST_CASE("families: addresses are open exactly where every family says so", "[policies]") {
  std::mt19937 random(23);
  static constexpr const char* kPrefixes[] = {"10.0.0.0/8",   "10.1.0.0/16", "10.1.1.0/24", "10.1.1.7/32",
                                              "192.0.2.0/24", "0.0.0.0/0",   "::/0",        "2001:db8::/32"};
  static constexpr const char* kAddresses[] = {"10.9.9.9",  "10.1.9.9",    "10.1.1.9",    "10.1.1.7",
                                               "192.0.2.1", "203.0.113.1", "2001:db8::1", "2001:db9::1"};
  const std::vector<PortSet> kPorts{ports("443"), ports("1-442"), ports("80"), PortSet::all()};
  int opened = 0;
  for (int round = 0; round < 600; ++round) {
    std::vector<Policy> policies;
    for (std::size_t count = 1 + random() % 4; count-- > 0;) {
      Policy policy = policy_of_family(static_cast<Family>(random() % 6), static_cast<Tier>(random() % 3));
      if (policy.family == Family::kNetworkPolicy || policy.family == Family::kGke ||
          policy.family == Family::kCilium) {
        policy = policy_of_family(policy.family);
      }
      const bool ordered = policy.family == Family::kAws || policy.family == Family::kUpstream;
      for (std::size_t rules = random() % 5; rules-- > 0;) {
        const CidrRule rule =
            cidr(kPrefixes[random() % 8], kPorts[random() % 4],
                 {static_cast<int>(ordered ? random() % 3 : 0), static_cast<int>(ordered ? random() % 3 : 0)});
        const auto action = random() % (ordered && policy.tier != Tier::kApplication ? 3 : 2);
        (action == 0 ? policy.allow_cidrs : action == 1 ? policy.deny_cidrs : policy.pass_cidrs).push_back(rule);
      }
      policies.push_back(std::move(policy));
    }
    std::vector<const Policy*> pointers;
    for (const Policy& policy : policies) {
      pointers.push_back(&policy);
    }
    const auto families = sort_families(pointers);
    const auto image = together(policies);
    for (const char* to : kAddresses) {
      for (const std::uint16_t port : {std::uint16_t{443}, std::uint16_t{80}, std::uint16_t{2000}}) {
        const bool expected = std::ranges::all_of(
            families, [&](const FamilyRules& family) { return plainly_open(family, address(to), port); });
        INFO("round " << round << ": " << to << " port " << port);
        CHECK(open(*image, to, port) == expected);
        opened += expected ? 1 : 0;
      }
    }
  }
  CHECK(opened > 1000);
}

}  // namespace
}  // namespace postern
