// SPDX-License-Identifier: Apache-2.0
//
// An upstream's answer, checked against the question and reduced to what belongs to it: the CNAME
// chain from the question, the records of the asked type at its end, the SOA of a negative answer,
// and their signatures. The form that the cache holds: nothing in it depends on a policy.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "dnsproxy/wire.h"

namespace postern {

/// The question as we put it to an upstream; also the key of the cache and of coalescing.
struct Question {
  std::string name;  ///< Wire, lower case.
  std::uint16_t type = 0;
  bool dnssec_ok = false;
  bool checking_disabled = false;

  friend bool operator==(const Question&, const Question&) = default;
  Wire wire() const { return {reinterpret_cast<const std::uint8_t*>(name.data()), name.size()}; }
};

struct QuestionHash {
  std::size_t operator()(const Question& question) const noexcept;
};

struct AnswerRecord {
  std::string owner;  ///< Wire, as the upstream wrote it.
  std::uint16_t type = 0;
  std::uint32_t ttl_s = 0;
  std::string data;  ///< RDATA without compression.
};

struct Answer {
  static constexpr std::size_t kRecordsMax = 512;  ///< An answer with more is refused.
  static constexpr int kHopsMax = 8;               ///< CNAMEs in a chain.

  std::uint8_t rcode = kRcodeNoError;
  bool authentic = false;               ///< The upstream set AD.
  bool reduced = false;                 ///< Records were left out that the upstream had in the answer section.
  std::vector<AnswerRecord> records;    ///< Chain first, each hop behind the one it follows; signatures last.
  std::vector<AnswerRecord> authority;  ///< SOA, with the TTL of the negative answer; with DO also its proofs.
  std::uint32_t ttl_s = 0;              ///< How long it may be used: the least TTL. 0: for those who wait now only.
  BootNs received;

  std::size_t memory_bytes() const;
};

enum class AnswerVerdict {
  kUsable,
  kTruncated,  ///< TC: ask again over TCP.
  kMismatch,   ///< Not an answer to this question: wrong id, question or case. Perhaps forged.
  kNoEdns,     ///< The upstream does not know EDNS (FORMERR or NOTIMP without OPT): ask without.
  kFailed,     ///< The upstream refused or failed, or its answer is malformed.
};

/// What the reply to a query must match.
struct Expectation {
  std::uint16_t id = 0;
  Wire name;                 ///< With the random case that was sent.
  bool case_matters = true;  ///< Over TCP a changed case proves nothing.
  const Question* question = nullptr;
};

/// Reads a reply. *answer is complete only for kUsable.
AnswerVerdict parse_answer(Bytes message, const Expectation& expected, BootNs now, Answer& answer);

/// Writes the query we send: fresh header, the name with the given case, OPT of 1232 bytes unless
/// the upstream does not know it. @return its size.
std::size_t write_upstream_query(const Expectation& expected, bool edns, std::span<std::uint8_t> buffer);

}  // namespace postern
