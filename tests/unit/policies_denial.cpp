// SPDX-License-Identifier: Apache-2.0
#include <stdbool.h>  // without it ldns.h defines bool, true and false as macros

#include <ldns/ldns.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <memory>

#include "policies/denial.h"
#include "policies_texts.h"

namespace postern {
namespace {

NameAnswer answer(const PolicyImage& image, const SearchList& search, std::string_view text) {
  const DnsName asked = text == "." ? DnsName() : name(text);
  return answer_for(asked.wire(), image.names.match(asked.wire()), search);
}

TEST_CASE("denial: which answer a name gets", "[policies]") {
  const auto image =
      image_of("  allow:\n  - names: [api.example.com, \"*.files.example.com\", ok.ns.svc.cluster.local]\n");
  const SearchList search{name("ns.svc.cluster.local"), name("svc.cluster.local"), name("cluster.local")};
  const auto [text, expected] = GENERATE(table<std::string, NameAnswer>({
      {"api.example.com", NameAnswer::kAllow},
      {"API.Example.COM", NameAnswer::kAllow},
      {"a.files.example.com", NameAnswer::kAllow},
      {"ok.ns.svc.cluster.local", NameAnswer::kAllow},
      {"example.com", NameAnswer::kNoData},        // above an allowed name
      {"files.example.com", NameAnswer::kNoData},  // likewise: "*." is not the apex
      {"com", NameAnswer::kNoData},                // a single label, but above an allowed name
      {".", NameAnswer::kNoData},
      {"evil.example.net", NameAnswer::kNoData},
      {"x.api.example.com", NameAnswer::kNoData},
      {"net", NameAnswer::kNxDomain},
      {"localhost", NameAnswer::kNxDomain},
      {"cluster.local", NameAnswer::kNoData},  // a suffix itself
      {"ns.svc.cluster.local", NameAnswer::kNoData},
      {"api.example.com.ns.svc.cluster.local", NameAnswer::kNxDomain},
      {"API.example.com.NS.svc.cluster.local", NameAnswer::kNxDomain},
      {"other.svc.cluster.local", NameAnswer::kNxDomain},
      {"xcluster.local", NameAnswer::kNoData},
  }));
  INFO(text);
  CHECK(answer(*image, search, text) == expected);
}

TEST_CASE("denial: an empty policy allows nothing", "[policies]") {
  const auto image = image_of("  {}\n");
  CHECK(answer(*image, {}, "example.com") == NameAnswer::kNoData);
  CHECK(answer(*image, {}, "com") == NameAnswer::kNxDomain);
}

/// A message with the tail behind its question, as ldns reads it.
std::shared_ptr<ldns_pkt> read_with_ldns(const DenialTail& tail) {
  std::string message("\x12\x34\x81\x80\x00\x01\x00\x00\x00\x01\x00\x01", 12);  // one authority, one additional record
  message += std::string("\4evil\7example\0\0\1\0\1", 18);
  message += tail.soa + tail.opt;
  ldns_pkt* packet = nullptr;
  REQUIRE(ldns_wire2pkt(&packet, reinterpret_cast<const std::uint8_t*>(message.data()), message.size()) ==
          LDNS_STATUS_OK);
  return {packet, &ldns_pkt_free};
}

TEST_CASE("denial tail: ldns reads what the compiler wrote", "[policies]") {
  const auto packet = read_with_ldns(make_denial_tail("ask #platform"));
  const ldns_rr_list* authority = ldns_pkt_authority(packet.get());
  REQUIRE(ldns_rr_list_rr_count(authority) == 1);
  const ldns_rr* soa = ldns_rr_list_rr(authority, 0);
  CHECK(ldns_rr_get_type(soa) == LDNS_RR_TYPE_SOA);
  CHECK(ldns_rdf_size(ldns_rr_owner(soa)) == 1);  // the root
  CHECK(ldns_rr_ttl(soa) == 5);
  CHECK(ldns_rdf2native_int32(ldns_rr_rdf(soa, 6)) == 5);  // MINIMUM, RFC 2308 5

  CHECK(ldns_pkt_edns(packet.get()));
  CHECK(ldns_pkt_edns_udp_size(packet.get()) == 1232);
  CHECK(ldns_pkt_edns_version(packet.get()) == 0);
  CHECK(ldns_pkt_edns_extended_rcode(packet.get()) == 0);
  CHECK_FALSE(ldns_pkt_edns_do(packet.get()));
  const ldns_rdf* options = ldns_pkt_edns_data(packet.get());
  REQUIRE(options != nullptr);
  const std::string data(reinterpret_cast<const char*>(ldns_rdf_data(options)), ldns_rdf_size(options));
  CHECK(data == std::string("\0\x0f\0\x0f\0\x0f", 6) + "ask #platform");  // option 15, length 15, code 15: RFC 8914
}

TEST_CASE("denial tail: without text, and with the longest", "[policies]") {
  CHECK(make_denial_tail("").opt.size() == 17);
  CHECK(make_denial_tail(std::string(120, 'x')).opt.size() == 137);
  CHECK(ldns_pkt_edns(read_with_ldns(make_denial_tail(std::string(120, 'x'))).get()));
}

}  // namespace
}  // namespace postern
