// SPDX-License-Identifier: Apache-2.0
//
// The replies' bytes, as ldns reads them.
#include "dnsproxy/reply.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "dns_reply.h"
#include "tests/support/resolver_lab.h"

namespace postern::testing {
namespace {

Query query_of(const TestMessage& message) {
  Query query;
  REQUIRE(parse_query(bytes_of(message.bytes()), query) == QueryVerdict::kAnswer);
  return query;
}

Answer answer_of(std::string_view name, std::uint16_t type, std::vector<TestRecord> records, bool authentic = false) {
  const Question question{wire_name(name), type, true, false};
  TestMessage message = postern::testing::answer_for(name, type, std::move(records));
  message.flags = static_cast<std::uint16_t>(message.flags | (authentic ? 0x20 : 0));
  Answer answer;
  REQUIRE(parse_answer(bytes_of(message.bytes()), {0x1234, question.wire(), true, &question}, {1}, answer) ==
          AnswerVerdict::kUsable);
  return answer;
}

Reply written(const TestMessage& query, const AnswerView& view, std::size_t limit = 512) {
  std::vector<std::uint8_t> buffer(kMessageMax);
  const std::size_t size = write_answer(query_of(query), view, limit, buffer);
  CHECK(size <= limit);
  const Reply reply = read_reply({reinterpret_cast<const char*>(buffer.data()), size});
  CHECK(reply.readable);
  CHECK(reply.response);
  CHECK(reply.recursion_available);
  CHECK_FALSE(reply.authoritative);
  CHECK(reply.id == query.id);
  return reply;
}

TEST_CASE("reply: an answer, with the question's case and a chain", "[dnsproxy]") {
  const Answer answer =
      answer_of("www.example.com", kTypeA,
                {cname_record("www.example.com", "cdn.example.net", 300), a_record("cdn.example.net", "192.0.2.1", 60),
                 a_record("cdn.example.net", "192.0.2.2", 60)});
  const Reply reply = written(query_for("WWW.Example.com"), {.answer = &answer, .dropped = {}});
  CHECK(reply.question == "WWW.Example.com. IN A");
  CHECK(reply.answers == std::vector<std::string>{"WWW.Example.com. 300 IN CNAME cdn.example.net.",
                                                  "cdn.example.net. 60 IN A 192.0.2.1",
                                                  "cdn.example.net. 60 IN A 192.0.2.2"});
  CHECK_FALSE(reply.has_opt);
  CHECK_FALSE(reply.truncated);
  CHECK(reply.recursion_desired);
}

TEST_CASE("reply: OPT if and only if the query had it, DO copied", "[dnsproxy]") {
  const Answer answer = answer_of("a.example", kTypeA, {a_record("a.example", "192.0.2.1")});
  const AnswerView view{.answer = &answer, .dropped = {}};
  const Reply plain = written(edns_query_for("a.example"), view);
  CHECK(plain.has_opt);
  CHECK(plain.payload == 1232);
  CHECK_FALSE(plain.dnssec_ok);
  CHECK_FALSE(plain.ede);
  CHECK(written(edns_query_for("a.example", kTypeA, {.dnssec_ok = true}), view).dnssec_ok);
}

TEST_CASE("reply: the client's TTL is what remains, at most an hour", "[dnsproxy]") {
  const auto [ttl, age, expected] = GENERATE(table<std::uint32_t, std::uint32_t, std::string>({
      {60, 0, "60"},
      {60, 59, "1"},
      {60, 60, "0"},
      {60, 100, "0"},
      {86400, 0, "3600"},
      {86400, 84400, "2000"},
      {0, 0, "0"},
  }));
  const Answer answer = answer_of("a.example", kTypeA, {a_record("a.example", "192.0.2.1", ttl)});
  CHECK(written(query_for("a.example"), {.answer = &answer, .dropped = {}, .age_s = age}).answers[0] ==
        "a.example. " + expected + " IN A 192.0.2.1");
}

std::vector<TestRecord> addresses_of(std::string_view name, int count) {
  std::vector<TestRecord> records;
  for (int i = 0; i < count; ++i) {
    records.push_back(a_record(name, "198.51.100." + std::to_string(i)));
  }
  return records;
}

TEST_CASE("reply: truncated after whole records, chain first", "[dnsproxy]") {
  auto records = addresses_of("cdn.example.net", 60);
  records.push_back(cname_record("www.example.com", "cdn.example.net"));
  const Answer answer = answer_of("www.example.com", kTypeA, records);
  const AnswerView view{.answer = &answer, .dropped = {}};
  const Reply small = written(query_for("www.example.com"), view);
  CHECK(small.truncated);
  CHECK(small.answers.size() == 29);  // the CNAME, and (512 - 33 of header and question - 29 of the CNAME) / 16
  CHECK(small.answers[0] == "www.example.com. 60 IN CNAME cdn.example.net.");
  CHECK(small.answers[28] == "cdn.example.net. 60 IN A 198.51.100.27");
  const Reply large = written(edns_query_for("www.example.com"), view, 1232);
  CHECK_FALSE(large.truncated);
  CHECK(large.answers.size() == 61);
  for (std::size_t limit = 33; limit <= 1100; ++limit) {
    const Reply some = written(query_for("www.example.com"), view, limit);
    CHECK(some.truncated == (some.answers.size() < 61));
    CHECK((limit < 33 + 29 + 16 || some.answers.size() >= 2));  // an address whenever one fits
  }
}

TEST_CASE("reply: with EDNS the limit holds for OPT too", "[dnsproxy]") {
  const Answer answer = answer_of("a.example", kTypeA, addresses_of("a.example", 100));
  for (std::size_t limit = 38; limit <= 1232; limit += 7) {
    CHECK(written(edns_query_for("a.example"), {.answer = &answer, .dropped = {}}, limit).has_opt);
  }
}

TEST_CASE("reply: signatures give way to addresses", "[dnsproxy]") {
  const Answer answer = answer_of("a.example", kTypeA,
                                  {cname_record("a.example", "b.example"), rrsig_record("a.example", kTypeCname, 400),
                                   a_record("b.example", "192.0.2.1"), rrsig_record("b.example", kTypeA, 400)});
  const auto query = edns_query_for("a.example", kTypeA, {.dnssec_ok = true});
  const AnswerView view{.answer = &answer, .dropped = {}};
  const Reply small = written(query, view, 300);
  CHECK(small.truncated);
  CHECK(small.answers.size() == 2);
  CHECK(small.answers[1] == "b.example. 60 IN A 192.0.2.1");
  CHECK(written(query, view, 1232).answers.size() == 4);
}

TEST_CASE("reply: AD only when nothing was changed and the client wants to know", "[dnsproxy]") {
  const Answer answer = answer_of(
      "a.example", kTypeA,
      {a_record("a.example", "192.0.2.1"), a_record("a.example", "192.0.2.2"), rrsig_record("a.example", kTypeA)},
      true);
  AnswerView view{.answer = &answer, .dropped = {}};
  const auto dnssec = edns_query_for("a.example", kTypeA, {.dnssec_ok = true});
  TestMessage wants = query_for("a.example");
  wants.flags |= 0x20;
  CHECK(written(dnssec, view).authentic);
  CHECK(written(wants, view).authentic);
  CHECK_FALSE(written(query_for("a.example"), view).authentic);
  CHECK(written(dnssec, view).answers.size() == 3);
  view.dropped.set(0);
  CHECK_FALSE(written(dnssec, view).authentic);
  CHECK(written(dnssec, view).answers == std::vector<std::string>{"a.example. 60 IN A 192.0.2.2"});
  // An upstream's stray record counts as a change too.
  const Answer reduced =
      answer_of("a.example", kTypeA, {a_record("a.example", "192.0.2.1"), a_record("x.example", "192.0.2.9")}, true);
  CHECK_FALSE(written(dnssec, {.answer = &reduced, .dropped = {}}).authentic);
}

TEST_CASE("reply: RD and CD are the query's", "[dnsproxy]") {
  const Answer answer = answer_of("a.example", kTypeA, {a_record("a.example", "192.0.2.1")});
  TestMessage query = query_for("a.example");
  query.flags = 0x0010;
  const Reply reply = written(query, {.answer = &answer, .dropped = {}});
  CHECK_FALSE(reply.recursion_desired);
  CHECK(reply.checking_disabled);
}

Reply denial(const TestMessage& query, std::uint8_t rcode, const std::string& text = "ask #platform") {
  std::vector<std::uint8_t> buffer(kMessageMax);
  const std::size_t size = write_denial(query_of(query), rcode, make_denial_tail(text), buffer);
  return read_reply({reinterpret_cast<const char*>(buffer.data()), size});
}

TEST_CASE("reply: the one denial", "[dnsproxy]") {
  const Reply plain = denial(query_for("Evil.example.net", kTypeAaaa), kRcodeNoError);
  CHECK(plain.is_nodata_denial());
  CHECK(plain.question == "Evil.example.net. IN AAAA");
  CHECK_FALSE(plain.has_opt);
  const Reply edns = denial(edns_query_for("evil.example.net", kTypeA, {.dnssec_ok = true}), kRcodeNxDomain);
  CHECK(edns.is_nxdomain_denial());
  CHECK(edns.ede == 15);
  CHECK(edns.ede_text == "ask #platform");
  CHECK(edns.dnssec_ok);
}

TEST_CASE("reply: the longest denial fits into 512 bytes", "[dnsproxy]") {
  std::string longest;
  for (int i = 0; i < 126; ++i) {
    longest += "x.";
  }
  longest += "x";
  const Reply reply = denial(edns_query_for(longest), kRcodeNoError, std::string(120, 'x'));
  CHECK(reply.is_nodata_denial());
  CHECK(reply.size <= 512);
}

TEST_CASE("reply: failures", "[dnsproxy]") {
  std::vector<std::uint8_t> buffer(kMessageMax);
  const auto failure = [&](const TestMessage& query, std::uint8_t rcode) {
    const std::size_t size = write_failure(query_of(query), rcode, kEdeNetworkError, "upstream failed", buffer);
    return read_reply({reinterpret_cast<const char*>(buffer.data()), size});
  };
  const Reply plain = failure(query_for("a.example"), kRcodeServFail);
  CHECK(plain.rcode == 2);
  CHECK(plain.question == "a.example. IN A");
  CHECK_FALSE(plain.has_opt);
  const Reply edns = failure(edns_query_for("a.example"), kRcodeServFail);
  CHECK(edns.ede == 23);
  CHECK(edns.ede_text == "upstream failed");
  CHECK(failure(edns_query_for("a.example"), kRcodeBadVers).rcode == 16);
}

TEST_CASE("reply: a header alone repeats id, RD and opcode", "[dnsproxy]") {
  std::vector<std::uint8_t> buffer(kMessageMax);
  TestMessage query = query_for("a.example");
  query.flags = 5 << 11 | 0x0100;
  Query read;
  REQUIRE(parse_query(bytes_of(query.bytes()), read) == QueryVerdict::kNotImp);
  const std::size_t size = write_header_only(read, kRcodeNotImp, buffer);
  CHECK(std::string(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size)) ==
        std::string("\x12\x34\xa9\x84\0\0\0\0\0\0\0\0", 12));
}

TEST_CASE("reply: what does not fit into the buffer is not sent in half", "[dnsproxy]") {
  std::array<std::uint8_t, 40> small;
  CHECK(write_denial(query_of(query_for("a.example")), kRcodeNoError, make_denial_tail("x"), small) == 0);
  CHECK(write_failure(query_of(edns_query_for("a.example")), kRcodeServFail, 0, "xxxxxxxxxxxxx", small) == 0);
}

}  // namespace
}  // namespace postern::testing
