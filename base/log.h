// SPDX-License-Identifier: Apache-2.0
//
// Structured logs: one line an event, a level that says who must act, key=value fields.
//
// error: somebody must mend something. warn: worth a look, we go on. info: what changed. debug:
// for whoever works on Postern. Text that came from a sandbox goes through printable() first.
#pragma once

#include <spdlog/spdlog.h>

#include <string>
#include <string_view>

#include "base/result.h"

namespace postern {

enum class LogFormat { kText, kJson };

/// Sends this process's log to stderr under `name`. Levels: trace debug info warn error.
/// @return invalid for an unknown level; the log then stays as it was.
Result<> start_log(std::string_view name, std::string_view level, LogFormat format);

/// The text with every byte that is not printable ASCII, every quote and backslash written as \xNN:
/// safe for a terminal, a log line and a JSON string (names are hostile text).
std::string printable(std::string_view text);

}  // namespace postern
