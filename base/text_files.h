// SPDX-License-Identifier: Apache-2.0
//
// Whole text files, and the YAML files of a folder, for programs that read what people wrote.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace postern {

/// Reads a file of at most `bytes_max`. @return not found, denied or invalid (too large), with the path in the message.
Result<std::string> read_text_file(const std::string& path, std::size_t bytes_max);

/// Puts a file of this text in a file's place: whoever reads it sees the one or the other, whole. Mode 0600.
Result<> replace_text_file(const std::string& path, std::string_view text);

/// PREFIX/share/NAME of the prefix that this program is installed under (PREFIX/bin/PROGRAM). Empty: there is no such
/// folder.
std::string shared_folder(std::string_view name);

/// Paths of the *.yaml and *.yml in a folder, sorted, so that the same folder always gives the same
/// result. Names that begin with a dot are left out: an editor's half-written file has such a name.
Result<std::vector<std::string>> yaml_files_of(const std::string& folder);

}  // namespace postern
