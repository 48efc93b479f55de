// SPDX-License-Identifier: Apache-2.0
//
// Runs every row, and fails for a reason that has none.
#include <catch2/catch_test_macros.hpp>

#include <set>

#include "bpf/flow.h"
#include "tests/bpf/row.h"

namespace postern::test {
namespace {

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kNext:
      return "next";
    case Verdict::kShot:
      return "shot";
    case Verdict::kRedirect:
      return "redirect";
    default:
      return "another verdict";
  }
}

std::string label_of(unsigned reason) { return egress_reason_label(reason); }

void check(const Row& row) {
  Lab& lab = Lab::get();
  lab.reset();
  if (row.given) {
    row.given(lab);
  }
  const std::size_t flows_before = lab.flow_count();
  const Outcome outcome = lab.run(row.packet);
  INFO(row.description);
  CHECK(std::string(name_of(outcome.verdict)) == name_of(row.expected.verdict));
  CHECK(label_of(outcome.reason) == label_of(row.expected.reason));
  if (row.expected.reason != EGRESS_REASON_NONE) {
    CHECK(outcome.counted == 1);  // once, and under one reason
    CHECK(outcome.sandbox == row.expected.sandbox);
    CHECK(outcome.direction == (row.packet.program == Program::kFromSandbox ? EGRESS_OUT : EGRESS_IN));
    CHECK((outcome.reason >= EGRESS_REASON_FIRST_DROP) == (outcome.verdict == Verdict::kShot));
  }
  if (row.expected.verdict != Verdict::kRedirect) {
    CHECK(outcome.frame == row.packet.frame.bytes());
  }
  if (row.expected.verdict == Verdict::kShot) {
    CHECK(lab.flow_count() <= flows_before);
  }
  if (row.then) {
    row.then(lab, row, outcome);
  }
}

void check_all(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    check(row);
  }
}

}  // namespace

Then opens(egress_basis basis) {
  return [basis](Lab& lab, const Row& row, const Outcome&) {
    const auto flow = lab.flow_of(row.packet);
    REQUIRE(flow);
    CHECK(egress_flow_basis(&*flow) == basis);
    CHECK(flow->packets_out == (basis == EGRESS_BASIS_INBOUND ? 0 : 1));
    CHECK(flow->packets_in == (basis == EGRESS_BASIS_INBOUND ? 1 : 0));
    if (basis != EGRESS_BASIS_INBOUND) {
      CHECK(flow->rule != 0);
    }
  };
}

Then opens_nothing() {
  return [](Lab& lab, const Row&, const Outcome&) {
    CHECK(lab.flow_count() == 0);
    CHECK(lab.finished_count() == 0);
  };
}

TEST_CASE("what a packet is") { check_all(shape_rows()); }
TEST_CASE("who sends it") { check_all(sender_rows()); }
TEST_CASE("ARP and neighbour discovery") { check_all(neighbour_rows()); }
TEST_CASE("DNS is steered") { check_all(steering_rows()); }
TEST_CASE("addresses that are never allowed") { check_all(never_list_rows()); }
TEST_CASE("addresses that names opened") { check_all(grant_rows()); }
TEST_CASE("prefixes that rules allow and deny") { check_all(cidr_rows()); }
TEST_CASE("flows begin, go on and end") { check_all(flow_rows()); }
TEST_CASE("a policy change cuts and keeps") { check_all(policy_change_rows()); }
TEST_CASE("connections to the sandbox") { check_all(inbound_rows()); }
TEST_CASE("ICMP") { check_all(icmp_rows()); }

TEST_CASE("every reason that a packet can have is in a row") {
  std::set<unsigned> covered;
  std::size_t count = 0;
  for (const auto& rows : {shape_rows(), sender_rows(), neighbour_rows(), steering_rows(), never_list_rows(),
                           grant_rows(), cidr_rows(), flow_rows(), policy_change_rows(), inbound_rows(), icmp_rows()}) {
    for (const Row& row : rows) {
      covered.insert(row.expected.reason);
      ++count;
    }
  }
#define EXPECT_COVERED(identifier, number, label)                  \
  if ((number) < EGRESS_REASON_FIRST_DNS) {                        \
    INFO("EGRESS_REASON_" #identifier " has no row in tests/bpf"); \
    CHECK(covered.contains(number));                               \
  }
  EGRESS_REASONS(EXPECT_COVERED)
#undef EXPECT_COVERED
  std::printf("%zu rows\n", count);
}

}  // namespace postern::test
