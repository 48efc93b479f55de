// SPDX-License-Identifier: Apache-2.0
#include "cli/sarif.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

namespace postern {
namespace {

using Json = nlohmann::json;

struct RuleText {
  std::string_view id;
  std::string_view level;
  std::string_view name;
  std::string_view brief;
  std::string_view help;
};

/// In the order of SarifRule.
constexpr std::array kRules{
    RuleText{"policy-error", "error", "PolicyError", "A policy, template or inventory is wrong.",
             "posternd would refuse the file and keep the policies it has. The message says what to write instead."},
    RuleText{"policy-warning", "warning", "PolicyWarning", "A policy says something other than it seems to.",
             "The file is taken. The message says what it means less or more than a reader might think."},
    RuleText{"policy-assertion", "error", "PolicyAssertion", "An assertion about a policy does not hold.",
             "A PolicyTest says what its policies must allow or deny, and they do not. The message names the rule."},
};

const RuleText& text_of(SarifRule rule) { return kRules[static_cast<std::size_t>(rule)]; }

bool is_relative(std::string_view uri) { return !uri.starts_with("file:"); }

Json location_of(const Place& place, const std::string& folder) {
  const std::string uri = sarif_uri(place.file, folder);
  Json artifact{{"uri", uri}};
  if (is_relative(uri)) {
    artifact["uriBaseId"] = "%SRCROOT%";
  }
  // A finding about the whole file is shown at its top: scanners want a line.
  Json region{{"startLine", std::max(place.line, 1)}};
  if (place.column > 0) {
    region["startColumn"] = place.column;
  }
  return {{"physicalLocation", {{"artifactLocation", std::move(artifact)}, {"region", std::move(region)}}}};
}

std::string message_of(const Diagnostic& found) {
  return (found.field.empty() ? "" : found.field + ": ") + found.message;
}

Json result_of(const SarifResult& result, const std::string& folder) {
  const RuleText& rule = text_of(result.rule);
  Json location = location_of(result.found.place, folder);
  if (!result.found.field.empty()) {
    location["logicalLocations"] = Json::array({{{"fullyQualifiedName", result.found.field}}});
  }
  Json out{{"ruleId", rule.id},
           {"ruleIndex", static_cast<std::size_t>(result.rule)},
           {"level", rule.level},
           {"message", {{"text", message_of(result.found)}}},
           {"locations", Json::array({std::move(location)})}};
  for (const auto& [place, text] : result.related) {
    Json related = location_of(place, folder);
    related["message"] = {{"text", text}};
    out["relatedLocations"].push_back(std::move(related));
  }
  return out;
}

Json driver() {
  Json rules = Json::array();
  for (const RuleText& rule : kRules) {
    rules.push_back({{"id", rule.id},
                     {"name", rule.name},
                     {"shortDescription", {{"text", rule.brief}}},
                     {"fullDescription", {{"text", rule.help}}},
                     {"help", {{"text", rule.help}}},
                     {"defaultConfiguration", {{"level", rule.level}}}});
  }
  return {{"name", "postern"}, {"version", POSTERN_VERSION}, {"rules", std::move(rules)}};
}

}  // namespace

std::string sarif_uri(const std::string& path, const std::string& folder) {
  namespace fs = std::filesystem;
  const fs::path base = fs::path(folder).lexically_normal();
  const fs::path whole = (base / path).lexically_normal();
  const fs::path below = whole.lexically_relative(base);
  const bool outside = below.empty() || below.native().starts_with("..");
  std::string uri = outside ? "file://" : "";
  for (const char c : outside ? whole.native() : below.native()) {
    constexpr std::string_view kUnreserved = "-._~/";  // and letters and digits: RFC 3986, 2.3
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       kUnreserved.find(c) != std::string_view::npos;
    if (plain) {
      uri += c;
    } else {
      constexpr std::string_view kHex = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      uri += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return uri;
}

Json sarif_of(const std::vector<SarifResult>& results, const std::string& folder) {
  Json list = Json::array();
  Json notes = Json::array();
  for (const SarifResult& result : results) {
    if (!result.found.place.file.empty()) {
      list.push_back(result_of(result, folder));
    } else {
      notes.push_back({{"level", text_of(result.rule).level}, {"message", {{"text", message_of(result.found)}}}});
    }
  }
  const bool ran = std::ranges::none_of(results, [](const SarifResult& result) {
    return result.found.place.file.empty() && result.rule != SarifRule::kWarning;
  });
  Json invocation{{"executionSuccessful", ran}};
  if (!notes.empty()) {
    invocation["toolExecutionNotifications"] = std::move(notes);
  }
  Json run{{"tool", {{"driver", driver()}}},
           {"invocations", Json::array({std::move(invocation)})},
           {"results", std::move(list)}};
  return {{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
          {"version", "2.1.0"},
          {"runs", Json::array({std::move(run)})}};
}

std::vector<SarifResult> sarif_results(const std::vector<Diagnostic>& errors, const std::vector<Diagnostic>& warnings) {
  std::vector<SarifResult> results;
  for (const Diagnostic& error : errors) {
    results.push_back({SarifRule::kError, error, {}});
  }
  for (const Diagnostic& warning : warnings) {
    results.push_back({SarifRule::kWarning, warning, {}});
  }
  return results;
}

}  // namespace postern
