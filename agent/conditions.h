// SPDX-License-Identifier: Apache-2.0
//
// Conditions: what is not as it should be, for `postern status` and the log, until it is mended.
//
// Of each type there is one. Thread: posternd's loop.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace postern {

struct Condition {
  std::string reason;   ///< CamelCase, for machines.
  std::string message;  ///< A sentence that says what to do; printable.
  std::uint64_t since_unix_s = 0;
};

class Conditions {
 public:
  /// Sets it, or with an empty message clears it. Logs what is new. @return whether anything changed.
  bool set(const std::string& type, const std::string& reason, const std::string& message);
  const std::map<std::string, Condition>& all() const { return conditions_; }

 private:
  std::map<std::string, Condition> conditions_;  // by type
};

}  // namespace postern
