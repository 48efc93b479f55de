// SPDX-License-Identifier: Apache-2.0
#include "agent/conditions.h"

#include <ctime>

#include "base/log.h"

namespace postern {

bool Conditions::set(const std::string& type, const std::string& reason, const std::string& message) {
  const auto found = conditions_.find(type);
  if (message.empty()) {
    if (found != conditions_.end()) {
      spdlog::info("{}: no longer", type);
      conditions_.erase(found);
      return true;
    }
    return false;
  }
  if (found != conditions_.end() && found->second.reason == reason && found->second.message == message) {
    return false;
  }
  spdlog::warn("{} ({}): {}", type, reason, message);
  const std::uint64_t since =
      found != conditions_.end() ? found->second.since_unix_s : static_cast<std::uint64_t>(std::time(nullptr));
  conditions_[type] = {reason, message, since};
  return true;
}

}  // namespace postern
