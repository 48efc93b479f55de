// SPDX-License-Identifier: Apache-2.0
//
// The contract of the DNS path, row by row: which answer a question gets, and that a denied one makes
// no upstream packet.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "dns_reply.h"
#include "tests/support/resolver_lab.h"

namespace postern::testing {
namespace {

const LabPolicy kPolicy{.rules = {{"api.example.com"},
                                  {"*.files.example.com"},
                                  {"sts.*.cloud.example"},
                                  {"db.ns.svc.cluster.local", "5432"},
                                  {"lookup.example.org", ""}}};
const std::vector<std::string> kSearch{"ns.svc.cluster.local", "svc.cluster.local", "cluster.local"};

Reply last_reply(const ResolverLab& lab) {
  REQUIRE_FALSE(lab.replies.empty());
  return read_reply(lab.replies.back().message);
}

enum class Gets { kAnswer, kNoData, kNxDomain };

TEST_CASE("resolver: which names get what", "[dnsproxy]") {
  const auto [name, gets] = GENERATE(table<std::string, Gets>({
      {"api.example.com", Gets::kAnswer},
      {"API.eXample.COM", Gets::kAnswer},
      {"a.files.example.com", Gets::kAnswer},
      {"a.b.c.files.example.com", Gets::kAnswer},
      {"sts.eu-1.cloud.example", Gets::kAnswer},
      {"db.ns.svc.cluster.local", Gets::kAnswer},
      {"lookup.example.org", Gets::kAnswer},
      {"evil.example.net", Gets::kNoData},
      {"x.api.example.com", Gets::kNoData},
      {"api.example.com.evil.net", Gets::kNoData},
      {"sts.a.b.cloud.example", Gets::kNoData},
      {"files.example.com", Gets::kNoData},  // not under its own wildcard, but above names that are
      {"example.com", Gets::kNoData},        // above an allowed name: NXDOMAIN would deny it too
      {"com", Gets::kNoData},                // likewise, although a single label
      {".", Gets::kNoData},
      {"cluster.local", Gets::kNoData},  // a suffix itself
      {"ns.svc.cluster.local", Gets::kNoData},
      {"net", Gets::kNxDomain},  // a single label
      {"localhost", Gets::kNxDomain},
      {"other.ns.svc.cluster.local", Gets::kNxDomain},
      {"API.example.com.ns.svc.CLUSTER.local", Gets::kNxDomain},  // what a search list makes of an allowed name
      {"api.example.com.cluster.local", Gets::kNxDomain},
  }));
  const bool edns = GENERATE(false, true);
  const std::uint16_t type = GENERATE(as<std::uint16_t>(), kTypeA, kTypeAaaa);
  INFO(name << " type " << type << (edns ? " with EDNS" : ""));
  ResolverLab lab;
  lab.sandbox(7, kPolicy, kSearch);
  lab.query(7, edns ? edns_query_for(name, type) : query_for(name, type));
  if (gets == Gets::kAnswer) {
    CHECK(lab.asked.size() == 1);
    CHECK(lab.replies.empty());
    return;
  }
  CHECK(lab.asked.empty());
  CHECK(lab.store.writes == 0);
  const Reply reply = last_reply(lab);
  CHECK(reply.has_opt == edns);
  CHECK((gets == Gets::kNoData ? reply.is_nodata_denial() : reply.is_nxdomain_denial()));
  CHECK(reply.question == (name == "." ? "." : name + ".") + (type == kTypeA ? " IN A" : " IN AAAA"));
  CHECK(reply.ede_text == (edns ? "ask #platform" : ""));
  REQUIRE(lab.events.size() == 1);
  CHECK(lab.events[0].reason == EGRESS_REASON_DNS_NAME_DENIED);
}

TEST_CASE("resolver: no byte trick makes another name of it", "[dnsproxy]") {
  const auto [wire, what] = GENERATE(table<std::string, std::string>({
      {std::string("\x0f") + "api.example.com" + '\0', "dots inside one label"},
      {std::string("\4api\0\7example\3com\0", 18), "a NUL in a label"},
      {std::string("\4api \7example\3com\0", 18), "a space in a label"},
      {std::string("\1*\5files\7example\3com\0", 21), "the wildcard itself"},
      {std::string("\3sts\1*\5cloud\7example\0", 21), "an inner wildcard itself"},
      {std::string("\2a\x80\5files\7example\3com\0", 22), "a byte above ASCII"},
  }));
  INFO(what);
  ResolverLab lab;
  lab.sandbox(7, kPolicy, kSearch);
  TestMessage query = query_for(".");
  query.questions[0].name = wire;
  lab.query(7, query);
  CHECK(lab.asked.empty());
  CHECK(lab.replies.size() == 1);
}

TEST_CASE("resolver: types under an allowed name", "[dnsproxy]") {
  const auto [type, what] = GENERATE(table<int, std::string>({
      {2, "NS"},     {6, "SOA"},    {15, "MX"},    {16, "TXT"},    {33, "SRV"},      {35, "NAPTR"}, {39, "DNAME"},
      {41, "OPT"},   {43, "DS"},    {46, "RRSIG"}, {48, "DNSKEY"}, {64, "SVCB"},     {65, "HTTPS"}, {99, "SPF"},
      {251, "IXFR"}, {252, "AXFR"}, {257, "CAA"},  {0, "0"},       {65535, "65535"}, {12, "PTR"},
  }));
  INFO(what);
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  lab.query(7, edns_query_for("api.example.com", static_cast<std::uint16_t>(type)));
  CHECK(lab.asked.empty());
  CHECK(last_reply(lab).is_nodata_denial());
  CHECK(lab.events[0].reason == EGRESS_REASON_DNS_TYPE_DENIED);
  lab.query(7, query_for("evil.example.net", static_cast<std::uint16_t>(type)));
  CHECK(lab.asked.empty());
  CHECK(last_reply(lab).is_nodata_denial());
}

TEST_CASE("resolver: A, AAAA and CNAME of an allowed name go upstream as fresh questions", "[dnsproxy]") {
  const std::uint16_t type = GENERATE(as<std::uint16_t>(), kTypeA, kTypeAaaa, kTypeCname);
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  TestMessage query =
      edns_query_for("Api.Example.com", type, {.dnssec_ok = true, .data = u16(10) + u16(8) + "COOKIE!!"});
  query.flags |= 0x10;
  lab.query(7, query);
  REQUIRE(lab.asked.size() == 1);
  CHECK(lab.asked[0].question == Question{wire_name("api.example.com"), type, true, true});
}

TEST_CASE("resolver: ANY gets the minimal answer, whatever the upstream has", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  lab.query(7, query_for("Api.example.com", kTypeAny));
  CHECK(lab.asked.empty());
  CHECK(last_reply(lab).answers == std::vector<std::string>{"Api.example.com. 3600 IN HINFO \"RFC8482\" \"\""});
  lab.query(7, query_for("evil.example.net", kTypeAny));
  CHECK(lab.asked.empty());
  CHECK(last_reply(lab).is_nodata_denial());
}

TEST_CASE("resolver: PTR from the addresses a sandbox learnt itself, else NXDOMAIN", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  lab.sandbox(8, kPolicy);
  const std::string reverse = "1.2.0.192.in-addr.arpa";
  lab.query(7, edns_query_for(reverse, kTypePtr));
  CHECK(last_reply(lab).is_nxdomain_denial());
  lab.exchange(7, query_for("api.example.com"), {a_record("api.example.com", "192.0.2.1", 60)});
  const std::size_t asked = lab.asked.size();
  lab.query(7, query_for(reverse, kTypePtr));
  CHECK(last_reply(lab).answers == std::vector<std::string>{reverse + ". 0 IN PTR api.example.com."});
  lab.query(8, query_for(reverse, kTypePtr));
  CHECK(last_reply(lab).is_nxdomain_denial());  // its neighbour's lookups are none of its business
  lab.pass_s(60 + 120 + 1);
  lab.query(7, query_for(reverse, kTypePtr));
  CHECK(last_reply(lab).is_nxdomain_denial());
  CHECK(lab.asked.size() == asked);
}

TEST_CASE("resolver: PTR of IPv6, and of what is no address", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  lab.exchange(7, query_for("api.example.com", kTypeAaaa), {aaaa_record("api.example.com", "2001:db8::1", 60)});
  lab.query(7, query_for("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", kTypePtr));
  CHECK(last_reply(lab).answers.size() == 1);
  lab.query(7, query_for("2.0.192.in-addr.arpa", kTypePtr));
  CHECK(last_reply(lab).is_nodata_denial());  // names below it may exist
}

TEST_CASE("resolver: a class other than IN", "[dnsproxy]") {
  for (const std::uint16_t qclass : std::initializer_list<std::uint16_t>{3, 4, 254, 255, 0}) {
    ResolverLab lab;
    lab.sandbox(7, kPolicy, kSearch);
    for (const char* name : {"version.bind", "api.example.com", "db.ns.svc.cluster.local"}) {
      TestMessage query = query_for(name, 16);
      query.questions[0].qclass = qclass;
      lab.query(7, query);
      const Reply reply = last_reply(lab);
      CHECK(reply.is_nodata_denial());
      CHECK(lab.events.back().reason == EGRESS_REASON_DNS_CLASS_DENIED);
    }
    CHECK(lab.asked.empty());
  }
}

TEST_CASE("resolver: malformed queries", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  TestMessage query = query_for("api.example.com");
  query.questions.push_back(query.questions[0]);
  lab.query(7, query);
  CHECK(last_reply(lab).rcode == 1);
  query.questions.clear();
  lab.query(7, query);
  CHECK(last_reply(lab).rcode == 1);
  query = edns_query_for("api.example.com");
  query.additionals.push_back(opt_record());
  lab.query(7, query);
  CHECK(last_reply(lab).rcode == 1);
  query = query_for("api.example.com");
  query.trailing = "x";
  lab.query(7, query);
  CHECK(last_reply(lab).rcode == 1);
  query = query_for("api.example.com");
  query.flags |= 2 << 11;
  lab.query(7, query);
  CHECK(last_reply(lab).rcode == 4);
  lab.query(7, edns_query_for("api.example.com", kTypeA, {.version = 1}));
  CHECK(last_reply(lab).rcode == 16);
  CHECK(last_reply(lab).has_opt);
  CHECK(lab.replies.size() == 6);
  query = query_for("api.example.com");
  query.flags |= 0x8000;
  lab.query(7, query);
  lab.query_bytes(7, "");
  lab.query_bytes(7, "short");
  CHECK(lab.replies.size() == 6);  // what is no query gets no reply: two such servers would talk for ever
  CHECK(lab.asked.empty());
  CHECK(lab.events.size() == 9);
}

TEST_CASE("resolver: an empty policy denies every name, and none at all fails every query", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, {.rules = {}});
  lab.query(7, query_for("api.example.com"));
  CHECK(last_reply(lab).is_nodata_denial());
  lab.resolver.set_sandbox({.id = 8, .policy = {}, .generation = 0, .staged = {}, .staged_generation = 0, .search = {}},
                           lab.now);
  lab.query(8, edns_query_for("api.example.com"));
  CHECK(last_reply(lab).rcode == 2);
  CHECK(last_reply(lab).ede == 14);
  CHECK(lab.asked.empty());
}

TEST_CASE("resolver: a sandbox that nobody told of gets no reply, and one that went neither", "[dnsproxy]") {
  ResolverLab lab;
  lab.query(9, query_for("api.example.com"));
  CHECK(lab.replies.empty());
  REQUIRE(lab.events.size() == 1);
  CHECK(lab.events[0].sandbox == 9);
  CHECK(lab.events[0].reason == EGRESS_REASON_DNS_NO_SANDBOX);
  lab.sandbox(7, kPolicy);
  lab.query(7, query_for("api.example.com"));
  lab.resolver.remove_sandbox(7);
  lab.upstream_answers(
      postern::testing::answer_for("api.example.com", kTypeA, {a_record("api.example.com", "192.0.2.1")}));
  CHECK(lab.replies.empty());
  CHECK(lab.store.writes == 0);
}

TEST_CASE("resolver: the event tells who asked what of whom", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  lab.query(7, query_for("Api.example.com"));
  lab.now = lab.now + 5 * kNsPerMs;
  lab.upstream_answers(postern::testing::answer_for(".", kTypeA, {a_record("api.example.com", "192.0.2.1", 4000)}));
  REQUIRE(lab.events.size() == 1);
  const egress_dns_event& event = lab.events[0];
  CHECK(event.sandbox == 7);
  CHECK(event.policy == 1);
  CHECK(event.rule == 100);
  CHECK(event.latency_us == 5000);
  CHECK(event.ttl_s == 3600);
  CHECK(event.qtype == kTypeA);
  CHECK(event.client_port == __builtin_bswap16(40000));
  CHECK(event.protocol == 17);
  CHECK(event.addr_count == 1);
  CHECK(event.more_addrs == 0);
  CHECK(std::string(reinterpret_cast<const char*>(event.wire), event.name_length) == wire_name("Api.example.com"));
}

TEST_CASE("resolver: events of one sandbox are limited, and the loss is counted", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(7, kPolicy);
  for (std::uint32_t i = 0; i < Resolver::kEventsPerS + 25; ++i) {
    lab.query(7, query_for("evil.example.net"));
  }
  CHECK(lab.events.size() == Resolver::kEventsPerS);
  lab.pass_s(1);
  lab.query(7, query_for("evil.example.net"));
  CHECK(lab.events.back().lost == 25);
  lab.query(7, query_for("evil.example.net"));
  CHECK(lab.events.back().lost == 0);
  CHECK(lab.replies.size() == Resolver::kEventsPerS + 27);
}

}  // namespace
}  // namespace postern::testing
