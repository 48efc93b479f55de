// SPDX-License-Identifier: Apache-2.0
//
// Our reader of names and answers against ldns on many made-up messages. ldns is more lenient
// (pointers anywhere, several OPT), so the claim goes one way: what we take, it takes, and it reads the same.
#include <stdbool.h>  // without it ldns.h defines bool, true and false as macros

#include <ldns/ldns.h>

#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <random>

#include "dns_reply.h"
#include "dnsproxy/answer.h"
#include "tests/support/resolver_lab.h"

namespace postern::testing {
namespace {

using Random = std::mt19937;

std::string random_label(Random& random) {
  std::string label(1 + random() % 5, 'a');
  for (char& c : label) {
    c = static_cast<char>((random() % 2 == 0 ? 'a' : 'A') + random() % 26);
  }
  return label;
}

std::string random_name(Random& random) {
  std::string name;
  for (std::uint32_t i = 0; i < 1 + random() % 4; ++i) {
    name += random_label(random) + ".";
  }
  return name;
}

TestRecord random_record(Random& random, const std::string& owner) {
  switch (random() % 5) {
    case 0:
      return cname_record(owner, random_name(random), static_cast<std::uint32_t>(random() % 90000));
    case 1:
      return aaaa_record(owner, "2001:db8::" + std::to_string(random() % 9000),
                         static_cast<std::uint32_t>(random() % 90000));
    case 2:
      return soa_record(owner);
    default:
      return a_record(owner, "192.0.2." + std::to_string(random() % 256), static_cast<std::uint32_t>(random() % 90000));
  }
}

/// An answer with a chain, strays in all sections and, at times, an OPT.
TestMessage random_answer(Random& random, const std::string& name) {
  TestMessage message = postern::testing::answer_for(name, kTypeA, {});
  std::string at = name;
  for (std::uint32_t i = 0; i < random() % 4; ++i) {
    const std::string next = random_name(random);
    message.answers.push_back(cname_record(at, next));
    at = next;
  }
  for (std::uint32_t i = 0; i < random() % 5; ++i) {
    message.answers.push_back(random() % 3 == 0 ? random_record(random, random_name(random))
                                                : random_record(random, at));
  }
  if (random() % 3 == 0) {
    message.authorities.push_back(random_record(random, random_name(random)));
  }
  if (random() % 3 == 0) {
    message.additionals.push_back(opt_record());
  }
  return message;
}

/// A record as ldns prints it, for comparison with the ones that it read itself.
std::string text_of_record(const AnswerRecord& record) {
  TestMessage message =
      postern::testing::answer_for(".", kTypeA, {{record.owner, record.type, record.ttl_s, record.data}});
  const Reply reply = read_reply(message.bytes());
  return reply.readable && reply.answers.size() == 1 ? reply.answers[0] : "unreadable";
}

/// damaged: ldns may refuse the message for a record that we never look into.
void check_against_ldns(const std::string& bytes, const Question& question, bool damaged) {
  Answer answer;
  if (parse_answer(bytes_of(bytes), {0x1234, question.wire(), false, &question}, {1}, answer) !=
      AnswerVerdict::kUsable) {
    return;
  }
  const Reply seen = read_reply(bytes);
  if (damaged && !seen.readable) {
    return;
  }
  REQUIRE(seen.readable);
  // Without TTLs: absurd ones are 0 for us, long ones a day.
  const auto without_ttl = [](const std::string& text) {
    const std::size_t at = text.find(' ');
    return text.substr(0, at) + text.substr(std::min(text.find(' ', at + 1), text.size()));
  };
  for (const AnswerRecord& record : answer.records) {
    const std::string text = without_ttl(text_of_record(record));
    INFO(text);
    CHECK(std::ranges::find(seen.answers, text, without_ttl) != seen.answers.end());
  }
  CHECK((answer.reduced || answer.records.size() == seen.answers.size()));
}

TEST_CASE("ldns: what we learn of an answer, it reads in the same message", "[dnsproxy]") {
  Random random(1);
  for (int i = 0; i < 3000; ++i) {
    const std::string name = random_name(random);
    check_against_ldns(random_answer(random, name).bytes(), {wire_name(name), kTypeA, false, false}, false);
  }
}

TEST_CASE("ldns: likewise when bytes of it were changed", "[dnsproxy]") {
  Random random(2);
  for (int i = 0; i < 6000; ++i) {
    const std::string name = random_name(random);
    std::string bytes = random_answer(random, name).bytes();
    for (std::uint32_t change = 0; change < 1 + random() % 3; ++change) {
      bytes[12 + random() % (bytes.size() - 12)] = static_cast<char>(random() % 4 == 0 ? 0xc0 : random());
    }
    check_against_ldns(bytes, {wire_name(name), kTypeA, false, false}, true);
  }
}

TEST_CASE("ldns: names", "[dnsproxy]") {
  Random random(3);
  int taken = 0;
  for (int i = 0; i < 30000; ++i) {
    std::string message(12, '\0');
    for (std::uint32_t piece = 0; piece < 1 + random() % 4; ++piece) {
      switch (random() % 4) {
        case 0:
          message += std::string("\xc0") + static_cast<char>(random() % 32);
          break;
        case 1:
          message += '\0';
          break;
        default: {
          const std::string label = random_label(random);
          message += static_cast<char>(label.size());
          message += label;
        }
      }
    }
    message += wire_name("end");
    const std::size_t at = 12 + random() % 4;
    WireReader reader(bytes_of(message), at);
    NameBuffer name;
    if (!reader.name(name)) {
      continue;
    }
    ++taken;
    std::size_t position = at;
    ldns_rdf* read = nullptr;
    REQUIRE(ldns_wire2dname(&read, reinterpret_cast<const std::uint8_t*>(message.data()), message.size(), &position) ==
            LDNS_STATUS_OK);
    const std::unique_ptr<ldns_rdf, decltype(&ldns_rdf_deep_free)> owned(read, &ldns_rdf_deep_free);
    CHECK(position == reader.position());
    CHECK(std::string(reinterpret_cast<const char*>(ldns_rdf_data(read)), ldns_rdf_size(read)) ==
          std::string(name.wire().begin(), name.wire().end()));
  }
  CHECK(taken > 5000);
}

}  // namespace
}  // namespace postern::testing
