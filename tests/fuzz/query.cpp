// SPDX-License-Identifier: Apache-2.0
//
// A sandbox's bytes as a query. What we take, ldns takes, with the same question; and every reply that
// we write to it is a message that both of us can read.
#include <stdbool.h>  // without it ldns.h defines bool, true and false as macros

#include <ldns/ldns.h>

#include <memory>

#include "dnsproxy/reply.h"
#include "tests/fuzz/fuzz.h"

namespace postern::testing {
namespace {

constexpr std::array<std::uint8_t, 3> kHinfo{1, 'x', 0};

using Packet = std::unique_ptr<ldns_pkt, decltype(&ldns_pkt_free)>;

Packet read_with_ldns(Bytes message) {
  ldns_pkt* packet = nullptr;
  const bool readable = ldns_wire2pkt(&packet, message.data(), message.size()) == LDNS_STATUS_OK;
  return {readable ? packet : nullptr, &ldns_pkt_free};
}

void check_question(const Packet& packet, const Query& query) {
  FUZZ_REQUIRE(packet != nullptr && ldns_rr_list_rr_count(ldns_pkt_question(packet.get())) == 1);
  const ldns_rr* question = ldns_rr_list_rr(ldns_pkt_question(packet.get()), 0);
  const ldns_rdf* owner = ldns_rr_owner(question);
  FUZZ_REQUIRE(std::ranges::equal(Bytes(ldns_rdf_data(owner), ldns_rdf_size(owner)), query.name.wire()));
  FUZZ_REQUIRE(ldns_rr_get_type(question) == query.type);
}

void check_reply(Bytes reply, const Query& query) {
  FUZZ_REQUIRE(!reply.empty() && reply.size() <= kUdpPlainPayload);
  const Packet packet = read_with_ldns(reply);
  check_question(packet, query);
  FUZZ_REQUIRE(ldns_pkt_qr(packet.get()) && ldns_pkt_id(packet.get()) == query.id);
  FUZZ_REQUIRE(ldns_pkt_edns(packet.get()) == query.has_edns);
}

}  // namespace
}  // namespace postern::testing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  using namespace postern::testing;
  static const DenialTail tail = make_denial_tail(std::string(120, 'x'));
  const Bytes message(data, size);
  Query query;
  const QueryVerdict verdict = parse_query(message, query);
  if (verdict != QueryVerdict::kAnswer && verdict != QueryVerdict::kBadVers) {
    return 0;
  }
  const Packet packet = read_with_ldns(message);
  check_question(packet, query);
  std::array<std::uint8_t, 1024> buffer;
  check_reply(Bytes(buffer).first(write_denial(query, kRcodeNxDomain, tail, buffer)), query);
  check_reply(Bytes(buffer).first(write_failure(query, kRcodeServFail, kEdeOther, "upstream failed", buffer)), query);
  check_reply(Bytes(buffer).first(write_single(query, kTypeHinfo, 0, kHinfo, buffer)), query);
  return 0;
}
