// SPDX-License-Identifier: Apache-2.0
//
// From a folder of policy files, a folder of templates and the cluster's objects to compiled images.
//
// One file with an error refuses the whole set: the caller then keeps what it has. An object with an error refuses
// itself alone, see policy_objects.h.
#pragma once

#include <string>

#include "agent/policy_objects.h"
#include "policies/policy_set.h"

namespace postern {

/// Reads *.yaml and *.yml of both folders in the order of their names.
/// @return invalid: every problem, a line each, "file:line:column: field: what to write instead".
/// @param objects  of the cluster, which are judged; null: there is none.
/// @param cache  what an earlier load gave; the set keeps it. What is in it is neither read nor compiled again.
Result<PolicySet> load_policies(const std::string& policy_folder,
                                const std::string& template_folder,
                                const Inventory& inventory = {},
                                PolicyObjects* objects = nullptr,
                                std::shared_ptr<PolicyCache> cache = std::make_shared<PolicyCache>());

}  // namespace postern
