// SPDX-License-Identifier: Apache-2.0
//
// From a folder of policy files and a folder of templates to compiled images, whole or not at all.
//
// One file with an error refuses the whole set: the caller then keeps what it has.
#pragma once

#include <string>

#include "policies/policy_set.h"

namespace postern {

/// Reads *.yaml and *.yml of both folders in the order of their names.
/// @return invalid: every problem, a line each, "file:line:column: field: what to write instead".
/// @param cache  what an earlier load gave; the set keeps it. What is in it is neither read nor compiled again.
Result<PolicySet> load_policies(const std::string& policy_folder,
                                const std::string& template_folder,
                                const Inventory& inventory = {},
                                std::shared_ptr<PolicyCache> cache = std::make_shared<PolicyCache>());

}  // namespace postern
