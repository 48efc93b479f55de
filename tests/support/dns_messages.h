// SPDX-License-Identifier: Apache-2.0
//
// DNS messages as the tests write them: by hand, byte for byte, with none of the code under test, and
// as wrong as a test wants them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"

namespace postern::testing {

inline std::string u16(std::size_t value) { return {static_cast<char>(value >> 8), static_cast<char>(value)}; }
inline std::string u32(std::uint32_t value) { return u16(value >> 16) + u16(value & 0xffff); }

/// "Api.example.com" as labels, with its case. "" or "." is the root. A label cannot hold a dot here.
inline std::string wire_name(std::string_view text) {
  std::string wire;
  while (!text.empty() && text != ".") {
    const std::size_t dot = std::min(text.find('.'), text.size());
    wire += static_cast<char>(dot);
    wire += text.substr(0, dot);
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return wire + '\0';
}

/// The 4 or 16 bytes of an address in an A or AAAA record.
inline std::string address_data(std::string_view text) {
  const Address address = Address::parse(text).value();
  return text.find(':') == std::string_view::npos
             ? std::string(reinterpret_cast<const char*>(address.v4()), 4)
             : std::string(reinterpret_cast<const char*>(address.bytes.data()), 16);
}

struct TestRecord {
  std::string owner;  ///< Wire; may be a compression pointer.
  std::uint16_t type = 0;
  std::uint32_t ttl_s = 0;
  std::string data;
  std::uint16_t rclass = 1;

  std::string bytes() const { return owner + u16(type) + u16(rclass) + u32(ttl_s) + u16(data.size()) + data; }
};

inline TestRecord a_record(std::string_view owner, std::string_view address, std::uint32_t ttl_s = 60) {
  return {wire_name(owner), 1, ttl_s, address_data(address)};
}
inline TestRecord aaaa_record(std::string_view owner, std::string_view address, std::uint32_t ttl_s = 60) {
  return {wire_name(owner), 28, ttl_s, address_data(address)};
}
inline TestRecord cname_record(std::string_view owner, std::string_view target, std::uint32_t ttl_s = 60) {
  return {wire_name(owner), 5, ttl_s, wire_name(target)};
}
inline TestRecord soa_record(std::string_view zone, std::uint32_t ttl_s = 300, std::uint32_t minimum_s = 60) {
  return {wire_name(zone), 6, ttl_s,
          wire_name("ns." + std::string(zone)) + wire_name("admin." + std::string(zone)) + u32(1) + u32(3600) +
              u32(600) + u32(86400) + u32(minimum_s)};
}
/// A signature over a type; its bytes are the test's only.
inline TestRecord rrsig_record(std::string_view owner, std::uint16_t covered, std::size_t signature_bytes = 64) {
  return {wire_name(owner), 46, 60,
          u16(covered) + std::string("\x0d\x02", 2) + u32(60) + u32(2'000'000'000) + u32(1'700'000'000) + u16(4711) +
              wire_name("example.com") + std::string(signature_bytes, 's')};
}

struct OptOptions {
  std::uint16_t payload = 1232;
  std::uint8_t extended_rcode = 0;
  std::uint8_t version = 0;
  bool dnssec_ok = false;
  std::string data = {};  ///< Options as they stand.
};

inline TestRecord opt_record(const OptOptions& options = {}) {
  return {std::string(1, '\0'), 41,
          static_cast<std::uint32_t>(options.extended_rcode) << 24 | static_cast<std::uint32_t>(options.version) << 16 |
              (options.dnssec_ok ? 0x8000u : 0u),
          options.data, options.payload};
}

struct TestQuestion {
  std::string name;  ///< Wire.
  std::uint16_t type = 1;
  std::uint16_t qclass = 1;

  std::string bytes() const { return name + u16(type) + u16(qclass); }
};

struct TestMessage {
  std::uint16_t id = 0x1234;
  std::uint16_t flags = 0x0100;  ///< RD
  std::vector<TestQuestion> questions;
  std::vector<TestRecord> answers;
  std::vector<TestRecord> authorities;
  std::vector<TestRecord> additionals;
  std::string trailing;

  std::string bytes() const {
    std::string message = u16(id) + u16(flags) + u16(questions.size()) + u16(answers.size()) + u16(authorities.size()) +
                          u16(additionals.size());
    for (const TestQuestion& question : questions) {
      message += question.bytes();
    }
    for (const auto* section : {&answers, &authorities, &additionals}) {
      for (const TestRecord& record : *section) {
        message += record.bytes();
      }
    }
    return message + trailing;
  }
};

/// A query with one question, as a stub sends it.
inline TestMessage query_for(std::string_view name, std::uint16_t type = 1) {
  TestMessage query;
  query.questions = {{wire_name(name), type}};
  return query;
}

/// The same with EDNS.
inline TestMessage edns_query_for(std::string_view name, std::uint16_t type = 1, const OptOptions& options = {}) {
  TestMessage query = query_for(name, type);
  query.additionals = {opt_record(options)};
  return query;
}

/// An answer to a question, as an upstream sends it.
inline TestMessage answer_for(std::string_view name, std::uint16_t type, std::vector<TestRecord> answers) {
  TestMessage message = query_for(name, type);
  message.flags = 0x8180;
  message.answers = std::move(answers);
  return message;
}

}  // namespace postern::testing
