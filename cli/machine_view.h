// SPDX-License-Identifier: Apache-2.0
//
// MachineView: configuration files of this machine, or of one whose file system is at --root.
//
// Under --root the environment of this process says nothing about that machine and is left out. Paths are
// given and told as that machine sees them. Symbolic links that lead out of the root are not followed.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace postern {

class MachineView {
 public:
  static constexpr std::size_t kFileMax = 1u << 20;

  /// @param root     the other machine's "/"; empty: this machine.
  /// @param project  a folder with configuration of its own, or empty.
  /// @param environment  what this process has; used only for this machine.
  MachineView(std::string root, std::string project, std::map<std::string, std::string> environment);

  /// A file's text. Empty: it is not there, or cannot be read, or is larger than kFileMax.
  std::optional<std::string> read(const std::string& path) const;
  /// Paths of the files in a folder that end in `suffix`, sorted.
  std::vector<std::string> files_in(const std::string& folder, const std::string& suffix) const;
  /// Names of the folders in a folder, sorted.
  std::vector<std::string> folders_in(const std::string& folder) const;
  /// Where a program is, looked for where programs are. Empty: nowhere.
  std::string program(const std::string& name) const;

  const std::vector<std::string>& homes() const { return homes_; }
  const std::string& project() const { return project_; }
  /// A variable of the environment; empty: not set, or not this machine's.
  std::string variable(const std::string& name) const;
  /// The text with each $NAME and ${NAME} that is set replaced.
  std::string expand(const std::string& text) const;

 private:
  std::optional<std::string> real_path(const std::string& path) const;

  std::string root_;
  std::string project_;
  std::map<std::string, std::string> environment_;
  std::vector<std::string> homes_;
};

}  // namespace postern
