// SPDX-License-Identifier: Apache-2.0
//
// From posternd's feed messages to what a worker decides by.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "dnsproxy/sandbox_view.h"

namespace postern {

struct WorkerSettings {
  std::vector<Endpoint> upstreams;
  std::uint32_t grant_s_min = 30;
};

/// A sandbox as fed: policies still by id.
struct FedSandbox {
  SandboxView view;
  std::uint32_t policy = 0;
  std::uint32_t staged_policy = 0;
};

/// Each: @return invalid if the bytes are not the message; the caller reports it to posternd.
Result<WorkerSettings> read_settings(std::string_view body);
Result<std::shared_ptr<const WorkerPolicy>> read_policy(std::string_view body);
Result<FedSandbox> read_sandbox(std::string_view body);

}  // namespace postern
