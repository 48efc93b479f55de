// SPDX-License-Identifier: Apache-2.0
#include "policies/model.h"

namespace postern {

std::string Origin::to_string() const { return via.empty() ? place.to_string() : place.to_string() + " (" + via + ")"; }

}  // namespace postern
