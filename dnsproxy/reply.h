// SPDX-License-Identifier: Apache-2.0
//
// Replies to a sandbox: real answers, denials, failures. Each writes one whole message into the
// caller's buffer and allocates nothing.
//
// Every reply repeats the question with the client's case, has RA, copies RD and CD, clears AA, and
// carries OPT if and only if the query did (RFC 6891 6.1.1).
#pragma once

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>

#include "dnsproxy/answer.h"
#include "dnsproxy/query.h"
#include "policies/denial.h"

namespace postern {

inline constexpr std::uint32_t kClientTtlMax = 3600;

// Extended DNS errors, RFC 8914 4.
inline constexpr std::uint16_t kEdeOther = 0;
inline constexpr std::uint16_t kEdeNotReady = 14;
inline constexpr std::uint16_t kEdeBlocked = 15;
inline constexpr std::uint16_t kEdeNoReachableAuthority = 22;
inline constexpr std::uint16_t kEdeNetworkError = 23;

/// What is left of an answer for one sandbox.
struct AnswerView {
  const Answer* answer = nullptr;
  std::bitset<Answer::kRecordsMax> dropped;  ///< Records of the answer section that the sandbox must not see.
  std::uint32_t age_s = 0;                   ///< Since it came from the upstream.

  bool changed() const { return answer->reduced || dropped.any(); }
  /// What the client is told, and what its grant is counted from.
  std::uint32_t client_ttl_s(std::uint32_t ttl_s) const {
    return std::min(ttl_s > age_s ? ttl_s - age_s : 0, kClientTtlMax);
  }
};

/// The answer, whole records as fit into `limit` bytes, chain first; TC if some did not (RFC 2181 9).
/// A changed answer has neither AD nor signatures.
std::size_t write_answer(const Query& query, const AnswerView& view, std::size_t limit, std::span<std::uint8_t> buffer);

/// The one denial: `rcode` NOERROR or NXDOMAIN, no answers, the policy's SOA and EDE.
std::size_t write_denial(const Query& query,
                         std::uint8_t rcode,
                         const DenialTail& tail,
                         std::span<std::uint8_t> buffer);

/// A failure with the question, and with EDE where the client knows it.
std::size_t write_failure(
    const Query& query, std::uint8_t rcode, std::uint16_t ede, std::string_view text, std::span<std::uint8_t> buffer);

/// A header alone, for what could not be read far enough to repeat it.
std::size_t write_header_only(const Query& query, std::uint8_t rcode, std::span<std::uint8_t> buffer);

/// One record that answers the question itself, owned by its name: PTR, or HINFO for ANY (RFC 8482 4.2).
std::size_t write_single(
    const Query& query, std::uint16_t type, std::uint32_t ttl_s, Bytes data, std::span<std::uint8_t> buffer);

}  // namespace postern
