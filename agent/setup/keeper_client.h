// SPDX-License-Identifier: Apache-2.0
//
// postern-dns's keeper as postern-setup sees it: asks what it has, and gives it the sockets.
//
// Blocks, for kAnswerS at most an answer: postern-setup has nothing else to do.
#pragma once

#include <optional>
#include <string>

#include "agent/setup/steering_namespace.h"
#include "base/channel.h"
#include "base/clock.h"

namespace postern {

class KeeperClient {
 public:
  static constexpr int kAnswerS = 5;
  static constexpr int kPollMs = 50;

  /// Waits until the keeper listens, but not beyond the deadline.
  /// @return not found, closed: it does not run; denied: not root.
  static Result<KeeperClient> connect(const std::string& path, BootNs deadline);

  /// The steering whose sockets it has; nothing if it has none.
  Result<std::optional<Steering>> ask() const;
  /// Gives it sockets. @return ok once it has them; invalid: it did not take them.
  Result<> give(const SteeringSockets& made) const;
  int fd() const { return socket_.get(); }

 private:
  explicit KeeperClient(Fd socket) : socket_(std::move(socket)) {}

  Fd socket_;
};

/// Sleeps for one poll. @return whether the deadline is still to come.
bool poll_again(BootNs deadline);

}  // namespace postern
