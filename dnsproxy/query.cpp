// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/query.h"

#include <algorithm>

namespace postern {
namespace {

/// The fixed part of an OPT record behind its root owner and type (RFC 6891 6.1.2).
bool read_opt(WireReader& reader, Query& query, std::uint8_t& version) {
  std::uint16_t payload = 0;
  std::uint16_t flags = 0;
  std::uint16_t length = 0;
  std::uint8_t extended_rcode = 0;
  Bytes options;
  if (!reader.u16(payload) || !reader.u8(extended_rcode) || !reader.u8(version) || !reader.u16(flags) ||
      !reader.u16(length) || !reader.bytes(length, options)) {
    return false;
  }
  for (WireReader inside(options); !inside.at_end();) {
    std::uint16_t code = 0;
    std::uint16_t size = 0;
    Bytes value;
    if (!inside.u16(code) || !inside.u16(size) || !inside.bytes(size, value)) {
      return false;
    }
  }
  query.has_edns = true;
  query.dnssec_ok = (flags & kFlagDo) != 0;
  query.udp_payload = static_cast<std::uint16_t>(
      std::clamp<std::size_t>(payload, kUdpPlainPayload, kUdpPayload));  // smaller means 512, RFC 6891 6.2.3
  return true;
}

}  // namespace

QueryVerdict parse_query(Bytes message, Query& query) {
  WireReader reader(message);
  std::uint16_t flags = 0;
  std::uint16_t questions = 0;
  std::uint16_t answers = 0;
  std::uint16_t authorities = 0;
  std::uint16_t additionals = 0;
  if (!reader.u16(query.id) || !reader.u16(flags) || !reader.u16(questions) || !reader.u16(answers) ||
      !reader.u16(authorities) || !reader.u16(additionals) || (flags & kFlagQr) != 0) {
    return QueryVerdict::kDrop;
  }
  query.opcode = static_cast<std::uint8_t>(flags >> 11 & 0x0f);
  query.recursion_desired = (flags & kFlagRd) != 0;
  query.checking_disabled = (flags & kFlagCd) != 0;
  query.authentic_data = (flags & kFlagAd) != 0;
  if (query.opcode != kOpcodeQuery) {
    return QueryVerdict::kNotImp;
  }
  if (questions != 1 || answers != 0 || authorities != 0 || additionals > 1) {
    return QueryVerdict::kFormErr;
  }
  if (!reader.plain_name(query.name)) {
    query.name.size = 0;  // half a name is none
    return QueryVerdict::kFormErr;
  }
  if (!reader.u16(query.type) || !reader.u16(query.qclass)) {
    return QueryVerdict::kFormErr;
  }
  std::uint8_t version = 0;
  if (additionals == 1) {
    std::uint8_t owner = 0;
    std::uint16_t type = 0;
    if (!reader.u8(owner) || owner != 0 || !reader.u16(type) || type != kTypeOpt || !read_opt(reader, query, version)) {
      return QueryVerdict::kFormErr;
    }
  }
  if (!reader.at_end()) {
    return QueryVerdict::kFormErr;
  }
  return version == 0 ? QueryVerdict::kAnswer : QueryVerdict::kBadVers;
}

}  // namespace postern
