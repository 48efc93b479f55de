// SPDX-License-Identifier: Apache-2.0
//
// BlockedFlows: what sandboxes tried and did not get, each thing once: how often, when, why, and which
// rule would allow it. Pure.
//
// Limits: kRowsMax different things; more are counted, and the count is shown.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "api/observer.pb.h"

namespace postern {

struct BlockedRow {
  std::string sandbox;
  std::string tried;   ///< "evil.example", "192.0.2.1:443/tcp"
  std::string reason;  ///< A label of bpf/reasons.h.
  std::string allow;   ///< An item for the policy's `allow:`, or in words what to do; "-" when no rule would help.
  std::uint64_t count = 0;
  google::protobuf::Timestamp first;
  google::protobuf::Timestamp last;
};

class BlockedFlows {
 public:
  static constexpr std::size_t kRowsMax = 10'000;

  /// Takes a flow in; what was not dropped on its way out of a sandbox is left aside.
  void add(const flow::Flow& flow);
  /// What a rule would allow first, then by how often.
  std::vector<BlockedRow> rows() const;
  std::uint64_t left_out() const { return left_out_; }

 private:
  using Key = std::tuple<std::string, std::string, std::string>;

  std::map<Key, BlockedRow> rows_;
  std::uint64_t left_out_ = 0;
};

/// What to write so that this flow is allowed.
std::string allow_hint(const flow::Flow& flow);

}  // namespace postern
