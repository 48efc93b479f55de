// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/query.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <functional>

#include "tests/support/resolver_lab.h"

namespace postern::testing {
namespace {

struct Row {
  const char* what;
  std::function<void(TestMessage&)> change;
  QueryVerdict expected;
};

std::string client_subnet() { return u16(8) + u16(7) + u16(1) + std::string("\x18\0\xc0\0\2", 5); }

TEST_CASE("query: what is taken, and what is refused how", "[dnsproxy]") {
  const auto row = GENERATE(values<Row>({
      {"a stub's", [](TestMessage&) {}, QueryVerdict::kAnswer},
      {"without RD", [](TestMessage& m) { m.flags = 0; }, QueryVerdict::kAnswer},
      {"with AD, CD and Z", [](TestMessage& m) { m.flags = 0x0170; }, QueryVerdict::kAnswer},
      {"a type nobody knows", [](TestMessage& m) { m.questions[0].type = 65280; }, QueryVerdict::kAnswer},
      {"class CH", [](TestMessage& m) { m.questions[0].qclass = 3; }, QueryVerdict::kAnswer},
      {"the root", [](TestMessage& m) { m.questions[0].name = wire_name("."); }, QueryVerdict::kAnswer},
      {"EDNS", [](TestMessage& m) { m.additionals = {opt_record()}; }, QueryVerdict::kAnswer},
      {"EDNS with options", [](TestMessage& m) { m.additionals = {opt_record({.data = client_subnet()})}; },
       QueryVerdict::kAnswer},
      {"a response", [](TestMessage& m) { m.flags |= 0x8000; }, QueryVerdict::kDrop},
      {"opcode STATUS", [](TestMessage& m) { m.flags |= 2 << 11; }, QueryVerdict::kNotImp},
      {"opcode UPDATE", [](TestMessage& m) { m.flags |= 5 << 11; }, QueryVerdict::kNotImp},
      {"no question", [](TestMessage& m) { m.questions.clear(); }, QueryVerdict::kFormErr},
      {"two questions", [](TestMessage& m) { m.questions.push_back(m.questions[0]); }, QueryVerdict::kFormErr},
      {"an answer", [](TestMessage& m) { m.answers = {a_record("x.example", "192.0.2.1")}; }, QueryVerdict::kFormErr},
      {"an authority", [](TestMessage& m) { m.authorities = {soa_record("example")}; }, QueryVerdict::kFormErr},
      {"two OPT",
       [](TestMessage& m) {
         m.additionals = {opt_record(), opt_record()};
       },
       QueryVerdict::kFormErr},
      {"an additional that is no OPT", [](TestMessage& m) { m.additionals = {a_record("x.example", "192.0.2.1")}; },
       QueryVerdict::kFormErr},
      {"OPT not of the root",
       [](TestMessage& m) {
         m.additionals = {opt_record()};
         m.additionals[0].owner = wire_name("x");
       },
       QueryVerdict::kFormErr},
      {"OPT by a pointer",
       [](TestMessage& m) {
         m.additionals = {opt_record()};
         m.additionals[0].owner = "\xc0\x0c";
       },
       QueryVerdict::kFormErr},
      {"an option longer than OPT",
       [](TestMessage& m) { m.additionals = {opt_record({.data = u16(8) + u16(9) + "x"})}; }, QueryVerdict::kFormErr},
      {"half an option", [](TestMessage& m) { m.additionals = {opt_record({.data = "\1"})}; }, QueryVerdict::kFormErr},
      {"EDNS version 1", [](TestMessage& m) { m.additionals = {opt_record({.version = 1})}; }, QueryVerdict::kBadVers},
      {"a byte behind the end", [](TestMessage& m) { m.trailing = "x"; }, QueryVerdict::kFormErr},
      {"a byte behind OPT",
       [](TestMessage& m) {
         m.additionals = {opt_record()};
         m.trailing = "x";
       },
       QueryVerdict::kFormErr},
      {"a compressed question", [](TestMessage& m) { m.questions[0].name = "\xc0\x0c"; }, QueryVerdict::kFormErr},
      {"a label of 64 bytes", [](TestMessage& m) { m.questions[0].name = "\x40" + std::string(64, 'x') + '\0'; },
       QueryVerdict::kFormErr},
  }));
  INFO(row.what);
  TestMessage message = query_for("Api.example.com");
  row.change(message);
  Query query;
  CHECK(parse_query(bytes_of(message.bytes()), query) == row.expected);
  CHECK(query.id == 0x1234);
}

TEST_CASE("query: cut anywhere, it is dropped or refused, and its name is whole or empty", "[dnsproxy]") {
  const std::string whole = edns_query_for("api.example.com", 28, {.data = client_subnet()}).bytes();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    Query query;
    const QueryVerdict verdict = parse_query(bytes_of(whole).first(size), query);
    INFO(size);
    CHECK(verdict == (size < 12 ? QueryVerdict::kDrop : QueryVerdict::kFormErr));
    CHECK((query.name.size == 0 || query.name.size == 17));
  }
}

TEST_CASE("query: what is kept of it", "[dnsproxy]") {
  TestMessage message = edns_query_for("Api.EXAMPLE.com", 28, {.payload = 4096, .dnssec_ok = true});
  message.flags = 0x0130;
  Query query;
  REQUIRE(parse_query(bytes_of(message.bytes()), query) == QueryVerdict::kAnswer);
  CHECK(query.recursion_desired);
  CHECK(query.authentic_data);
  CHECK(query.checking_disabled);
  CHECK(std::string(query.name.wire().begin(), query.name.wire().end()) == wire_name("Api.EXAMPLE.com"));
  CHECK(query.type == 28);
  CHECK(query.qclass == 1);
  CHECK(query.has_edns);
  CHECK(query.dnssec_ok);
}

TEST_CASE("query: the payload a client can take", "[dnsproxy]") {
  const auto [advertised, kept] = GENERATE(table<std::uint16_t, int>({
      {0, 512},
      {511, 512},
      {512, 512},
      {800, 800},
      {1232, 1232},
      {4096, 1232},
      {65535, 1232},
  }));
  Query query;
  REQUIRE(parse_query(bytes_of(edns_query_for("a.example", 1, {.payload = advertised}).bytes()), query) ==
          QueryVerdict::kAnswer);
  CHECK(query.udp_payload == kept);
  Query plain;
  REQUIRE(parse_query(bytes_of(query_for("a.example").bytes()), plain) == QueryVerdict::kAnswer);
  CHECK(plain.udp_payload == 512);
}

}  // namespace
}  // namespace postern::testing
