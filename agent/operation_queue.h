// SPDX-License-Identifier: Apache-2.0
//
// OperationQueue: operations that take several turns of the loop, one after another.
//
// Changes of policy and of sandboxes must not overlap: each waits for the DNS workers in its middle.
#pragma once

#include <deque>
#include <functional>
#include <utility>

namespace postern {

class OperationQueue {
 public:
  using Done = std::function<void()>;
  using Operation = std::function<void(Done)>;

  /// Runs now, or when all before it are done. The operation calls its Done once.
  void run(Operation operation) {
    waiting_.push_back(std::move(operation));
    if (!busy_) {
      next();
    }
  }

 private:
  void next() {
    if (waiting_.empty()) {
      busy_ = false;
      return;
    }
    busy_ = true;
    Operation operation = std::move(waiting_.front());
    waiting_.pop_front();
    operation([this] { next(); });
  }

  std::deque<Operation> waiting_;
  bool busy_ = false;
};

}  // namespace postern
