// SPDX-License-Identifier: Apache-2.0
//
// The files that commands which ask no daemon work on: policies and templates that people name, and
// the folder of allowlist templates.
#pragma once

#include <string>
#include <vector>

#include "policies/allowlist_template.h"
#include "policies/diagnostics.h"

namespace postern {

struct SourceText {
  std::string file;
  std::string text;
};

/// The kind of a file's first object. Empty if it has none that can be read.
std::string kind_of(const SourceText& source);

/// What several files together have wrong with them.
struct FileFindings {
  std::vector<Diagnostic> errors;
  std::vector<Diagnostic> warnings;

  /// Adds those of a file, from its top.
  void take(const Diagnostics& diagnostics);
};

/// What an option --templates says in --help.
inline constexpr const char* kTemplatesHelp =
    "Folder of allowlist templates. Default: /etc/postern/allowlists, or those that came with this program where that "
    "does not exist";

/// What an option --inventory says in --help.
inline constexpr const char* kInventoryHelp =
    "File or folder that says what the cluster is: an Inventory, or what kubectl get -o yaml prints. May be given "
    "several times";

/// The folder posternd reads by default; on a machine without it the templates that came with this
/// program. Empty: there is neither.
std::string default_template_folder();

/// Reads files, and every YAML file of folders. What cannot be read is an error like any other.
std::vector<SourceText> read_sources(const std::vector<std::string>& paths, Diagnostics& diagnostics);

/// Every template of a folder, not yet linked. An empty folder name is no templates. What is wrong with a file goes
/// to *diagnostics. @return the folder cannot be read.
Result<std::vector<AllowlistTemplate>> read_template_folder(const std::string& folder, Diagnostics& diagnostics);

}  // namespace postern
