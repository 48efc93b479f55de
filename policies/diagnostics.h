// SPDX-License-Identifier: Apache-2.0
//
// What is wrong with a file, where, and what to write instead. Readers collect all they find.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace postern {

/// A place in a file. Lines and columns count from 1; 0 is unknown.
struct Place {
  std::string file;
  int line = 0;
  int column = 0;

  std::string to_string() const;
};

struct Diagnostic {
  Place place;
  std::string field;    ///< Path, "spec.allow[2].ports[0]"; empty for the document.
  std::string message;  ///< What is wrong and what to write instead; no newline.

  /// "agent.yaml:12:7: spec.allow[2].ports[0]: ..."
  std::string to_string() const;
};

class Diagnostics {
 public:
  static constexpr std::size_t kMax = 20;  // a file that is wrong throughout is not read to the end

  void error(Place place, std::string field, std::string message);
  void warn(Place place, std::string field, std::string message);
  /// All of another's, in its order.
  void add(const Diagnostics& other);
  bool failed() const { return !errors_.empty(); }
  bool full() const { return errors_.size() >= kMax; }
  const std::vector<Diagnostic>& errors() const { return errors_; }
  const std::vector<Diagnostic>& warnings() const { return warnings_; }
  /// All errors, a line each.
  Error to_error() const;

 private:
  std::vector<Diagnostic> errors_;
  std::vector<Diagnostic> warnings_;
};

}  // namespace postern
