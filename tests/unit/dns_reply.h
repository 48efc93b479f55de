// SPDX-License-Identifier: Apache-2.0
//
// A DNS message as ldns reads it: a second opinion on every byte that dnsproxy/ writes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::testing {

struct Reply {
  bool readable = false;  ///< ldns took the whole message.
  std::size_t size = 0;
  std::uint16_t id = 0;
  int rcode = 0;  ///< With the bits that OPT has.
  bool response = false, recursion_desired = false, recursion_available = false, authoritative = false;
  bool truncated = false, authentic = false, checking_disabled = false;
  std::string question;              ///< "Api.example.com. IN A", case as in the message.
  std::vector<std::string> answers;  ///< "api.example.com. 60 IN A 192.0.2.1"
  std::vector<std::string> authority;
  bool has_opt = false;
  bool dnssec_ok = false;
  int payload = 0;
  std::optional<int> ede;
  std::string ede_text;

  /// NOERROR, no answers, one SOA owned by the root.
  bool is_nodata_denial() const { return rcode == 0 && is_denial(); }
  bool is_nxdomain_denial() const { return rcode == 3 && is_denial(); }

 private:
  bool is_denial() const {
    return readable && response && recursion_available && !authoritative && !authentic && !truncated &&
           answers.empty() && authority.size() == 1 && authority[0] == ". 5 IN SOA . . 1 3600 600 86400 5" &&
           has_opt == (ede == 15);
  }
};

Reply read_reply(std::string_view message);

}  // namespace postern::testing
