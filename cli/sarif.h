// SPDX-License-Identifier: Apache-2.0
//
// Findings in files as SARIF 2.1.0 (OASIS), the form that code scanning of GitHub and others takes.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "policies/diagnostics.h"

namespace postern {

/// The kinds of finding; each is a rule of the report.
enum class SarifRule { kError, kWarning, kAssertion };

struct SarifResult {
  SarifRule rule = SarifRule::kError;
  Diagnostic found;
  std::vector<std::pair<Place, std::string>> related = {};  ///< Other places that it is about, and what is there.
};

/// The whole report. A result that is about no file becomes a notification of the run, since scanners
/// refuse results without a location.
/// @param folder  absolute: paths below it become relative to it, as a repository's scanner wants them.
nlohmann::json sarif_of(const std::vector<SarifResult>& results, const std::string& folder);

/// A path as a URI reference (RFC 3986): relative below the folder, a file: URI elsewhere.
std::string sarif_uri(const std::string& path, const std::string& folder);

/// Errors and warnings as results, in their order.
std::vector<SarifResult> sarif_results(const std::vector<Diagnostic>& errors, const std::vector<Diagnostic>& warnings);

}  // namespace postern
