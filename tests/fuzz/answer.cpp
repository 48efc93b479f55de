// SPDX-License-Identifier: Apache-2.0
//
// An upstream's bytes as the answer to whatever it says it answers. What is learnt lies on one chain
// from the question, and what is passed on is a whole message within any limit.
#include <stdbool.h>  // without it ldns.h defines bool, true and false as macros

#include <ldns/ldns.h>

#include <memory>

#include "dnsproxy/reply.h"
#include "tests/fuzz/fuzz.h"

namespace postern::testing {
namespace {

Wire wire_of(const std::string& bytes) { return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}; }

/// The question that the message repeats, so that an input need not guess it.
bool question_of(Bytes message, std::uint8_t flags, NameBuffer& sent, Question& question, std::uint16_t& id) {
  WireReader reader(message);
  Bytes counts;
  if (!reader.u16(id) || !reader.bytes(10, counts) || !reader.plain_name(sent) || !reader.u16(question.type)) {
    return false;
  }
  for (const std::uint8_t byte : sent.wire()) {
    question.name += static_cast<char>(lower(byte));
  }
  question.dnssec_ok = (flags & 1) != 0;
  return true;
}

void check_chain(const Answer& answer, const Question& question) {
  FUZZ_REQUIRE(answer.records.size() <= Answer::kRecordsMax);
  std::string at = question.name;
  for (const AnswerRecord& record : answer.records) {
    if (record.type == kTypeRrsig && question.type != kTypeRrsig) {
      FUZZ_REQUIRE(question.dnssec_ok);
      continue;
    }
    FUZZ_REQUIRE(record.type == kTypeCname || record.type == question.type);
    FUZZ_REQUIRE(equal_names(wire_of(record.owner), wire_of(at)));
    FUZZ_REQUIRE(record.type != kTypeA || record.data.size() == 4);
    FUZZ_REQUIRE(record.type != kTypeAaaa || record.data.size() == 16);
    if (record.type == kTypeCname && question.type != kTypeCname) {
      at = record.data;
    }
  }
}

void check_passed_on(const Answer& answer, const NameBuffer& name, const Question& question, std::size_t limit) {
  Query query;
  query.name = name;
  query.type = question.type;
  query.qclass = kClassIn;
  query.has_edns = (limit & 1) != 0;
  std::array<std::uint8_t, 4096> buffer;
  const std::size_t size = write_answer(query, {.answer = &answer, .dropped = {}, .age_s = 7}, limit, buffer);
  FUZZ_REQUIRE(size >= kHeaderSize && size <= limit);
  // ldns looks into the data of types that we pass on as they are, so only of ours must it be able to.
  const bool plain = question.type == kTypeA || question.type == kTypeAaaa || question.type == kTypeCname;
  if (plain && !question.dnssec_ok) {
    ldns_pkt* packet = nullptr;
    FUZZ_REQUIRE(ldns_wire2pkt(&packet, buffer.data(), size) == LDNS_STATUS_OK);
    ldns_pkt_free(packet);
  }
}

}  // namespace
}  // namespace postern::testing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  using namespace postern::testing;
  Input input(data, size);
  const std::uint8_t flags = input.u8();
  const std::size_t limit = 512 + input.u8() * 3u;
  const Bytes message = input.rest();
  NameBuffer sent;
  Question question;
  std::uint16_t id = 0;
  if (!question_of(message, flags, sent, question, id)) {
    return 0;
  }
  Answer answer;
  if (parse_answer(message, {id, sent.wire(), true, &question}, {1}, answer) != AnswerVerdict::kUsable) {
    return 0;
  }
  check_chain(answer, question);
  check_passed_on(answer, sent, question, limit);
  return 0;
}
