// SPDX-License-Identifier: Apache-2.0
//
// `postern observe`: what sandboxes tried, from postern-observer (or any server of Hubble's API).
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace postern {

inline constexpr const char* kObserverSocket = "/run/postern/observer.sock";

/// Adds the command; its outcome goes to `exit_status`.
/// @param observer where it asks unless --server names another: a path, unix:///PATH or HOST:PORT.
void add_observe_command(CLI::App& app, const std::string& observer, int& exit_status);

}  // namespace postern
