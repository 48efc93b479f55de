// SPDX-License-Identifier: Apache-2.0
//
// What opens and what closes when one image takes another's place.
//
// Names are compared by pattern: one is new as far as no old pattern covers it on its ports. Addresses are
// compared by what all rules say of them together, prefix by prefix. No I/O.
#pragma once

#include <string>
#include <vector>

#include "policies/image.h"

namespace postern {

struct PolicyChange {
  enum class Kind {
    kName,     ///< Resolves, and its addresses are open on these ports.
    kLookup,   ///< Resolves. Ports are empty.
    kAddress,  ///< Open without a lookup.
    kDenial,   ///< Closed whatever name resolves there. A denial that goes away opens.
    kInbound,  ///< May connect to the sandbox.
  };
  bool opens = false;
  Kind kind = Kind::kName;
  std::string target;
  PortSet ports;
  std::string origin;  ///< Of the rule that says so now, or said so before.
};

std::string_view name_of(PolicyChange::Kind kind);  ///< "name", "lookup", "address", "denial", "inbound"

/// Null stands for a policy that is not there: it opens nothing.
std::vector<PolicyChange> diff_images(const PolicyImage* before, const PolicyImage* after);

}  // namespace postern
