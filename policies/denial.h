// SPDX-License-Identifier: Apache-2.0
//
// Which answer a name gets, by the match of its policy and the sandbox's search suffixes.
//
// NODATA ends musl's search list, and NXDOMAIN denies whatever lies below a name (RFC 8020), so
// neither serves for all: names under a search suffix and single labels do not exist, the rest
// exists and has no data.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policies/dns_name.h"
#include "policies/name_matcher.h"

namespace postern {

enum class NameAnswer { kAllow, kNoData, kNxDomain };

/// The search list of a sandbox, as it stands in its resolv.conf.
using SearchList = std::vector<DnsName>;

/// @param wire  the name asked for, any case.
/// @param match what its policy says of it.
NameAnswer answer_for(Wire wire, const NameMatch& match, const SearchList& search);

/// The end of every denial of a policy, finished bytes: whoever answers appends the same.
struct DenialTail {
  std::string soa;  ///< One SOA record, owned by the root, TTL and MINIMUM 5 s (RFC 2308 5).
  std::string opt;  ///< One OPT record with EDE 15 "Blocked" (RFC 8914), for queries with EDNS.
};

/// @param text at most 120 bytes, for the human who reads the EDE; may be empty.
DenialTail make_denial_tail(std::string_view text);

}  // namespace postern
