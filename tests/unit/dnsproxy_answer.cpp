// SPDX-License-Identifier: Apache-2.0
//
// What is accepted from an upstream, and what is learnt of it.
#include "dnsproxy/answer.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <functional>

#include "tests/support/resolver_lab.h"

namespace postern::testing {
namespace {

constexpr BootNs kNow{1000 * kNsPerS};

struct Parsed {
  AnswerVerdict verdict = AnswerVerdict::kFailed;
  Answer answer;

  /// "api.example.com 60 A 192.0.2.1" would be nice; owner and address alone are enough to compare.
  std::vector<std::string> addresses() const {
    std::vector<std::string> texts;
    for (const AnswerRecord& record : answer.records) {
      if (record.type == kTypeA) {
        texts.push_back(Address::from_v4(bytes_of(record.data).data()).to_string());
      }
    }
    return texts;
  }
};

Parsed parse(const TestMessage& message, const Question& question, bool case_matters = true) {
  Parsed parsed;
  const std::string bytes = message.bytes();
  parsed.verdict =
      parse_answer(bytes_of(bytes), {0x1234, question.wire(), case_matters, &question}, kNow, parsed.answer);
  return parsed;
}

Parsed parse_for(std::string_view name,
                 std::vector<TestRecord> answers,
                 std::uint16_t type = kTypeA,
                 bool dnssec_ok = false) {
  return parse(answer_for(name, type, std::move(answers)), {wire_name(name), type, dnssec_ok, false});
}

TEST_CASE("answer: a plain one", "[dnsproxy]") {
  const Parsed parsed = parse_for("api.example.com", {a_record("api.example.com", "192.0.2.1", 300),
                                                      a_record("API.example.com", "192.0.2.2", 200)});
  REQUIRE(parsed.verdict == AnswerVerdict::kUsable);
  CHECK(parsed.addresses() == std::vector<std::string>{"192.0.2.1", "192.0.2.2"});
  CHECK(parsed.answer.ttl_s == 200);
  CHECK_FALSE(parsed.answer.reduced);
  CHECK(parsed.answer.received == kNow);
}

struct HeaderRow {
  const char* what;
  std::function<void(TestMessage&)> change;
  AnswerVerdict expected;
};

TEST_CASE("answer: what makes it an answer to the question", "[dnsproxy]") {
  const auto row = GENERATE(values<HeaderRow>({
      {"it is", [](TestMessage&) {}, AnswerVerdict::kUsable},
      {"another id", [](TestMessage& m) { m.id = 1; }, AnswerVerdict::kMismatch},
      {"no response", [](TestMessage& m) { m.flags &= 0x7fff; }, AnswerVerdict::kMismatch},
      {"another opcode", [](TestMessage& m) { m.flags |= 4 << 11; }, AnswerVerdict::kMismatch},
      {"another name", [](TestMessage& m) { m.questions[0].name = wire_name("evil.example.com"); },
       AnswerVerdict::kMismatch},
      {"another case", [](TestMessage& m) { m.questions[0].name = wire_name("aPi.example.com"); },
       AnswerVerdict::kMismatch},
      {"another type", [](TestMessage& m) { m.questions[0].type = 28; }, AnswerVerdict::kMismatch},
      {"another class", [](TestMessage& m) { m.questions[0].qclass = 3; }, AnswerVerdict::kMismatch},
      {"no question", [](TestMessage& m) { m.questions.clear(); }, AnswerVerdict::kMismatch},
      {"two questions", [](TestMessage& m) { m.questions.push_back(m.questions[0]); }, AnswerVerdict::kMismatch},
      {"TC", [](TestMessage& m) { m.flags |= 0x0200; }, AnswerVerdict::kTruncated},
      {"TC, but of another id",
       [](TestMessage& m) {
         m.flags |= 0x0200;
         m.id = 1;
       },
       AnswerVerdict::kMismatch},
      {"SERVFAIL", [](TestMessage& m) { m.flags |= 2; }, AnswerVerdict::kFailed},
      {"REFUSED", [](TestMessage& m) { m.flags |= 5; }, AnswerVerdict::kFailed},
      {"FORMERR without OPT", [](TestMessage& m) { m.flags |= 1; }, AnswerVerdict::kNoEdns},
      {"NOTIMP without OPT", [](TestMessage& m) { m.flags |= 4; }, AnswerVerdict::kNoEdns},
      {"FORMERR with OPT",
       [](TestMessage& m) {
         m.flags |= 1;
         m.additionals = {opt_record()};
       },
       AnswerVerdict::kFailed},
      {"NXDOMAIN",
       [](TestMessage& m) {
         m.flags |= 3;
         m.answers.clear();
       },
       AnswerVerdict::kUsable},
      {"BADVERS, which needs OPT's bits", [](TestMessage& m) { m.additionals = {opt_record({.extended_rcode = 1})}; },
       AnswerVerdict::kFailed},
      {"two OPT",
       [](TestMessage& m) {
         m.additionals = {opt_record(), opt_record()};
       },
       AnswerVerdict::kFailed},
      {"OPT", [](TestMessage& m) { m.additionals = {opt_record({.payload = 4096})}; }, AnswerVerdict::kUsable},
      {"an A record of 5 bytes", [](TestMessage& m) { m.answers[0].data += 'x'; }, AnswerVerdict::kFailed},
      {"an A record of 3 bytes", [](TestMessage& m) { m.answers[0].data.pop_back(); }, AnswerVerdict::kFailed},
      {"a record behind the message",
       [](TestMessage& m) {
         m.answers.push_back({"\xc0\x0c\0", 1, 60, "", 1});
       },
       AnswerVerdict::kFailed},
  }));
  INFO(row.what);
  TestMessage message = answer_for("Api.example.com", kTypeA, {a_record("api.example.com", "192.0.2.1")});
  row.change(message);
  const Question question{wire_name("api.example.com"), kTypeA, false, false};
  Answer answer;
  const std::string sent = wire_name("Api.example.com");
  CHECK(parse_answer(bytes_of(message.bytes()), {0x1234, bytes_of(sent), true, &question}, kNow, answer) ==
        row.expected);
}

TEST_CASE("answer: over TCP the case of the question proves nothing", "[dnsproxy]") {
  const Question question{wire_name("api.example.com"), kTypeA, false, false};
  CHECK(parse(answer_for("API.example.com", kTypeA, {}), question, false).verdict == AnswerVerdict::kUsable);
  CHECK(parse(answer_for("API.example.com", kTypeA, {}), question, true).verdict == AnswerVerdict::kMismatch);
}

TEST_CASE("answer: cut anywhere it is refused", "[dnsproxy]") {
  TestMessage message =
      answer_for("api.example.com", kTypeA,
                 {cname_record("api.example.com", "x.example.net"), a_record("x.example.net", "192.0.2.1")});
  message.authorities = {soa_record("example.net")};
  message.additionals = {opt_record()};
  const std::string whole = message.bytes();
  const Question question{wire_name("api.example.com"), kTypeA, false, false};
  for (std::size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    Answer answer;
    CHECK(parse_answer(bytes_of(whole).first(size), {0x1234, question.wire(), true, &question}, kNow, answer) !=
          AnswerVerdict::kUsable);
  }
}

TEST_CASE("answer: the chain is followed from the question, in any order of records and any case", "[dnsproxy]") {
  const Parsed parsed = parse_for("www.example.com", {a_record("C.example.net", "192.0.2.1", 500),
                                                      cname_record("b.EXAMPLE.net", "c.example.NET", 30),
                                                      cname_record("WWW.example.com", "b.example.net", 3600)});
  REQUIRE(parsed.verdict == AnswerVerdict::kUsable);
  CHECK(parsed.addresses() == std::vector<std::string>{"192.0.2.1"});
  REQUIRE(parsed.answer.records.size() == 3);
  CHECK(parsed.answer.records[0].data == wire_name("b.example.net"));
  CHECK(parsed.answer.records[1].data == wire_name("c.example.NET"));
  CHECK(parsed.answer.ttl_s == 30);
  CHECK_FALSE(parsed.answer.reduced);
}

TEST_CASE("answer: nothing that the chain does not reach is learnt", "[dnsproxy]") {
  const Parsed parsed = parse_for(
      "www.example.com", {a_record("other.example.com", "203.0.113.1"),
                          cname_record("www.example.com", "cdn.example.net"),
                          a_record("www.example.com", "203.0.113.2"),  // beside its own CNAME
                          cname_record("other.example.net", "cdn.example.net"),
                          a_record("cdn.example.net", "192.0.2.1"),
                          {wire_name("cdn.example.net"), kTypeA, 60, address_data("203.0.113.3"), 3},  // class CH
                          aaaa_record("cdn.example.net", "2001:db8::1")});                             // not asked for
  REQUIRE(parsed.verdict == AnswerVerdict::kUsable);
  CHECK(parsed.addresses() == std::vector<std::string>{"192.0.2.1"});
  CHECK(parsed.answer.records.size() == 2);
  CHECK(parsed.answer.reduced);
}

TEST_CASE("answer: authority and additional sections teach no address", "[dnsproxy]") {
  TestMessage message = answer_for("www.example.com", kTypeA, {cname_record("www.example.com", "cdn.example.net")});
  message.authorities = {a_record("cdn.example.net", "203.0.113.1")};
  message.additionals = {a_record("cdn.example.net", "203.0.113.2"), opt_record()};
  const Parsed parsed = parse(message, {wire_name("www.example.com"), kTypeA, false, false});
  REQUIRE(parsed.verdict == AnswerVerdict::kUsable);
  CHECK(parsed.addresses().empty());
  CHECK(parsed.answer.authority.empty());
}

std::vector<TestRecord> chain_of(int hops) {
  std::vector<TestRecord> records;
  for (int i = 0; i < hops; ++i) {
    records.push_back(cname_record("h" + std::to_string(i) + ".example", "h" + std::to_string(i + 1) + ".example"));
  }
  records.push_back(a_record("h" + std::to_string(hops) + ".example", "192.0.2.1"));
  return records;
}

TEST_CASE("answer: eight hops are followed, nine and loops are not", "[dnsproxy]") {
  CHECK(parse_for("h0.example", chain_of(8)).verdict == AnswerVerdict::kUsable);
  CHECK(parse_for("h0.example", chain_of(8)).addresses().size() == 1);
  CHECK(parse_for("h0.example", chain_of(9)).verdict == AnswerVerdict::kFailed);
  CHECK(parse_for("a.example", {cname_record("a.example", "a.example")}).verdict == AnswerVerdict::kFailed);
  CHECK(parse_for("a.example", {cname_record("a.example", "b.example"), cname_record("b.example", "a.example")})
            .verdict == AnswerVerdict::kFailed);
}

TEST_CASE("answer: a question for the CNAME itself is not followed", "[dnsproxy]") {
  const Parsed parsed = parse_for(
      "www.example.com", {cname_record("www.example.com", "cdn.example.net"), a_record("cdn.example.net", "192.0.2.1")},
      kTypeCname);
  REQUIRE(parsed.verdict == AnswerVerdict::kUsable);
  CHECK(parsed.answer.records.size() == 1);
  CHECK(parsed.answer.ttl_s == 60);
}

TEST_CASE("answer: TTLs", "[dnsproxy]") {
  const auto [ttl, kept] = GENERATE(table<std::uint32_t, std::uint32_t>({
      {0, 0},
      {1, 1},
      {86400, 86400},
      {604800, 86400},
      {0x7fffffff, 86400},
      {0x80000000, 0},
      {0xffffffff, 0},
  }));
  CHECK(parse_for("a.example", {a_record("a.example", "192.0.2.1", ttl)}).answer.ttl_s == kept);
}

TEST_CASE("answer: how long a negative one lasts", "[dnsproxy]") {
  const auto ttl_of = [](std::vector<TestRecord> authority, std::vector<TestRecord> answers = {}) {
    TestMessage message = answer_for("a.b.example", kTypeA, std::move(answers));
    message.authorities = std::move(authority);
    return parse(message, {wire_name("a.b.example"), kTypeA, false, false}).answer.ttl_s;
  };
  CHECK(ttl_of({soa_record("example", 300, 60)}) == 60);
  CHECK(ttl_of({soa_record("example", 30, 60)}) == 30);
  CHECK(ttl_of({soa_record(".", 300, 900)}) == 300);
  CHECK(ttl_of({}) == 0);
  CHECK(ttl_of({soa_record("b.evil.example", 300, 300)}) == 0);  // not a zone of this name
  CHECK(ttl_of({soa_record("example", 300, 60)}, {cname_record("a.b.example", "x.other", 300)}) ==
        0);  // nor of the chain's end
  CHECK(ttl_of({soa_record("other", 300, 60)}, {cname_record("a.b.example", "x.other", 20)}) == 20);
}

TEST_CASE("answer: a malformed SOA or CNAME", "[dnsproxy]") {
  TestMessage message = answer_for("a.example", kTypeA, {});
  message.authorities = {soa_record("example")};
  message.authorities[0].data += 'x';
  const Question question{wire_name("a.example"), kTypeA, false, false};
  CHECK(parse(message, question).verdict == AnswerVerdict::kFailed);
  message.authorities[0].data = "x";
  CHECK(parse(message, question).verdict == AnswerVerdict::kFailed);
  TestRecord cname = cname_record("a.example", "b.example");
  cname.data += 'x';
  CHECK(parse_for("a.example", {cname}).verdict == AnswerVerdict::kFailed);
  cname.data = "\xc0\xff";
  CHECK(parse_for("a.example", {cname}).verdict == AnswerVerdict::kFailed);
}

TEST_CASE("answer: compressed names in it are written out", "[dnsproxy]") {
  TestRecord cname = cname_record("a.example", ".");
  cname.owner = "\xc0\x0c";
  cname.data = "\1b\xc0\x0e";  // b.example, by the question's second label
  TestRecord address = a_record(".", "192.0.2.1");
  address.owner = "\1b\xc0\x0e";
  const Parsed parsed = parse_for("a.example", {cname, address});
  REQUIRE(parsed.verdict == AnswerVerdict::kUsable);
  CHECK(parsed.answer.records[0].data == wire_name("b.example"));
  CHECK(parsed.answer.records[1].owner == wire_name("b.example"));
}

TEST_CASE("answer: signatures only for who asked, behind everything else", "[dnsproxy]") {
  const std::vector<TestRecord> records = {rrsig_record("a.example", kTypeCname),
                                           cname_record("a.example", "b.example"), rrsig_record("b.example", kTypeA),
                                           rrsig_record("b.example", kTypeAaaa), a_record("b.example", "192.0.2.1")};
  const auto types = [](const Parsed& parsed) {
    std::vector<int> all;
    for (const AnswerRecord& record : parsed.answer.records) {
      all.push_back(record.type);
    }
    return all;
  };
  CHECK(types(parse_for("a.example", records, kTypeA, true)) == std::vector<int>{5, 1, 46, 46});
  CHECK(types(parse_for("a.example", records, kTypeA, false)) == std::vector<int>{5, 1});
}

TEST_CASE("answer: proofs of a negative answer only for who asked", "[dnsproxy]") {
  TestMessage message = answer_for("a.example", kTypeA, {});
  message.authorities = {soa_record("example"),
                         rrsig_record("example", kTypeSoa),
                         {wire_name("a.example"), kTypeNsec, 60, wire_name("b.example") + std::string("\0\1\x40", 3)},
                         rrsig_record("a.example", kTypeNsec),
                         rrsig_record("example", 2)};
  CHECK(parse(message, {wire_name("a.example"), kTypeA, true, false}).answer.authority.size() == 4);
  CHECK(parse(message, {wire_name("a.example"), kTypeA, false, false}).answer.authority.size() == 1);
}

TEST_CASE("answer: more records than any honest answer has are refused", "[dnsproxy]") {
  std::vector<TestRecord> many(Answer::kRecordsMax, a_record("a.example", "192.0.2.1"));
  CHECK(parse_for("a.example", many).verdict == AnswerVerdict::kUsable);
  many.push_back(many[0]);
  CHECK(parse_for("a.example", many).verdict == AnswerVerdict::kFailed);
}

TEST_CASE("answer: a count in the header allocates nothing", "[dnsproxy]") {
  std::string bytes = answer_for("a.example", kTypeA, {}).bytes();
  bytes.replace(6, 2, "\xff\xff");
  const Question question{wire_name("a.example"), kTypeA, false, false};
  Answer answer;
  CHECK(parse_answer(bytes_of(bytes), {0x1234, question.wire(), true, &question}, kNow, answer) ==
        AnswerVerdict::kFailed);
}

TEST_CASE("answer: the query that we send", "[dnsproxy]") {
  const Question question{wire_name("api.example.com"), kTypeAaaa, true, true};
  const std::string sent = wire_name("aPi.eXample.com");
  std::array<std::uint8_t, 512> buffer;
  const std::size_t size = write_upstream_query({0xabcd, bytes_of(sent), true, &question}, true, buffer);
  TestMessage expected = edns_query_for("aPi.eXample.com", kTypeAaaa, {.dnssec_ok = true});
  expected.id = 0xabcd;
  expected.flags = 0x0130;  // RD, AD, CD
  CHECK(std::string(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size)) == expected.bytes());
  expected.additionals.clear();
  const std::size_t plain = write_upstream_query({0xabcd, bytes_of(sent), true, &question}, false, buffer);
  CHECK(std::string(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(plain)) == expected.bytes());
}

}  // namespace
}  // namespace postern::testing
