// SPDX-License-Identifier: Apache-2.0
//
// Which hosts this machine's package managers and container engines use, by their configuration.
//
// One function a tool. A tool without a registry of its own configuration uses its default one, which is a group of
// an allowlist template. Files are read, nothing is run and nobody is asked.
#pragma once

#include <string>
#include <vector>

#include "cli/config_text.h"
#include "cli/machine_view.h"

namespace postern {

struct FoundHost {
  std::string tool;
  UrlHost host;
  std::string setting;  ///< "index-url".
  std::string file;     ///< Or "environment".
  int line = 0;
};

/// What a tool uses because nobody told it otherwise.
struct FoundDefault {
  std::string tool;
  std::string group;  ///< "package-registries:python"
  std::string why;    ///< "/usr/bin/pip3, no index configured"
};

struct Discovery {
  std::vector<FoundHost> hosts;
  std::vector<FoundDefault> defaults;
  std::vector<std::string> notes;  ///< What the files leave open; sentences.

  /// Adds the host of a URL. What names none (a path, file:) is left out. @return was it one?
  bool add(
      const std::string& tool, std::string_view url, const std::string& setting, const std::string& file, int line);
};

void discover_pip(const MachineView& machine, Discovery& found);
void discover_npm(const MachineView& machine, Discovery& found);
void discover_cargo(const MachineView& machine, Discovery& found);
void discover_go(const MachineView& machine, Discovery& found);
void discover_maven(const MachineView& machine, Discovery& found);
void discover_gem(const MachineView& machine, Discovery& found);
void discover_apt(const MachineView& machine, Discovery& found);
void discover_containers(const MachineView& machine, Discovery& found);
/// Proxies of the whole machine, by environment or /etc/environment.
void discover_proxy(const MachineView& machine, Discovery& found);

}  // namespace postern
