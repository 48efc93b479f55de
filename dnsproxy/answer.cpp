// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/answer.h"

#include <algorithm>

#include "dnsproxy/keyed_hash.h"

namespace postern {
namespace {

constexpr std::uint32_t kTtlMax = 86400;

struct RawRecord {
  NameBuffer owner;
  std::uint16_t type = 0;
  std::uint16_t rclass = 0;
  std::uint32_t ttl_s = 0;  // as it stands; OPT keeps other things there
  std::size_t data_at = 0;
  Bytes data;
};

Wire wire_of(const std::string& bytes) { return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}; }
std::string string_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

bool read_record(WireReader& reader, RawRecord& record) {
  std::uint16_t length = 0;
  if (!reader.name(record.owner) || !reader.u16(record.type) || !reader.u16(record.rclass) ||
      !reader.u32(record.ttl_s) || !reader.u16(length)) {
    return false;
  }
  record.data_at = reader.position();
  return reader.bytes(length, record.data);
}

/// One compressed name that is the whole RDATA.
bool read_name_data(Bytes message, const RawRecord& record, std::string& data) {
  NameBuffer name;
  WireReader reader(message, record.data_at);
  if (!reader.name(name) || reader.position() != record.data_at + record.data.size()) {
    return false;
  }
  data = string_of(name.wire());
  return true;
}

/// MNAME, RNAME and five numbers (RFC 1035 3.3.13).
bool read_soa_data(Bytes message, const RawRecord& record, std::string& data) {
  NameBuffer mname;
  NameBuffer rname;
  Bytes numbers;
  WireReader reader(message, record.data_at);
  if (!reader.name(mname) || !reader.name(rname) || !reader.bytes(20, numbers) ||
      reader.position() != record.data_at + record.data.size()) {
    return false;
  }
  data = string_of(mname.wire()) + string_of(rname.wire()) + string_of(numbers);
  return true;
}

/// A record in the form the cache holds. False when its RDATA is malformed.
bool unpack(Bytes message, const RawRecord& raw, AnswerRecord& record) {
  const bool absurd = (raw.ttl_s & 0x80000000u) != 0;  // means 0, RFC 2181 8
  record = {string_of(raw.owner.wire()), raw.type, absurd ? 0 : std::min(raw.ttl_s, kTtlMax), {}};
  switch (raw.type) {
    case kTypeA:
      record.data = string_of(raw.data);
      return raw.data.size() == 4;
    case kTypeAaaa:
      record.data = string_of(raw.data);
      return raw.data.size() == 16;
    case kTypeCname:
      return read_name_data(message, raw, record.data);
    case kTypeSoa:
      return read_soa_data(message, raw, record.data);
    default:
      record.data = string_of(raw.data);  // DNSSEC records: never compressed (RFC 4034 3.1.7, 4.1.1)
      return true;
  }
}

/// The type that a signature covers is its first field (RFC 4034 3.1).
std::uint16_t covered_type(const RawRecord& record) {
  return record.data.size() < 2 ? std::uint16_t{0} : static_cast<std::uint16_t>(record.data[0] << 8 | record.data[1]);
}

class Reduction {
 public:
  Reduction(Bytes message, const Question& question, std::vector<RawRecord> section, Answer& answer)
      : message_(message), question_(question), section_(std::move(section)), answer_(answer) {}

  /// Follows the chain from the question and takes what lies on it: first the chain, then what it leads
  /// to, then all signatures, so that these are what a short reply goes without. False: malformed.
  bool run() {
    std::string at = question_.name;
    for (int hops = 0;; ++hops) {
      const RawRecord* cname = question_.type == kTypeCname ? nullptr : find_cname(at);
      if (cname == nullptr) {
        break;
      }
      if (hops == Answer::kHopsMax || !take(*cname)) {
        return false;
      }
      at = answer_.records.back().data;
    }
    const std::size_t hops = answer_.records.size();
    for (const RawRecord& record : section_) {
      if (record.type == question_.type && belongs(record, at) && !take(record)) {
        return false;
      }
    }
    for (std::size_t i = 0; i < hops; ++i) {
      if (!take_signatures(std::string(answer_.records[i].owner), kTypeCname)) {
        return false;
      }
    }
    if (!take_signatures(at, question_.type)) {
      return false;
    }
    answer_.reduced = answer_.records.size() != section_.size();
    end_ = std::move(at);
    return true;
  }
  /// Wire, where the chain ended.
  const std::string& end() const { return end_; }

