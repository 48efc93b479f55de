// SPDX-License-Identifier: Apache-2.0
//
// From the options of `postern observe` to Hubble's request. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/observer.pb.h"
#include "base/result.h"

namespace postern {

struct ObserveOptions {
  std::string server;
  bool follow = false;
  bool blocked = false;
  bool all = false;
  std::uint64_t last = 20;
  bool last_given = false;
  std::uint64_t first = 0;  ///< 0: not asked for.
  std::string since;
  std::vector<std::string> verdicts;
  std::vector<std::string> sandboxes;  ///< NAME or NAMESPACE/NAME, or the beginning of one.
  std::vector<std::string> names;
  std::vector<std::string> ips;
  std::vector<std::string> ports;
  std::vector<std::string> protocols;
  std::string output = "compact";
};

/// @param now_unix_ns what a relative --since counts from.
/// @return invalid: an option and what to write instead.
Result<observer::GetFlowsRequest> make_request(const ObserveOptions& options, std::int64_t now_unix_ns);

/// "90s", "5m", "2h", "1d" before now, or "2025-11-25T10:00:00Z". Nanoseconds since 1970.
Result<std::int64_t> parse_since(const std::string& text, std::int64_t now_unix_ns);

}  // namespace postern
