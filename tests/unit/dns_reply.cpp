// SPDX-License-Identifier: Apache-2.0
#include "dns_reply.h"

#include <stdbool.h>  // without it ldns.h defines bool, true and false as macros

#include <ldns/ldns.h>

#include <memory>

namespace postern::testing {
namespace {

std::string text_of_record(const ldns_rr* rr) {
  const std::unique_ptr<char, decltype(&free)> printed(ldns_rr2str(rr), &free);
  std::string text = printed ? printed.get() : "?";
  while (!text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  for (char& c : text) {
    c = c == '\t' ? ' ' : c;
  }
  return text;
}

std::vector<std::string> texts_of(const ldns_rr_list* section) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < ldns_rr_list_rr_count(section); ++i) {
    texts.push_back(text_of_record(ldns_rr_list_rr(section, i)));
  }
  return texts;
}

/// The first EDE option (RFC 8914); ldns of Debian 12 has no reader for it.
void read_ede(std::string_view options, Reply& reply) {
  const auto number = [&](std::size_t at) {
    return static_cast<unsigned char>(options[at]) << 8 | static_cast<unsigned char>(options[at + 1]);
  };
  for (std::size_t at = 0; at + 4 <= options.size();) {
    const int code = number(at);
    const auto length = static_cast<std::size_t>(number(at + 2));
    if (code == 15 && length >= 2 && !reply.ede) {
      reply.ede = number(at + 4);
      reply.ede_text = options.substr(at + 6, length - 2);
    }
    at += 4 + length;
  }
}

}  // namespace

Reply read_reply(std::string_view message) {
  Reply reply;
  reply.size = message.size();
  ldns_pkt* packet = nullptr;
  if (ldns_wire2pkt(&packet, reinterpret_cast<const std::uint8_t*>(message.data()), message.size()) != LDNS_STATUS_OK) {
    return reply;
  }
  const std::unique_ptr<ldns_pkt, decltype(&ldns_pkt_free)> owned(packet, &ldns_pkt_free);
  reply.readable = true;
  reply.id = ldns_pkt_id(packet);
  reply.rcode = ldns_pkt_get_rcode(packet) | (ldns_pkt_edns(packet) ? ldns_pkt_edns_extended_rcode(packet) << 4 : 0);
  reply.response = ldns_pkt_qr(packet);
  reply.recursion_desired = ldns_pkt_rd(packet);
  reply.recursion_available = ldns_pkt_ra(packet);
  reply.authoritative = ldns_pkt_aa(packet);
  reply.truncated = ldns_pkt_tc(packet);
  reply.authentic = ldns_pkt_ad(packet);
  reply.checking_disabled = ldns_pkt_cd(packet);
  if (ldns_rr_list_rr_count(ldns_pkt_question(packet)) == 1) {
    reply.question = text_of_record(ldns_rr_list_rr(ldns_pkt_question(packet), 0));
  }
  reply.answers = texts_of(ldns_pkt_answer(packet));
  reply.authority = texts_of(ldns_pkt_authority(packet));
  reply.has_opt = ldns_pkt_edns(packet);
  if (reply.has_opt) {
    reply.dnssec_ok = ldns_pkt_edns_do(packet);
    reply.payload = ldns_pkt_edns_udp_size(packet);
    if (const ldns_rdf* options = ldns_pkt_edns_data(packet)) {
      read_ede({reinterpret_cast<const char*>(ldns_rdf_data(options)), ldns_rdf_size(options)}, reply);
    }
  }
  return reply;
}

}  // namespace postern::testing
