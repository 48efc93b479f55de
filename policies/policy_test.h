// SPDX-License-Identifier: Apache-2.0
//
// PolicyTest: assertions kept beside a policy, read from text and judged by the code that posternd judges
// with. Text and images in, verdicts out; no I/O.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/diagnostics.h"
#include "policies/explain.h"
#include "policies/policy_set.h"

namespace postern {

/// One line of a test. A target is an address, or all names of a pattern.
struct Assertion {
  enum class Kind {
    kAllows,    ///< The target opens on the port; every name of a pattern does.
    kDenies,    ///< It does not; no name of a pattern does.
    kResolves,  ///< A lookup is answered.
    kRefuses,   ///< It is not.
  };
  Kind kind = Kind::kAllows;
  std::string text;  ///< As it was written.
  Place place;
  std::string field;  ///< "tests[0].allows[2]"
  std::optional<Address> address = {};
  std::optional<NamePattern> names = {};  ///< If it is no address.
  std::uint16_t port = 0;                 ///< 0: any port.
  std::uint8_t protocol = kProtocolTcp;
};

/// @return "allows", "denies", "resolves", "refuses"
std::string_view verb_of(Assertion::Kind kind);

/// Assertions about one sandbox.
struct PolicyTestCase {
  std::string name;
  Place place;
  std::string field;
  std::optional<PodIdentity> sandbox = {};  ///< Whichever policies select it;
  std::string policy = {};                  ///< else this one.
  std::vector<Assertion> assertions = {};
};

/// A path as it was written, and where.
struct WrittenPath {
  std::string path;
  Place place;
};

struct PolicyTest {
  Place place;
  std::vector<WrittenPath> policies = {};
  std::optional<WrittenPath> templates = {};
  std::vector<WrittenPath> inventory = {};
  std::vector<PolicyTestCase> cases = {};
};

/// Every PolicyTest of a file. What is wrong goes to *diagnostics; use the result only if it did not fail.
std::vector<PolicyTest> read_policy_tests(std::string_view text, const std::string& file, Diagnostics& diagnostics);

struct AssertionResult {
  bool holds = false;
  std::string verdict;             ///< What the policies say instead, or why it holds.
  std::vector<const Rule*> rules;  ///< That say so. They live in the image.
};

/// Judges one assertion by the image of a sandbox's policies. Which addresses a name has is not known here: CIDR rules
/// count for it only where they open a whole address family, or leave no address open.
AssertionResult judge(const Assertion& assertion, const PolicyImage& image);

/// A test's policies put together, and what they say to each assertion.
struct CaseResult {
  std::string policies;       ///< Key of what the sandbox is under.
  std::vector<Place> places;  ///< Of those policies.
  std::shared_ptr<const PolicyImage> image;
  std::string problem;  ///< Why nothing could be judged: then all assertions have failed.
  std::vector<AssertionResult> results;
};

CaseResult judge_case(const PolicyTestCase& test, const PolicySet& set);

/// A failed assertion as an error at its line: what was asserted, and what says otherwise.
Diagnostic failure_of(const Assertion& assertion, const AssertionResult& result, const CaseResult& of_case);

}  // namespace postern
