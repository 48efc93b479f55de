// SPDX-License-Identifier: Apache-2.0
//
// A sandbox's question, parsed strictly. What is kept is what may influence the answer; nothing of
// the client's bytes goes on to an upstream.
#pragma once

#include <cstdint>

#include "dnsproxy/wire.h"

namespace postern {

struct Query {
  std::uint16_t id = 0;
  std::uint8_t opcode = 0;
  bool recursion_desired = false;
  bool checking_disabled = false;
  bool authentic_data = false;  ///< Asks for the AD bit (RFC 6840 5.7).
  NameBuffer name;              ///< With the client's case, which the answer repeats.
  std::uint16_t type = 0;
  std::uint16_t qclass = 0;
  bool has_edns = false;
  bool dnssec_ok = false;
  std::uint16_t udp_payload = kUdpPlainPayload;  ///< What the client can take, 512 to 1232.
};

/// What to do with the bytes of a query.
enum class QueryVerdict {
  kAnswer,  ///< A question we can look at.
  kDrop,    ///< Not a query at all: a response, or shorter than a header.
  kFormErr,
  kNotImp,
  kBadVers,
};

/// Reads a whole message. For kAnswer and kBadVers *query is complete; for the other errors its header
/// is, and its name is whole or empty. RFC 1035 4.1, RFC 6891 6.1, RFC 9619 (exactly one question).
QueryVerdict parse_query(Bytes message, Query& query);

}  // namespace postern
