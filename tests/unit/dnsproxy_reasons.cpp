// SPDX-License-Identifier: Apache-2.0
//
// Every DNS reason of bpf/reasons.h has a row here that makes the resolver give it. The list is walked:
// a reason without a row fails.
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "bpf/reasons.h"
#include "tests/support/resolver_lab.h"

namespace postern::testing {
namespace {

struct Reason {
  const char* identifier;
  unsigned number;
  const char* label;
};

#define POSTERN_ROW(identifier, number, label) {#identifier, number, label},
constexpr Reason kReasons[] = {EGRESS_REASONS(POSTERN_ROW)};
#undef POSTERN_ROW

const LabPolicy kPolicy{.rules = {{"*.example.com"}}};

void resolve(ResolverLab& lab, const char* address = "192.0.2.1") {
  lab.sandbox(7, kPolicy);
  lab.exchange(7, query_for("a.example.com"), {a_record("a.example.com", address)});
}

/// What must happen for a reason to be told.
std::map<unsigned, std::function<void(ResolverLab&)>> rows() {
  return {
      {EGRESS_REASON_DNS_ALLOWED, [](ResolverLab& lab) { resolve(lab); }},
      {EGRESS_REASON_DNS_CACHED,
       [](ResolverLab& lab) {
         resolve(lab);
         resolve(lab);
       }},
      {EGRESS_REASON_DNS_NO_DATA,
       [](ResolverLab& lab) {
         lab.sandbox(7, kPolicy);
         lab.exchange(7, query_for("a.example.com"), {});
       }},
      {EGRESS_REASON_DNS_NAME_DENIED,
       [](ResolverLab& lab) {
         lab.sandbox(7, kPolicy);
         lab.query(7, query_for("evil.example.net"));
       }},
      {EGRESS_REASON_DNS_TYPE_DENIED,
       [](ResolverLab& lab) {
         lab.sandbox(7, kPolicy);
         lab.query(7, query_for("a.example.com", 65));
       }},
      {EGRESS_REASON_DNS_CLASS_DENIED,
       [](ResolverLab& lab) {
         lab.sandbox(7, kPolicy);
         TestMessage query = query_for("a.example.com");
         query.questions[0].qclass = 3;
         lab.query(7, query);
       }},
      {EGRESS_REASON_DNS_MALFORMED,
       [](ResolverLab& lab) {
         lab.sandbox(7, kPolicy);
         lab.query_bytes(7, query_for("a.example.com").bytes() + "x");
       }},
      {EGRESS_REASON_DNS_NOT_IMPLEMENTED,
       [](ResolverLab& lab) {
         lab.sandbox(7, kPolicy);
         TestMessage query = query_for("a.example.com");
         query.flags |= 5 << 11;
         lab.query(7, query);
       }},
      {EGRESS_REASON_DNS_BAD_VERSION,
       [](ResolverLab& lab) {
         lab.sandbox(7, kPolicy);
         lab.query(7, edns_query_for("a.example.com", kTypeA, {.version = 9}));
       }},
      {EGRESS_REASON_DNS_NO_SANDBOX, [](ResolverLab& lab) { lab.query(7, query_for("a.example.com")); }},
      {EGRESS_REASON_DNS_NO_POLICY,
       [](ResolverLab& lab) {
         lab.resolver.set_sandbox(
             {.id = 7, .policy = {}, .generation = 0, .staged = {}, .staged_generation = 0, .search = {}}, lab.now);
         lab.query(7, query_for("a.example.com"));
       }},
      {EGRESS_REASON_DNS_UPSTREAM_TIMEOUT,
       [](ResolverLab& lab) {
         lab.sandbox(7, kPolicy);
         lab.query(7, query_for("a.example.com"));
         lab.upstream_fails(UpstreamFailure::kTimeout);
       }},
      {EGRESS_REASON_DNS_UPSTREAM_FAILED,
       [](ResolverLab& lab) {
         lab.sandbox(7, kPolicy);
         lab.query(7, query_for("a.example.com"));
         lab.upstream_fails(UpstreamFailure::kFailed);
       }},
      {EGRESS_REASON_DNS_ADDRESS_DENIED, [](ResolverLab& lab) { resolve(lab, "127.0.0.1"); }},
      {EGRESS_REASON_DNS_GRANT_FAILED,
       [](ResolverLab& lab) {
         lab.store.writes_until_full = 0;
         resolve(lab);
       }},
      {EGRESS_REASON_DNS_LIMIT,
       [](ResolverLab& lab) {
         lab.sandbox(7, kPolicy);
         for (std::size_t i = 0; i <= Resolver::kWaitingPerSandbox; ++i) {
           lab.query(7, query_for("n" + std::to_string(i) + ".example.com"));
         }
       }},
  };
}

TEST_CASE("reasons: every DNS reason is told by the resolver", "[dnsproxy]") {
  const auto all = rows();
  for (const Reason& reason : kReasons) {
    if (reason.number < EGRESS_REASON_FIRST_DNS) {
      continue;
    }
    INFO(reason.identifier);
    const auto row = all.find(reason.number);
    REQUIRE(row != all.end());
    ResolverLab lab;
    row->second(lab);
    REQUIRE_FALSE(lab.events.empty());
    CHECK(std::string(egress_reason_label(lab.events.back().reason)) == reason.label);
    CHECK((reason.number < EGRESS_REASON_FIRST_DNS_DENIED || lab.store.grants.empty()));
  }
}

TEST_CASE("reasons: identifiers, numbers and labels are unique and fit an event", "[dnsproxy]") {
  std::set<std::string> identifiers;
  std::set<std::string> labels;
  std::set<unsigned> numbers;
  for (const Reason& reason : kReasons) {
    INFO(reason.identifier);
    CHECK(identifiers.insert(reason.identifier).second);
    CHECK(labels.insert(reason.label).second);
    CHECK(numbers.insert(reason.number).second);
    CHECK(reason.number < 200);
    CHECK(std::string(egress_reason_label(reason.number)) == reason.label);
  }
  CHECK(std::string(egress_reason_label(250)) == "unknown reason");
}

}  // namespace
}  // namespace postern::testing
