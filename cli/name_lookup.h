// SPDX-License-Identifier: Apache-2.0
//
// Looks many names up at once, with c-ares. For commands of people: `allowlist lint` and `render --resolve`.
//
// The only file of cli/ that includes c-ares is name_lookup.cpp. Names are asked as they are: no search
// list and no /etc/hosts, so that the answer does not depend on the machine. Thread: the caller's; blocks
// until every name has an outcome, at most about kTriesMax timeouts a name.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/ip.h"

namespace postern {

struct NameAnswer {
  enum class Outcome {
    kFound,
    kNoAddress,  ///< The name exists, without A and AAAA.
    kNoName,     ///< NXDOMAIN.
    kFailed,     ///< Nobody answered, or not to the point; says nothing about the name.
  };
  std::string name;
  Outcome outcome = Outcome::kFailed;
  std::vector<Address> addresses;  ///< Sorted, each once.
  std::string problem;             ///< Of a lookup that failed, in words.
};

struct LookupOptions {
  std::string server;                                   ///< ADDRESS[:PORT]; empty: those of /etc/resolv.conf.
  std::size_t at_once = 50;                             ///< Lookups in flight.
  std::function<void(std::size_t done)> progress = {};  ///< After each name.
};

/// @return invalid: the server is none; I/O: c-ares cannot start. Names that do not resolve are answers, not errors.
Result<std::vector<NameAnswer>> look_up_names(const std::vector<std::string>& names, const LookupOptions& options);

}  // namespace postern
