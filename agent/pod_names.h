// SPDX-License-Identifier: Apache-2.0
//
// Pods in a sentence for a person. Their names are a tenant's text.
#pragma once

#include <string>
#include <vector>

#include "agent/sandbox/sandbox.h"
#include "base/log.h"

namespace postern {

inline std::string name_of(const PodRef& pod) { return printable(pod.space) + "/" + printable(pod.name); }

/// The first few of them.
inline std::string joined(const std::vector<std::string>& names) {
  constexpr std::size_t kNamesTold = 3;
  std::string all;
  for (std::size_t i = 0; i < names.size() && i < kNamesTold; ++i) {
    all += (i == 0 ? "" : ", ") + names[i];
  }
  return names.size() > kNamesTold ? all + " and " + std::to_string(names.size() - kNamesTold) + " more" : all;
}

}  // namespace postern
