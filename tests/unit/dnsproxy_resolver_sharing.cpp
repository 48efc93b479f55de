// SPDX-License-Identifier: Apache-2.0
//
// What sandboxes share, and must not profit from: the cache, questions in flight, room. And what is
// held back until the kernel has the next policy.
#include <catch2/catch_test_macros.hpp>

#include "dns_reply.h"
#include "tests/support/resolver_lab.h"

namespace postern::testing {
namespace {

const LabPolicy kPolicy{.rules = {{"*.example.com"}}};

Reply last_reply(const ResolverLab& lab) {
  REQUIRE_FALSE(lab.replies.empty());
  return read_reply(lab.replies.back().message);
}

TestMessage one_address(std::string_view name) {
  return postern::testing::answer_for(".", kTypeA, {a_record(name, "192.0.2.1", 300)});
}

TEST_CASE("resolver: two sandboxes with opposite rules, at the same instant and again from the cache", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(1, {.id = 1, .rules = {{"a.example.com"}}});
  lab.sandbox(2, {.id = 2, .rules = {{"b.example.com"}}});
  for (int round = 0; round < 2; ++round) {
    lab.replies.clear();
    lab.query(1, query_for("a.example.com"));
    lab.query(2, query_for("a.example.com"));
    lab.query(1, query_for("b.example.com"));
    lab.query(2, query_for("b.example.com"));
    if (round == 0) {
      REQUIRE(lab.asked.size() == 2);  // each name once: only who may ask did
      REQUIRE(lab.replies.size() == 2);
      lab.upstream_answers(one_address("a.example.com"));
      lab.upstream_answers(postern::testing::answer_for(".", kTypeA, {a_record("b.example.com", "192.0.2.2", 300)}));
    }
    REQUIRE(lab.replies.size() == 4);
    int answered[3] = {};
    for (const auto& sent : lab.replies) {
      const Reply reply = read_reply(sent.message);
      answered[sent.client.sandbox] += reply.answers.empty() ? 0 : 1;
      CHECK((reply.answers.size() == 1 || reply.is_nodata_denial()));
      CHECK((reply.answers.empty() || (sent.client.sandbox == 1) == (reply.question == "a.example.com. IN A")));
    }
    CHECK(answered[1] == 1);
    CHECK(answered[2] == 1);
    CHECK(lab.store.grants.size() == 2);
    CHECK(lab.granted(1, "192.0.2.1"));
    CHECK(lab.granted(2, "192.0.2.2"));
  }
  CHECK(lab.asked.size() == 2);
}

TEST_CASE("resolver: one answer, two sandboxes, each filtered by its own policy", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(1, {.id = 1, .rules = {{"a.example.com"}}});
  lab.sandbox(2, {.id = 2, .rules = {{"a.example.com"}}, .private_allowed = {"10.0.0.0/8"}});
  lab.query(1, query_for("a.example.com"));
  lab.query(2, query_for("A.example.com"));
  REQUIRE(lab.asked.size() == 1);
  lab.upstream_answers(postern::testing::answer_for(".", kTypeA, {a_record("a.example.com", "10.0.0.1")}));
  CHECK(read_reply(lab.replies[0].message).is_nodata_denial());
  CHECK(read_reply(lab.replies[1].message).answers == std::vector<std::string>{"A.example.com. 60 IN A 10.0.0.1"});
  CHECK(lab.store.grants.size() == 1);
  CHECK(lab.granted(2, "10.0.0.1"));
}

TEST_CASE("resolver: each waiting client gets its own id, case and size", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(1, kPolicy);
  TestMessage first = query_for("a.example.com");
  TestMessage second = edns_query_for("A.EXAMPLE.com");
  second.id = 0x9999;
  lab.query(1, first);
  lab.query(1, second);
  REQUIRE(lab.asked.size() == 1);
  lab.upstream_answers(one_address("a.example.com"));
  REQUIRE(lab.replies.size() == 2);
  CHECK(read_reply(lab.replies[0].message).id == 0x1234);
  CHECK_FALSE(read_reply(lab.replies[0].message).has_opt);
  CHECK(read_reply(lab.replies[1].message).id == 0x9999);
  CHECK(read_reply(lab.replies[1].message).question == "A.EXAMPLE.com. IN A");
  CHECK(read_reply(lab.replies[1].message).has_opt);
}

TEST_CASE("resolver: DO and CD are questions of their own", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(1, kPolicy);
  lab.query(1, query_for("a.example.com"));
  lab.query(1, edns_query_for("a.example.com"));
  lab.query(1, edns_query_for("a.example.com", kTypeA, {.dnssec_ok = true}));
  TestMessage unchecked = query_for("a.example.com");
  unchecked.flags |= 0x10;
  lab.query(1, unchecked);
  CHECK(lab.asked.size() == 3);
}

TEST_CASE("resolver: an upstream that fails or is silent is SERVFAIL, never silence", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(1, kPolicy);
  lab.query(1, edns_query_for("a.example.com"));
  lab.query(1, query_for("a.example.com"));
  lab.upstream_fails(UpstreamFailure::kTimeout);
  CHECK(lab.replies.size() == 2);
  CHECK(read_reply(lab.replies[0].message).rcode == 2);
  CHECK(read_reply(lab.replies[0].message).ede == 22);
  CHECK(lab.events.back().reason == EGRESS_REASON_DNS_UPSTREAM_TIMEOUT);
  lab.query(1, edns_query_for("b.example.com"));
  lab.upstream_fails(UpstreamFailure::kFailed);
  CHECK(last_reply(lab).rcode == 2);
  CHECK(last_reply(lab).ede == 23);
  CHECK(lab.events.back().reason == EGRESS_REASON_DNS_UPSTREAM_FAILED);
  CHECK(lab.store.grants.empty());
}

TEST_CASE("resolver: a failure is remembered for a second (RFC 9520)", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(1, kPolicy);
  lab.query(1, query_for("a.example.com"));
  lab.upstream_fails(UpstreamFailure::kTimeout);
  lab.query(1, query_for("a.example.com"));
  CHECK(lab.asked.size() == 1);
  CHECK(lab.replies.size() == 2);
  CHECK(last_reply(lab).rcode == 2);
  lab.query(1, query_for("b.example.com"));
  CHECK(lab.asked.size() == 2);
  lab.pass_s(1);
  lab.query(1, query_for("a.example.com"));
  CHECK(lab.asked.size() == 3);
}

TEST_CASE("resolver: with new upstreams nothing that others said is left, nor what they say late", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(1, kPolicy);
  lab.exchange(1, query_for("a.example.com"), {a_record("a.example.com", "192.0.2.1", 300)});
  lab.query(1, query_for("b.example.com"));
  lab.resolver.forget_answers();
  lab.upstream_answers(one_address("b.example.com"));
  CHECK(lab.replies.size() == 2);  // who waits gets it
  lab.query(1, query_for("a.example.com"));
  lab.query(1, query_for("b.example.com"));
  CHECK(lab.asked.size() == 4);
}

TEST_CASE("resolver: the memory of failures is bounded", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(1, kPolicy);
  for (std::size_t i = 0; i < 3 * Resolver::kFailuresMax; ++i) {
    lab.query(1, query_for("n" + std::to_string(i) + ".example.com"));
    lab.upstream_fails(UpstreamFailure::kFailed);
  }
  CHECK(lab.replies.size() == 3 * Resolver::kFailuresMax);
}

TEST_CASE("resolver: one sandbox can only have so many questions open", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(1, kPolicy);
  lab.sandbox(2, kPolicy);
  for (std::size_t i = 0; i < Resolver::kWaitingPerSandbox; ++i) {
    lab.query(1, query_for("n" + std::to_string(i) + ".example.com"));
  }
  CHECK(lab.replies.empty());
  lab.query(1, edns_query_for("more.example.com"));
  CHECK(last_reply(lab).rcode == 2);
  CHECK(lab.events.back().reason == EGRESS_REASON_DNS_LIMIT);
  lab.query(1, query_for("n0.example.com"));  // nor may it join one in flight
  CHECK(last_reply(lab).rcode == 2);
  lab.query(2, query_for("more.example.com"));
  CHECK(lab.replies.size() == 2);
  lab.upstream_answers(one_address("n0.example.com"));
  lab.query(1, query_for("more.example.com"));
  CHECK(lab.replies.size() == 3);  // room again
}

TEST_CASE("resolver: and all together so many", "[dnsproxy]") {
  ResolverLab lab;
  std::uint32_t sandbox = 0;
  for (std::size_t i = 0; i < Resolver::kFlightsMax; ++i) {
    if (i % Resolver::kWaitingPerSandbox == 0) {
      lab.sandbox(++sandbox, kPolicy);
    }
    lab.query(sandbox, query_for("n" + std::to_string(i) + ".example.com"));
  }
  lab.sandbox(99, kPolicy);
  lab.query(99, query_for("more.example.com"));
  CHECK(last_reply(lab).rcode == 2);
  CHECK(lab.asked.size() == Resolver::kFlightsMax);
  lab.query(99, query_for("n5.example.com"));  // one in flight costs nothing more
  CHECK(lab.replies.size() == 1);
}

TEST_CASE("resolver: a sandbox that goes frees its room, one that comes back starts anew", "[dnsproxy]") {
  ResolverLab lab;
  lab.sandbox(1, kPolicy);
  lab.query(1, query_for("a.example.com"));
  lab.resolver.remove_sandbox(1);
  lab.sandbox(1, kPolicy);
  lab.upstream_answers(one_address("a.example.com"));
  for (std::size_t i = 0; i < Resolver::kWaitingPerSandbox; ++i) {
    lab.query(1, query_for("n" + std::to_string(i) + ".example.com"));
  }
  CHECK(lab.asked.size() == 1 + Resolver::kWaitingPerSandbox);
}

/// A sandbox whose kernel enforces `now` while `next` is staged.
void stage(ResolverLab& lab, const LabPolicy& now, const LabPolicy& next) {
  lab.resolver.set_sandbox({.id = 1,
                            .policy = make_policy(now),
                            .generation = 1,
                            .staged = make_policy(next),
                            .staged_generation = 2,
                            .search = {}},
                           lab.now);
}

void swap_to(ResolverLab& lab, const LabPolicy& policy) {
  lab.resolver.set_sandbox(
      {.id = 1, .policy = make_policy(policy), .generation = 2, .staged = {}, .staged_generation = 0, .search = {}},
      lab.now);
}

const LabPolicy kOld{.id = 1, .rules = {{"kept.example.com"}, {"removed.example.com"}}};
const LabPolicy kNew{.id = 2, .rules = {{"kept.example.com"}, {"added.example.com"}}};

TEST_CASE("resolver: what a staged policy opens is held back until the kernel has it", "[dnsproxy]") {
  ResolverLab lab;
  stage(lab, kOld, kNew);
  lab.query(1, query_for("added.example.com"));
  lab.upstream_answers(one_address("added.example.com"));
  CHECK(lab.replies.empty());
  CHECK(lab.store.writes == 0);
  lab.query(1, query_for("added.example.com"));  // from the cache: held too
  CHECK(lab.replies.empty());
  swap_to(lab, kNew);
  REQUIRE(lab.replies.size() == 2);
  CHECK(last_reply(lab).answers.size() == 1);
  CHECK(lab.grant_of(1, "192.0.2.1").slots[0].generation == 2);
}

TEST_CASE("resolver: what it keeps is answered at once, what it removes is denied at once", "[dnsproxy]") {
  ResolverLab lab;
  stage(lab, kOld, kNew);
  lab.query(1, query_for("kept.example.com"));
  lab.upstream_answers(one_address("kept.example.com"));
  CHECK(last_reply(lab).answers.size() == 1);
  CHECK(lab.grant_of(1, "192.0.2.1").slots[0].generation == 2);
  lab.query(1, query_for("removed.example.com"));
  CHECK(last_reply(lab).is_nodata_denial());
  CHECK(lab.asked.size() == 1);
}

TEST_CASE("resolver: a question asked under the old policy is answered by the new one", "[dnsproxy]") {
  ResolverLab lab;
  lab.resolver.set_sandbox(
      {.id = 1, .policy = make_policy(kOld), .generation = 1, .staged = {}, .staged_generation = 0, .search = {}},
      lab.now);
  lab.query(1, query_for("removed.example.com"));
  stage(lab, kOld, kNew);
  lab.upstream_answers(one_address("removed.example.com"));
  CHECK(last_reply(lab).is_nodata_denial());
  CHECK(lab.store.writes == 0);
}

TEST_CASE("resolver: a port or a private range that it adds is held back too", "[dnsproxy]") {
  const LabPolicy wider{.id = 2, .rules = {{"kept.example.com", "443 8443"}}};
  const LabPolicy private_too{.id = 3, .rules = {{"kept.example.com"}}, .private_allowed = {"10.0.0.0/8"}};
  const LabPolicy narrower{.id = 4, .rules = {{"kept.example.com"}}};
  {
    ResolverLab lab;
    stage(lab, kOld, wider);
    lab.exchange(1, query_for("kept.example.com"), {a_record("kept.example.com", "192.0.2.1")});
    CHECK(lab.replies.empty());
  }
  {
    ResolverLab lab;
    stage(lab, kOld, private_too);
    lab.exchange(1, query_for("kept.example.com"), {a_record("kept.example.com", "10.0.0.1")});
    CHECK(lab.replies.empty());
  }
  {
    ResolverLab lab;
    stage(lab, wider, narrower);
    lab.exchange(1, query_for("kept.example.com"), {a_record("kept.example.com", "192.0.2.1")});
    CHECK(lab.replies.size() == 1);
  }
}

TEST_CASE("resolver: a swap that is called off denies what was held", "[dnsproxy]") {
  ResolverLab lab;
  stage(lab, kOld, kNew);
  lab.exchange(1, query_for("added.example.com"), {a_record("added.example.com", "192.0.2.1")});
  swap_to(lab, kOld);
  CHECK(last_reply(lab).is_nodata_denial());
  CHECK(lab.store.writes == 0);
}

TEST_CASE("resolver: a swap that never comes is SERVFAIL, in time for the stub", "[dnsproxy]") {
  ResolverLab lab;
  stage(lab, kOld, kNew);
  lab.exchange(1, edns_query_for("added.example.com"), {a_record("added.example.com", "192.0.2.1")});
  lab.resolver.expire_held(lab.now);
  CHECK(lab.replies.empty());
  lab.now = lab.now + Resolver::kHeldMs * kNsPerMs;
  lab.resolver.expire_held(lab.now);
  CHECK(last_reply(lab).rcode == 2);
  CHECK(lab.store.writes == 0);
  swap_to(lab, kNew);
  CHECK(lab.replies.size() == 1);
}

TEST_CASE("resolver: one sandbox cannot fill the place where answers are held", "[dnsproxy]") {
  ResolverLab lab;
  stage(lab, kOld, kNew);
  lab.exchange(1, query_for("added.example.com"), {a_record("added.example.com", "192.0.2.1", 300)});
  for (std::size_t i = 1; i < Resolver::kWaitingPerSandbox; ++i) {
    lab.query(1, query_for("added.example.com"));
  }
  CHECK(lab.replies.empty());
  lab.query(1, query_for("added.example.com"));
  CHECK(last_reply(lab).rcode == 2);
  swap_to(lab, kNew);
  CHECK(lab.replies.size() == 1 + Resolver::kWaitingPerSandbox);
}

TEST_CASE("resolver: a first policy that is only staged holds everything it opens", "[dnsproxy]") {
  ResolverLab lab;
  lab.resolver.set_sandbox(
      {.id = 1, .policy = {}, .generation = 0, .staged = make_policy(kNew), .staged_generation = 2, .search = {}},
      lab.now);
  lab.exchange(1, query_for("kept.example.com"), {a_record("kept.example.com", "192.0.2.1")});
  CHECK(lab.replies.empty());
  lab.query(1, query_for("evil.example.net"));
  CHECK(last_reply(lab).is_nodata_denial());
  swap_to(lab, kNew);
  CHECK(lab.replies.size() == 2);
}

}  // namespace
}  // namespace postern::testing
