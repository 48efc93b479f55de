// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/reply.h"

#include <algorithm>

namespace postern {
namespace {

constexpr std::uint16_t kQuestionPointer = 0xc000 | kHeaderSize;
constexpr std::size_t kOptSize = 11;
constexpr std::size_t kOptFlagsOffset = 7;  // root owner, type, payload, extended rcode, version

Bytes bytes_of(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

std::uint16_t header_flags(const Query& query, std::uint8_t rcode, std::uint16_t more = 0) {
  return static_cast<std::uint16_t>(kFlagQr | kFlagRa | (query.recursion_desired ? kFlagRd : 0) |
                                    (query.checking_disabled ? kFlagCd : 0) | (rcode & 0x0f) | more);
}

/// Header with one question and the counts given.
void write_head(WireWriter& writer,
                const Query& query,
                std::uint16_t flags,
                std::uint16_t answers,
                std::uint16_t authorities,
                std::uint16_t additionals) {
  writer.u16(query.id);
  writer.u16(flags);
  writer.u16(1);
  writer.u16(answers);
  writer.u16(authorities);
  writer.u16(additionals);
  writer.bytes(query.name.wire());
  writer.u16(query.type);
  writer.u16(query.qclass);
}

void write_opt(WireWriter& writer, const Query& query, std::uint8_t extended_rcode, std::uint16_t data_size) {
  writer.u8(0);
  writer.u16(kTypeOpt);
  writer.u16(kUdpPayload);
  writer.u8(extended_rcode);
  writer.u8(0);
  writer.u16(query.dnssec_ok ? kFlagDo : 0);
  writer.u16(data_size);
}

std::size_t finish(const WireWriter& writer) { return writer.ok() ? writer.size() : 0; }

/// Writes records, shortening names that the message already holds: the question, anything the
/// question ends in, and the target of the CNAME before (RFC 1035 4.1.4).
class RecordWriter {
 public:
  RecordWriter(WireWriter& writer, const Query& query) : writer_(writer), query_(query) {}

  /// True when the whole record fit; else the message is as before.
  bool write(const AnswerRecord& record, std::uint32_t ttl_s) {
    const std::size_t start = writer_.size();
    name(bytes_of(record.owner));
    writer_.u16(record.type);
    writer_.u16(kClassIn);
    writer_.u32(ttl_s);
    const std::size_t length_at = writer_.size();
    writer_.u16(0);
    const std::size_t data_at = writer_.size();
    writer_.bytes(bytes_of(record.data));
    if (!writer_.ok()) {
      writer_.rewind(start);
      return false;
    }
    writer_.set_u16(length_at, static_cast<std::uint16_t>(writer_.size() - data_at));
    if (record.type == kTypeCname && data_at < 0x4000) {
      target_ = bytes_of(record.data);
      target_at_ = data_at;
    }
    return true;
  }

 private:
  void name(Wire wire) {
    const Wire question = query_.name.wire();
    if (is_ancestor(wire, question)) {
      writer_.u16(static_cast<std::uint16_t>(kQuestionPointer + (question.size() - wire.size())));
    } else if (!target_.empty() && equal_names(wire, target_)) {
      writer_.u16(static_cast<std::uint16_t>(0xc000 | target_at_));
    } else {
      writer_.bytes(wire);
    }
  }

  WireWriter& writer_;
  const Query& query_;
  Bytes target_;
  std::size_t target_at_ = 0;
};

}  // namespace

std::size_t write_answer(const Query& query,
                         const AnswerView& view,
                         std::size_t limit,
                         std::span<std::uint8_t> buffer) {
  const Answer& answer = *view.answer;
  const std::size_t opt_size = query.has_edns ? kOptSize : 0;
  WireWriter writer(buffer.first(std::min(limit, buffer.size()) - opt_size));
  write_head(writer, query, 0, 0, 0, query.has_edns ? 1 : 0);
  RecordWriter records(writer, query);
  std::uint16_t answers = 0;
  std::uint16_t authorities = 0;
  bool truncated = false;
  for (std::size_t i = 0; i < answer.records.size() && !truncated; ++i) {
    const AnswerRecord& record = answer.records[i];
    if (view.dropped[i] || (view.changed() && record.type == kTypeRrsig && query.type != kTypeRrsig)) {
      continue;
    }
    truncated = !records.write(record, view.client_ttl_s(record.ttl_s));
    answers = static_cast<std::uint16_t>(answers + (truncated ? 0 : 1));
  }
  for (std::size_t i = 0; i < answer.authority.size() && !truncated; ++i) {
    const AnswerRecord& record = answer.authority[i];
    if (!records.write(record, view.client_ttl_s(record.ttl_s))) {
      truncated = query.dnssec_ok;  // a proof is part of the answer only for who asked for it
      break;
    }
    ++authorities;
  }
  const bool authentic = answer.authentic && !view.changed() && (query.authentic_data || query.dnssec_ok);
  writer.set_u16(2, header_flags(query, answer.rcode,
                                 static_cast<std::uint16_t>((truncated ? kFlagTc : 0) | (authentic ? kFlagAd : 0))));
  writer.set_u16(6, answers);
  writer.set_u16(8, authorities);
  if (!query.has_edns) {
    return finish(writer);
  }
  WireWriter tail(buffer.subspan(writer.size()));
  write_opt(tail, query, 0, 0);
  return finish(tail) == 0 ? 0 : writer.size() + tail.size();
}

std::size_t write_denial(const Query& query,
                         std::uint8_t rcode,
                         const DenialTail& tail,
                         std::span<std::uint8_t> buffer) {
  WireWriter writer(buffer);
  write_head(writer, query, header_flags(query, rcode), 0, 1, query.has_edns ? 1 : 0);
  writer.bytes(bytes_of(tail.soa));
  if (query.has_edns) {
    const std::size_t opt_at = writer.size();
    writer.bytes(bytes_of(tail.opt));
    if (writer.ok() && query.dnssec_ok) {
      writer.set_u16(opt_at + kOptFlagsOffset, kFlagDo);  // RFC 3225 3: copied from the query
    }
  }
  return finish(writer);
}

std::size_t write_failure(
    const Query& query, std::uint8_t rcode, std::uint16_t ede, std::string_view text, std::span<std::uint8_t> buffer) {
  WireWriter writer(buffer);
  write_head(writer, query, header_flags(query, rcode), 0, 0, query.has_edns ? 1 : 0);
  if (query.has_edns) {
    const auto option = static_cast<std::uint16_t>(2 + text.size());
    write_opt(writer, query, static_cast<std::uint8_t>(rcode >> 4), static_cast<std::uint16_t>(4 + option));
    writer.u16(15);  // the EDE option, RFC 8914 2
    writer.u16(option);
    writer.u16(ede);
    writer.bytes({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  }
  return finish(writer);
}

std::size_t write_header_only(const Query& query, std::uint8_t rcode, std::span<std::uint8_t> buffer) {
  WireWriter writer(buffer);
  writer.u16(query.id);
  writer.u16(header_flags(query, rcode, static_cast<std::uint16_t>(query.opcode << 11)));  // RFC 1035 4.1.1: copied
  for (int i = 0; i < 4; ++i) {
    writer.u16(0);
  }
  return finish(writer);
}

std::size_t write_single(
    const Query& query, std::uint16_t type, std::uint32_t ttl_s, Bytes data, std::span<std::uint8_t> buffer) {
  WireWriter writer(buffer);
  write_head(writer, query, header_flags(query, kRcodeNoError), 1, 0, query.has_edns ? 1 : 0);
  writer.u16(kQuestionPointer);
  writer.u16(type);
  writer.u16(kClassIn);
  writer.u32(ttl_s);
  writer.u16(static_cast<std::uint16_t>(data.size()));
  writer.bytes(data);
  if (query.has_edns) {
    write_opt(writer, query, 0, 0);
  }
  return finish(writer);
}

}  // namespace postern
