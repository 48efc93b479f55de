// SPDX-License-Identifier: Apache-2.0
//
// The tests of the kernel programs, in a world of their own. Without the privileges for that they are
// skipped (exit status 77), and a failure where the environment variable CI is set.
#include <catch2/catch_session.hpp>
#include <cstdio>
#include <cstdlib>

#include "tests/bpf/world.h"

namespace {

constexpr int kSkipped = 77;

bool only_lists(const Catch::ConfigData& config) {
  return config.listTests || config.listTags || config.listReporters || config.listListeners || config.showHelp;
}

}  // namespace

int main(int argc, char** argv) {
  Catch::Session session;
  if (const int wrong = session.applyCommandLine(argc, argv); wrong != 0) {
    return wrong;
  }
  if (!only_lists(session.configData())) {
    if (const auto entered = postern::test::enter_world(); !entered) {
      std::fprintf(stderr, "bpf_tests: %s: run them as root, on kernel 6.1 or newer\n",
                   entered.error().message().c_str());
      return std::getenv("CI") != nullptr ? 1 : kSkipped;
    }
    postern::test::stay_on_one_cpu();
  }
  return session.run();
}
