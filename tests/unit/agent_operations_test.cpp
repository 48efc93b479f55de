// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "agent/operation_queue.h"

namespace postern {
namespace {

TEST_CASE("operations: one after another, in their order", "[agent]") {
  OperationQueue queue;
  std::string log;
  OperationQueue::Done first_done;
  queue.run([&](OperationQueue::Done done) {
    log += "a(";
    first_done = std::move(done);
  });
  queue.run([&](const OperationQueue::Done& done) {
    log += "b";
    done();
  });
  queue.run([&](const OperationQueue::Done& done) {
    log += "c";
    done();
  });
  CHECK(log == "a(");
  log += ")";
  first_done();
  CHECK(log == "a()bc");
  queue.run([&](const OperationQueue::Done& done) {
    log += "d";
    done();
  });
  CHECK(log == "a()bcd");
}

}  // namespace
}  // namespace postern
