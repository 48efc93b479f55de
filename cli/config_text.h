// SPDX-License-Identifier: Apache-2.0
//
// Keys and values out of the configuration files of package managers: INI, TOML as they write it, KEY=VALUE.
//
// Good enough to find the hosts in them, and no more: what is not understood is left out, never an error.
// Text in, values out; no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

struct ConfigEntry {
  std::string section;  ///< "source.crates-io"; empty before the first.
  std::string key;
  std::string value;  ///< Without its quotes. A list gives an entry for each item.
  int line = 0;
};

/// Sections in brackets, "key = value" or "key: value", comments, indented lines that go on, lists in brackets and
/// inline tables of TOML.
std::vector<ConfigEntry> read_config(std::string_view text);

/// Where a URL leads.
struct UrlHost {
  std::string host;  ///< Name or address, lower case, without brackets.
  std::uint16_t port = 0;
  std::string scheme;
};

/// "https://user:secret@host:8443/path", "sparse+https://host/", and with a default scheme also "host/path". Who logs
/// in is not kept. Empty: it names no host (a path, file:, a variable that is not set).
std::optional<UrlHost> host_of_url(std::string_view url, std::string_view default_scheme = "");

/// The words of a text, at blanks and commas.
std::vector<std::string> words_of(std::string_view text);

/// The text inside each <tag> of an XML file, without comments, with the line it begins in.
struct TaggedText {
  std::string text;
  int line = 0;
};
std::vector<TaggedText> tagged(std::string_view xml, const std::string& tag);

}  // namespace postern
