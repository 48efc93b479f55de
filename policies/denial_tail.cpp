// SPDX-License-Identifier: Apache-2.0
#include <stdbool.h>  // without it ldns.h defines bool, true and false as macros

#include <ldns/ldns.h>

#include <cassert>
#include <memory>

#include "policies/denial.h"

namespace postern {
namespace {

/// Short, so that an edited policy bites at once; long enough to stop a retry storm.
constexpr const char* kSoaText = ". 5 IN SOA . . 1 3600 600 86400 5";
constexpr std::uint16_t kOptType = 41;
constexpr std::uint16_t kPayload = 1232;
constexpr std::uint16_t kEdeOption = 15;
constexpr std::uint16_t kEdeBlocked = 15;

void append_u16(std::string& bytes, std::size_t value) {
  bytes += static_cast<char>(value >> 8);
  bytes += static_cast<char>(value);
}

std::string soa_record() {
  ldns_rr* parsed = nullptr;
  const ldns_status status = ldns_rr_new_frm_str(&parsed, kSoaText, 0, nullptr, nullptr);
  assert(status == LDNS_STATUS_OK);
  const std::unique_ptr<ldns_rr, decltype(&ldns_rr_free)> record(parsed, &ldns_rr_free);
  std::uint8_t* wire = nullptr;
  std::size_t size = 0;
  if (status != LDNS_STATUS_OK || ldns_rr2wire(&wire, record.get(), LDNS_SECTION_AUTHORITY, &size) != LDNS_STATUS_OK) {
    return {};
  }
  const std::unique_ptr<std::uint8_t, decltype(&free)> owned(wire, &free);
  return {reinterpret_cast<const char*>(wire), size};
}

}  // namespace

DenialTail make_denial_tail(std::string_view text) {
  // By hand: ldns learnt to write EDE only after the version that Debian 12 has.
  std::string opt(1, '\0');
  append_u16(opt, kOptType);
  append_u16(opt, kPayload);
  append_u16(opt, 0);  // extended rcode, version
  append_u16(opt, 0);  // flags; DO is copied from the query
  append_u16(opt, 6 + text.size());
  append_u16(opt, kEdeOption);
  append_u16(opt, 2 + text.size());
  append_u16(opt, kEdeBlocked);
  opt += text;
  return {soa_record(), opt};
}

}  // namespace postern
