// SPDX-License-Identifier: Apache-2.0
//
// Waiting for what another thread or a softirq does, without a fixed sleep.
#pragma once

#include <chrono>
#include <thread>

namespace postern::test {

/// Tries a condition until it holds, at most a second. @return whether it did.
template <typename Condition>
bool eventually(const Condition& condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace postern::test
