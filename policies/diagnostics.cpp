// SPDX-License-Identifier: Apache-2.0
#include "policies/diagnostics.h"

namespace postern {

std::string Place::to_string() const {
  std::string text = file;
  if (line > 0) {
    text += ":" + std::to_string(line);
    if (column > 0) {
      text += ":" + std::to_string(column);
    }
  }
  return text;
}

std::string Diagnostic::to_string() const {
  std::string text = place.to_string();
  if (!text.empty()) {
    text += ": ";
  }
  if (!field.empty()) {
    text += field + ": ";
  }
  return text + message;
}

void Diagnostics::error(Place place, std::string field, std::string message) {
  if (!full()) {
    errors_.push_back({std::move(place), std::move(field), std::move(message)});
  }
}

void Diagnostics::warn(Place place, std::string field, std::string message) {
  if (warnings_.size() < kMax) {
    warnings_.push_back({std::move(place), std::move(field), std::move(message)});
  }
}

void Diagnostics::add(const Diagnostics& other) {
  for (const Diagnostic& each : other.errors_) {
    error(each.place, each.field, each.message);
  }
  for (const Diagnostic& each : other.warnings_) {
    warn(each.place, each.field, each.message);
  }
}

Error Diagnostics::to_error() const {
  std::string text;
  for (const Diagnostic& diagnostic : errors_) {
    text += (text.empty() ? "" : "\n") + diagnostic.to_string();
  }
  if (full()) {
    text += "\n(further errors are not shown)";
  }
  return {Errc::kInvalid, std::move(text)};
}

}  // namespace postern