 private:
  bool belongs(const RawRecord& record, const std::string& owner) const {
    return record.rclass == kClassIn && equal_names(record.owner.wire(), wire_of(owner));
  }
  const RawRecord* find_cname(const std::string& owner) const {
    const auto found = std::ranges::find_if(
        section_, [&](const RawRecord& record) { return record.type == kTypeCname && belongs(record, owner); });
    return found == section_.end() ? nullptr : &*found;
  }
  bool take(const RawRecord& raw) { return unpack(message_, raw, answer_.records.emplace_back()); }
  bool take_signatures(const std::string& owner, std::uint16_t type) {
    return std::ranges::all_of(section_, [&](const RawRecord& record) {
      const bool wanted =
          question_.dnssec_ok && record.type == kTypeRrsig && belongs(record, owner) && covered_type(record) == type;
      return !wanted || take(record);
    });
  }

  Bytes message_;
  const Question& question_;
  std::vector<RawRecord> section_;
  Answer& answer_;
  std::string end_;
};

bool read_section(WireReader& reader, std::uint16_t count, std::vector<RawRecord>& section) {
  for (std::uint16_t i = 0; i < count; ++i) {
    if (section.size() == Answer::kRecordsMax || !read_record(reader, section.emplace_back())) {
      return false;
    }
  }
  return true;
}

/// The five numbers at the end of an SOA's RDATA; MINIMUM is the last.
std::uint32_t soa_minimum_s(const AnswerRecord& soa) {
  WireReader reader(wire_of(soa.data), soa.data.size() - 4);
  std::uint32_t minimum_s = 0;
  reader.u32(minimum_s);
  return minimum_s;
}

/// The SOA of a zone that `end` lies in, with the time it lends to a negative answer (RFC 2308 3 and 5),
/// and with DO the records that prove it.
bool take_authority(Bytes message,
                    const Question& question,
                    const std::string& end,
                    const std::vector<RawRecord>& section,
                    Answer& answer) {
  bool has_soa = false;
  for (const RawRecord& raw : section) {
    const bool soa = raw.type == kTypeSoa && !has_soa && is_ancestor(raw.owner.wire(), wire_of(end));
    const std::uint16_t proved = raw.type == kTypeRrsig ? covered_type(raw) : raw.type;
    const bool proof = question.dnssec_ok &&
                       (proved == kTypeNsec || proved == kTypeNsec3 || (proved == kTypeSoa && raw.type == kTypeRrsig));
    if (raw.rclass != kClassIn || (!soa && !proof)) {
      continue;
    }
    AnswerRecord& record = answer.authority.emplace_back();
    if (!unpack(message, raw, record)) {
      return false;
    }
    if (soa) {
      has_soa = true;
      record.ttl_s = std::min(record.ttl_s, soa_minimum_s(record));
    }
  }
  return true;
}

/// The least TTL of the chain; of a negative answer, the SOA's too. A negative one without SOA: 0.
std::uint32_t lifetime(const Answer& answer, const Question& question) {
  std::uint32_t ttl = kTtlMax;
  bool positive = false;
  for (const AnswerRecord& record : answer.records) {
    ttl = std::min(ttl, record.ttl_s);
    positive = positive || record.type == question.type;
  }
  if (positive) {
    return ttl;
  }
  const auto soa = std::ranges::find(answer.authority, kTypeSoa, &AnswerRecord::type);
  return soa == answer.authority.end() ? 0 : std::min(ttl, soa->ttl_s);
}

/// The upper bits of the rcode, which an OPT record has (RFC 6891 6.1.3). False: more than one.
bool read_extended_rcode(const std::vector<RawRecord>& section, std::uint32_t& extended) {
  const auto is_opt = [](const RawRecord& record) { return record.type == kTypeOpt; };
  const auto found = std::ranges::find_if(section, is_opt);
  extended = found == section.end() ? 0 : found->ttl_s >> 24;
  return std::ranges::count_if(section, is_opt) <= 1;
}

struct ReplyHeader {
  std::uint16_t id = 0;
  std::uint16_t flags = 0;
  std::uint16_t questions = 0;
  std::uint16_t answers = 0;
  std::uint16_t authorities = 0;
  std::uint16_t additionals = 0;
};

bool read_header(WireReader& reader, ReplyHeader& header) {
  return reader.u16(header.id) && reader.u16(header.flags) && reader.u16(header.questions) &&
         reader.u16(header.answers) && reader.u16(header.authorities) && reader.u16(header.additionals);
}

bool matches(WireReader& reader, const ReplyHeader& header, const Expectation& expected) {
  NameBuffer name;
  std::uint16_t type = 0;
  std::uint16_t qclass = 0;
  if (header.id != expected.id || (header.flags & kFlagQr) == 0 || (header.flags & 0x7800) != 0 ||
      header.questions != 1 || !reader.plain_name(name) || !reader.u16(type) || !reader.u16(qclass)) {
    return false;
  }
  const bool same_name =
      expected.case_matters ? std::ranges::equal(name.wire(), expected.name) : equal_names(name.wire(), expected.name);
  return same_name && type == expected.question->type && qclass == kClassIn;
}

}  // namespace

