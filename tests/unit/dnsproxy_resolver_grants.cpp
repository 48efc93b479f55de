// SPDX-License-Identifier: Apache-2.0
//
// What an allowed lookup opens: grants before the answer, for exactly the addresses in it, for long
// enough; and what is stripped.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "dns_reply.h"
#include "tests/support/resolver_lab.h"

namespace postern::testing {
namespace {

const LabPolicy kPolicy{.rules = {{"api.example.com"}, {"*.example.com", "443 8443"}, {"lookup.example.org", ""}}};

Reply last_reply(const ResolverLab& lab) {
  REQUIRE_FALSE(lab.replies.empty());
  return read_reply(lab.replies.back().message);
}

std::uint64_t deadline_s(const ResolverLab& lab, std::string_view address, std::size_t slot = 0) {
  return (lab.grant_of(7, address).slots[slot].deadline_boot_ns - lab.now.ns) / kNsPerS;
}

TEST_CASE("resolver: every grant is written before the answer leaves", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  lab.exchange(7, query_for("one.example.com"),
               {a_record("one.example.com", "192.0.2.1"), a_record("one.example.com", "192.0.2.2")});
  CHECK(lab.log ==
        std::vector<std::string>{"ask one.example.com", "grant 7 192.0.2.1", "grant 7 192.0.2.2", "reply 7"});
  CHECK(last_reply(lab).answers.size() == 2);
}

TEST_CASE("resolver: from the cache too", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  lab.sandbox(8, kPolicy);
  lab.exchange(7, query_for("one.example.com"), {a_record("one.example.com", "192.0.2.1")});
  lab.log.clear();
  lab.exchange(8, query_for("one.example.com"), {});
  CHECK(lab.log == std::vector<std::string>{"grant 8 192.0.2.1", "reply 8"});
  CHECK(lab.events.back().reason == EGRESS_REASON_DNS_CACHED);
}

TEST_CASE("resolver: a grant per distinct ports of the rules that match", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  lab.exchange(7, query_for("api.example.com"), {a_record("api.example.com", "192.0.2.1")});
  const egress_grant& grant = lab.grant_of(7, "192.0.2.1");
  CHECK(grant.slots[0].rule == 100);
  CHECK(grant.slots[0].port_set == port_set_of("443"));
  CHECK(grant.slots[1].rule == 101);
  CHECK(grant.slots[1].port_set == port_set_of("443 8443"));
  CHECK(grant.slots[2].deadline_boot_ns == 0);
  CHECK(lab.store.names.at(grant.slots[0].name).length == 17);
}

TEST_CASE("resolver: a rule without ports resolves and opens nothing", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  lab.exchange(7, query_for("lookup.example.org"), {a_record("lookup.example.org", "192.0.2.1")});
  CHECK(last_reply(lab).answers.size() == 1);
  CHECK(lab.store.grants.empty());
}

TEST_CASE("resolver: a grant that cannot be written fails the lookup", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  lab.store.writes_until_full = 1;
  lab.exchange(7, edns_query_for("one.example.com"),
               {a_record("one.example.com", "192.0.2.1"), a_record("one.example.com", "192.0.2.2")});
  const Reply reply = last_reply(lab);
  CHECK(reply.rcode == 2);
  CHECK(reply.answers.empty());
  CHECK(lab.events.back().reason == EGRESS_REASON_DNS_GRANT_FAILED);
  CHECK(lab.replies.size() == 1);
}

TEST_CASE("resolver: how long a grant lasts", "[dnsproxy]") {
  const auto [ttl, grace, expected] = GENERATE(table<std::uint32_t, std::uint32_t, std::uint64_t>({
      {300, 120, 420},  // TTL and grace
      {0, 120, 150},    // at least grant_s_min, 30 s
      {29, 120, 150},
      {31, 0, 31},
      {86400, 120, 3720},  // what the client was told, which is at most an hour
      {300, 0, 300},
  }));
  ResolverLab lab;
  lab.sandbox(7, {.rules = kPolicy.rules, .grace_s = grace});
  lab.exchange(7, query_for("one.example.com"), {a_record("one.example.com", "192.0.2.1", ttl)});
  CHECK(deadline_s(lab, "192.0.2.1") == expected);
}

TEST_CASE("resolver: the least grant is configurable", "[dnsproxy]") {
  ResolverLab lab;
  lab.resolver.set_grant_s_min(300);
  lab.sandbox(7, kPolicy);
  lab.exchange(7, query_for("one.example.com"), {a_record("one.example.com", "192.0.2.1", 10)});
  CHECK(deadline_s(lab, "192.0.2.1") == 420);
}

TEST_CASE("resolver: a cached answer grants what remains of its TTL, and never shortens", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  lab.sandbox(8, kPolicy);
  lab.exchange(7, query_for("one.example.com"), {a_record("one.example.com", "192.0.2.1", 300)});
  lab.pass_s(290);
  lab.exchange(8, query_for("one.example.com"), {});
  CHECK(last_reply(lab).answers[0] == "one.example.com. 10 IN A 192.0.2.1");
  CHECK((lab.grant_of(8, "192.0.2.1").slots[0].deadline_boot_ns - lab.now.ns) / kNsPerS == 150);
  lab.exchange(7, query_for("one.example.com"), {});
  CHECK(deadline_s(lab, "192.0.2.1") == 150);
  lab.pass_s(10);
  lab.exchange(7, query_for("one.example.com"), {a_record("one.example.com", "192.0.2.1", 0)});
  CHECK(lab.asked.size() == 2);  // the cache is never stale
  CHECK(deadline_s(lab, "192.0.2.1") == 150);
}

TEST_CASE("resolver: addresses that no answer may open are stripped", "[dnsproxy]") {
  const auto [address, kept] = GENERATE(table<std::string, bool>({
      {"192.0.2.1", true},
      {"127.0.0.1", false},
      {"0.0.0.0", false},
      {"169.254.169.254", false},
      {"224.0.0.1", false},
      {"255.255.255.255", false},
      {"168.63.129.16", false},
      {"10.1.2.3", false},
      {"172.16.0.1", false},
      {"192.168.1.1", false},
      {"100.64.0.1", false},
      {"198.18.0.1", false},
      {"2001:db8::1", true},
      {"::1", false},
      {"::", false},
      {"fe80::1", false},
      {"ff02::1", false},
      {"fd00:ec2::254", false},
      {"fd12::1", false},
      {"::ffff:192.0.2.1", false},  // an IPv4 address in disguise
      {"::ffff:127.0.0.1", false},
      {"64:ff9b::192.0.2.1", true},
      {"64:ff9b::169.254.169.254", false},
      {"64:ff9b::10.0.0.1", false},
      {"2002:7f00:1::", false},
      {"2001:db8::5efe:a9fe:a9fe", false},
  }));
  INFO(address);
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  const bool v6 = address.find(':') != std::string::npos;
  const std::uint16_t type = v6 ? kTypeAaaa : kTypeA;
  const TestRecord hostile{wire_name("one.example.com"), type, 60, address_data(address)};
  lab.exchange(7, query_for("one.example.com", type), {hostile});
  if (kept) {
    CHECK(last_reply(lab).answers.size() == 1);
    CHECK(lab.store.grants.size() == 1);
    return;
  }
  CHECK(last_reply(lab).is_nodata_denial());
  CHECK(lab.store.grants.empty());
  CHECK(lab.events.back().reason == EGRESS_REASON_DNS_ADDRESS_DENIED);
  // Beside a good one it goes alone.
  const TestRecord good = v6 ? aaaa_record("two.example.com", "2001:db8::2") : a_record("two.example.com", "192.0.2.2");
  lab.exchange(7, query_for("two.example.com", type), {{wire_name("two.example.com"), type, 60, hostile.data}, good});
  CHECK(last_reply(lab).answers.size() == 1);
  CHECK(lab.store.grants.size() == 1);
}

TEST_CASE("resolver: private and never-listed addresses that the policy expects", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, {.rules = kPolicy.rules, .private_allowed = {"10.20.0.0/16", "169.254.170.23/32", "0.0.0.0/0"}});
  lab.exchange(7, query_for("one.example.com"),
               {a_record("one.example.com", "10.20.1.1"), a_record("one.example.com", "169.254.170.23"),
                a_record("one.example.com", "169.254.169.254"), a_record("one.example.com", "127.0.0.1")});
  CHECK(last_reply(lab).answers.size() == 2);
  CHECK(lab.granted(7, "10.20.1.1"));
  CHECK(lab.granted(7, "169.254.170.23"));
  CHECK(lab.store.grants.size() == 2);  // 0.0.0.0/0 opens nothing of the never-list
}

TEST_CASE("resolver: at most 64 addresses, in answer and grants alike", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  std::vector<TestRecord> many;
  for (int i = 0; i < 100; ++i) {
    many.push_back(a_record("one.example.com", "198.51.100." + std::to_string(i)));
  }
  lab.query(7, query_for("one.example.com"), true);
  lab.upstream_answers(postern::testing::answer_for(".", kTypeA, many));
  CHECK(last_reply(lab).answers.size() == 64);
  CHECK(lab.store.grants.size() == 64);
  CHECK(lab.granted(7, "198.51.100.63"));
  CHECK_FALSE(lab.granted(7, "198.51.100.64"));
  CHECK(lab.events.back().addr_count == 8);
  CHECK(lab.events.back().more_addrs == 56);
}

TEST_CASE("resolver: 60 addresses over UDP: as many as fit, all granted", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  std::vector<TestRecord> many;
  for (int i = 0; i < 60; ++i) {
    many.push_back(a_record("one.example.com", "198.51.100." + std::to_string(i)));
  }
  lab.exchange(7, query_for("one.example.com"), many);
  const Reply reply = last_reply(lab);
  CHECK(reply.truncated);
  CHECK(reply.answers.size() == 29);
  CHECK(reply.size <= 512);
  CHECK(lab.store.grants.size() == 60);
  lab.exchange(7, edns_query_for("one.example.com", kTypeA, {.payload = 4096}), {});
  CHECK_FALSE(last_reply(lab).truncated);
  CHECK(last_reply(lab).answers.size() == 60);
}

TEST_CASE("resolver: through a CNAME chain only its end is granted, under the name that was asked", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  lab.exchange(7, query_for("One.example.com"),
               {cname_record("one.example.com", "cdn.example.net", 20), a_record("cdn.example.net", "192.0.2.1", 600),
                a_record("evil.example.net", "192.0.2.66"), a_record("one.example.com", "192.0.2.67")});
  CHECK(lab.store.grants.size() == 1);
  const egress_grant& grant = lab.grant_of(7, "192.0.2.1");
  const egress_name& name = lab.store.names.at(grant.slots[0].name);
  CHECK(std::string(reinterpret_cast<const char*>(name.wire), name.length) == wire_name("one.example.com"));
  CHECK(last_reply(lab).answers == std::vector<std::string>{"One.example.com. 20 IN CNAME cdn.example.net.",
                                                            "cdn.example.net. 600 IN A 192.0.2.1"});
  CHECK(deadline_s(lab, "192.0.2.1") == 720);  // the client may hold the address for its own TTL
}

TEST_CASE("resolver: a question for the CNAME itself gets it, and opens nothing", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  lab.exchange(7, query_for("one.example.com", kTypeCname), {cname_record("one.example.com", "cdn.example.net")});
  CHECK(last_reply(lab).answers == std::vector<std::string>{"one.example.com. 60 IN CNAME cdn.example.net."});
  CHECK(lab.events.back().reason == EGRESS_REASON_DNS_ALLOWED);
  CHECK(lab.store.writes == 0);
}

TEST_CASE("resolver: names and types that do not exist come through as they are", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  lab.query(7, query_for("gone.example.com"));
  TestMessage message = postern::testing::answer_for(".", kTypeA, {});
  message.flags |= 3;
  message.authorities = {soa_record("example.com", 300, 60)};
  lab.upstream_answers(message);
  CHECK(last_reply(lab).rcode == 3);
  CHECK(last_reply(lab).authority.size() == 1);
  CHECK(last_reply(lab).authority[0].starts_with("example.com. 60 IN SOA"));
  CHECK(lab.events.back().reason == EGRESS_REASON_DNS_NO_DATA);
  lab.pass_s(59);
  lab.query(7, query_for("gone.example.com"));
  CHECK(lab.asked.size() == 1);
  CHECK(last_reply(lab).authority[0].starts_with("example.com. 1 IN SOA"));
  lab.pass_s(1);
  lab.query(7, query_for("gone.example.com"));
  CHECK(lab.asked.size() == 2);
}

TEST_CASE("resolver: an answer that was changed has neither AD nor signatures", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  const auto query = edns_query_for("one.example.com", kTypeA, {.dnssec_ok = true});
  lab.query(7, query);
  TestMessage message =
      postern::testing::answer_for(".", kTypeA,
                                   {a_record("one.example.com", "192.0.2.1"), a_record("one.example.com", "10.0.0.1"),
                                    rrsig_record("one.example.com", kTypeA)});
  message.flags |= 0x20;
  lab.upstream_answers(message);
  CHECK_FALSE(last_reply(lab).authentic);
  CHECK(last_reply(lab).answers == std::vector<std::string>{"one.example.com. 60 IN A 192.0.2.1"});
  lab.query(7, edns_query_for("two.example.com", kTypeA, {.dnssec_ok = true}));
  message.answers = {a_record("two.example.com", "192.0.2.1"), rrsig_record("two.example.com", kTypeA)};
  lab.upstream_answers(message);
  CHECK(last_reply(lab).authentic);
  CHECK(last_reply(lab).answers.size() == 2);
}

}  // namespace
}  // namespace postern::testing
