// SPDX-License-Identifier: Apache-2.0
//
// What policies that select one sandbox say together, apart from names and addresses.
#pragma once

#include <string>
#include <vector>

#include "policies/model.h"

namespace postern {

std::string joined_name(const std::vector<const Policy*>& policies);
/// Who may connect: only native policies say, and one that does not means the cluster's pods and the sandbox's own
/// link.
InboundRules joined_inbound(const std::vector<const Policy*>& policies);
/// Ranges add up; the longest grace and the first text hold, the Admin tier and low priorities first.
DnsOptions joined_dns(std::vector<const Policy*> policies);

}  // namespace postern
