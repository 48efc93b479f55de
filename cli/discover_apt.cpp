// SPDX-License-Identifier: Apache-2.0
//
// apt: sources in both forms (sources.list(5)), and its proxies (apt.conf(5)), behind which no source is asked.
#include <algorithm>
#include <map>
#include <regex>

#include "cli/discover.h"

namespace postern {
namespace {

/// By scheme, and by "scheme::host" for one host. "DIRECT" is none.
using Proxies = std::map<std::string, FoundHost>;

/// Acquire::http::Proxy "http://proxy:3142/"; as the option of one line, which is how such files are written.
Proxies read_proxies(const MachineView& machine, std::vector<std::string>& direct) {
  static const std::regex kProxy(R"re(^\s*Acquire::(https?)::Proxy(?:::([^\s"]+))?\s+"([^"]*)")re", std::regex::icase);
  std::vector<std::string> files = machine.files_in("/etc/apt/apt.conf.d", "");
  files.push_back("/etc/apt/apt.conf");
  Proxies proxies;
  for (const std::string& file : files) {
    const std::string text = machine.read(file).value_or("");
    int line = 0;
    for (std::size_t at = 0; at < text.size(); ++line) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      const std::string words = text.substr(at, end - at);
      at = end + 1;
      std::smatch match;
      if (!std::regex_search(words, match, kProxy)) {
        continue;
      }
      const std::string scope = match[1].str() + (match[2].matched ? "::" + match[2].str() : "");
      if (auto host = host_of_url(match[3].str())) {
        proxies[scope] = {"apt", std::move(*host), "Acquire::" + match[1].str() + "::Proxy", file, line + 1};
      } else {
        direct.push_back(scope);
      }
    }
  }
  return proxies;
}

struct Source {
  std::string uri;
  std::string file;
  int line = 0;
};

void read_list(const std::string& text, const std::string& file, std::vector<Source>& sources) {
  static const std::regex kLine(R"(^\s*deb(?:-src)?\s+(?:\[[^\]]*\]\s*)?(\S+))");
  int line = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string words = text.substr(at, end - at);
    at = end + 1;
    ++line;
    std::smatch match;
    if (std::regex_search(words, match, kLine)) {
      sources.push_back({match[1].str(), file, line});
    }
  }
}

/// A file of stanzas (deb822): URIs, which may go on in indented lines, unless the stanza says Enabled: no.
void read_stanzas(const std::string& text, const std::string& file, std::vector<Source>& sources) {
  std::vector<Source> stanza;
  bool enabled = true;
  bool in_uris = false;
  int line = 0;
  const auto finish = [&] {
    if (enabled) {
      std::ranges::move(stanza, std::back_inserter(sources));
    }
    stanza.clear();
    enabled = true;
    in_uris = false;
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string words = text.substr(at, end - at);
    at = end + 1;
    ++line;
    if (words_of(words).empty()) {
      finish();
      continue;
    }
    if (words.front() == '#') {
      continue;
    }
    const bool goes_on = words.front() == ' ' || words.front() == '\t';
    const std::size_t colon = goes_on ? std::string::npos : words.find(':');
    const std::string key = colon == std::string::npos ? "" : words.substr(0, colon);
    in_uris = goes_on ? in_uris : key == "URIs";
    if (key == "Enabled") {
      enabled = words_of(words.substr(colon + 1)) != std::vector<std::string>{"no"};
    }
    if (in_uris) {
      for (const std::string& uri : words_of(goes_on ? words : words.substr(colon + 1))) {
        stanza.push_back({uri, file, line});
      }
    }
  }
  finish();
}

std::vector<Source> read_sources_of_apt(const MachineView& machine) {
  std::vector<Source> sources;
  read_list(machine.read("/etc/apt/sources.list").value_or(""), "/etc/apt/sources.list", sources);
  for (const std::string& file : machine.files_in("/etc/apt/sources.list.d", ".list")) {
    read_list(machine.read(file).value_or(""), file, sources);
  }
  for (const std::string& file : machine.files_in("/etc/apt/sources.list.d", ".sources")) {
    read_stanzas(machine.read(file).value_or(""), file, sources);
  }
  return sources;
}

}  // namespace

void discover_apt(const MachineView& machine, Discovery& found) {
  std::vector<std::string> direct;
  Proxies proxies = read_proxies(machine, direct);
  const auto is_direct = [&](const std::string& scope) { return std::ranges::find(direct, scope) != direct.end(); };
  for (const Source& source : read_sources_of_apt(machine)) {
    const auto host = host_of_url(source.uri);
    if (!host) {
      if (source.uri.starts_with("mirror") || source.uri.starts_with("tor")) {
        found.notes.push_back("apt: " + source.uri + " (" + source.file + ") names its hosts elsewhere: add them.");
      }
      continue;
    }
    const std::string own = host->scheme + "::" + host->host;
    auto proxy = proxies.find(own);
    proxy = proxy == proxies.end() && !is_direct(own) ? proxies.find(host->scheme) : proxy;
    if (proxy != proxies.end()) {
      found.hosts.push_back(proxy->second);  // what the source is asked through
    } else {
      found.add("apt", source.uri, "source", source.file, source.line);
    }
  }
}

}  // namespace postern
