// SPDX-License-Identifier: Apache-2.0
#include "policies/public_suffix.h"

#include <libpsl.h>

#include "base/log.h"

namespace postern {

std::optional<std::string> stranger_zone(const NamePattern& pattern) {
  std::string zone = pattern.labels().text();
  if (const auto star = zone.rfind('*'); star != std::string::npos) {
    const auto dot = zone.find('.', star);
    zone = dot == std::string::npos ? "" : zone.substr(dot + 1);
  } else if (!pattern.below()) {
    return std::nullopt;
  }
  const psl_ctx_t* list = psl_builtin();
  // The list has some zones only by their children, "*.compute.amazonaws.com" for one.
  const std::string child = "any-label." + zone;
  const bool strangers =
      list != nullptr && !zone.empty() &&
      (psl_is_public_suffix(list, zone.c_str()) == 1 || psl_is_public_suffix(list, child.c_str()) == 1);
  return strangers ? std::optional(zone) : std::nullopt;
}

Result<> check_strangers(const NamePattern& pattern, std::string_view how) {
  const auto zone = stranger_zone(pattern);
  if (!zone) {
    return {};
  }
  return Error(Errc::kInvalid, "\"" + printable(pattern.text()) +
                                   "\" would open names that anybody can register, below the "
                                   "public suffix " +
                                   printable(*zone) + ": name the hosts you need" + std::string(how));
}

}  // namespace postern
