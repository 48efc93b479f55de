// SPDX-License-Identifier: Apache-2.0
//
// Several policies that select one sandbox, as one. What any allows is allowed, what any denies is
// denied: the compiler lets a deny beat an allow, whichever policy each comes from.
#pragma once

#include <vector>

#include "policies/model.h"

namespace postern {

/// @param policies at least one; of one namespace. The order decides only which denial text is shown.
Policy join_policies(const std::vector<const Policy*>& policies);

}  // namespace postern