std::size_t QuestionHash::operator()(const Question& question) const noexcept {
  const std::size_t extra = static_cast<std::size_t>(question.type) << 2 | (question.dnssec_ok ? 2u : 0u) |
                            (question.checking_disabled ? 1u : 0u);
  return KeyedHash()(question.name) ^ (extra * 0x9e3779b97f4a7c15u);
}

std::size_t Answer::memory_bytes() const {
  std::size_t bytes = sizeof(*this);
  for (const auto* section : {&records, &authority}) {
    for (const AnswerRecord& record : *section) {
      bytes += sizeof(record) + record.owner.capacity() + record.data.capacity();
    }
  }
  return bytes;
}

AnswerVerdict parse_answer(Bytes message, const Expectation& expected, BootNs now, Answer& answer) {
  WireReader reader(message);
  ReplyHeader header;
  if (!read_header(reader, header) || !matches(reader, header, expected)) {
    return AnswerVerdict::kMismatch;
  }
  if ((header.flags & kFlagTc) != 0) {
    return AnswerVerdict::kTruncated;
  }
  answer.rcode = static_cast<std::uint8_t>(header.flags & 0x0f);
  answer.authentic = (header.flags & kFlagAd) != 0;
  answer.received = now;
  if ((answer.rcode == kRcodeFormErr || answer.rcode == kRcodeNotImp) && header.additionals == 0) {
    return AnswerVerdict::kNoEdns;
  }
  if (answer.rcode != kRcodeNoError && answer.rcode != kRcodeNxDomain) {
    return AnswerVerdict::kFailed;
  }
  std::vector<RawRecord> answers;
  std::vector<RawRecord> authorities;
  std::vector<RawRecord> additionals;  // only looked through for OPT: what else is there is nobody's answer
  std::uint32_t extended_rcode = 0;
  if (!read_section(reader, header.answers, answers) || !read_section(reader, header.authorities, authorities) ||
      !read_section(reader, header.additionals, additionals) || !read_extended_rcode(additionals, extended_rcode) ||
      extended_rcode != 0) {
    return AnswerVerdict::kFailed;
  }
  const Question& question = *expected.question;
  Reduction reduction(message, question, std::move(answers), answer);
  if (!reduction.run() || !take_authority(message, question, reduction.end(), authorities, answer)) {
    return AnswerVerdict::kFailed;
  }
  answer.ttl_s = lifetime(answer, question);
  return AnswerVerdict::kUsable;
}

std::size_t write_upstream_query(const Expectation& expected, bool edns, std::span<std::uint8_t> buffer) {
  const Question& question = *expected.question;
  WireWriter writer(buffer);
  writer.u16(expected.id);
  // AD asks for the upstream's verdict (RFC 6840 5.7), which is cached for the clients that want it.
  writer.u16(static_cast<std::uint16_t>(kFlagRd | kFlagAd | (question.checking_disabled ? kFlagCd : 0)));
  writer.u16(1);
  writer.u16(0);
  writer.u16(0);
  writer.u16(edns ? 1 : 0);
  writer.bytes(expected.name);
  writer.u16(question.type);
  writer.u16(kClassIn);
  if (edns) {
    writer.u8(0);
    writer.u16(kTypeOpt);
    writer.u16(kUdpPayload);
    writer.u16(0);  // extended rcode and version
    writer.u16(question.dnssec_ok ? kFlagDo : 0);
    writer.u16(0);
  }
  return writer.ok() ? writer.size() : 0;
}

}  // namespace postern
