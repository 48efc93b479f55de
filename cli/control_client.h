// SPDX-License-Identifier: Apache-2.0
//
// One command to posternd, one reply.
#pragma once

#include <string>

#include "api/control.pb.h"
#include "base/result.h"

namespace postern {

inline constexpr const char* kControlSocket = "/run/postern/control.sock";

/// Sends a command and waits for its reply. @return an error that says what to do next: posternd is
/// not running, the user may not, or posternd refused (then with its reasons, a line each).
Result<api::ControlReply> call_posternd(const std::string& socket_path, const api::ControlRequest& request);

/// Where the commands find posternd, and how they print.
struct CliContext {
  std::string control_socket = kControlSocket;
  int exit_status = 0;
};

/// Prints an error, every line of it, to stderr and sets the exit status to 1.
void print_error(CliContext& context, const Error& error);

}  // namespace postern
