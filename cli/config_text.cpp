// SPDX-License-Identifier: Apache-2.0
#include "cli/config_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <regex>
#include <utility>

namespace postern {
namespace {

constexpr std::string_view kBlank = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlank);
  return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::string unquoted(std::string_view text) {
  text = trimmed(text);
  const bool quoted = text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front();
  return std::string(quoted ? text.substr(1, text.size() - 2) : text);
}

/// A value up to a comment behind it.
std::string_view without_comment(std::string_view value) {
  char quote = 0;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (quote != 0) {
      quote = value[i] == quote ? '\0' : quote;
    } else if (value[i] == '"' || value[i] == '\'') {
      quote = value[i];
    } else if (value[i] == '#' && (i == 0 || kBlank.find(value[i - 1]) != std::string_view::npos)) {
      return trimmed(value.substr(0, i));
    }
  }
  return trimmed(value);
}

/// "[host.\"https://a.example\"]" as host.https://a.example.
std::string section_of(std::string_view line) {
  std::string name;
  for (const char c : line) {
    if (c != '[' && c != ']' && c != '"' && c != '\'') {
      name += c;
    }
  }
  return std::string(trimmed(name));
}

class Reader {
 public:
  std::vector<ConfigEntry> run(std::string_view text) {
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      ++line_;
      take(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return std::move(entries_);
  }

 private:
  void take(std::string_view raw) {
    const std::string_view line = trimmed(raw);
    if (line.empty() || line.front() == '#' || line.front() == ';') {
      return;
    }
    if (in_list_) {
      items_of(line);
    } else if (line.front() == '[') {
      section_ = section_of(without_comment(line));
    } else if (kBlank.find(raw.front()) != std::string_view::npos && !key_.empty() &&
               line.find('=') == std::string_view::npos) {
      add(key_, without_comment(line));
    } else {
      take_pair(line);
    }
  }

  void take_pair(std::string_view line) {
    const std::size_t by = line.find_first_of("=:");
    // "@scope:registry=..." of npm has its own colon.
    const std::size_t at = by != std::string_view::npos && line[by] == ':' && line.find('=') != std::string_view::npos
                               ? line.find('=')
                               : by;
    if (at == std::string_view::npos) {
      return;
    }
    key_ = unquoted(line.substr(0, at));
    const std::string_view value = without_comment(trimmed(line.substr(at + 1)));
    if (value.starts_with('[')) {
      in_list_ = true;
      items_of(value.substr(1));
    } else if (value.starts_with('{')) {
      table_of(value);
    } else {
      add(key_, value);
    }
  }

  void items_of(std::string_view text) {
    static const std::regex kItem(R"re("([^"]*)"|'([^']*)'|(\]))re");
    const std::string line(text);
    for (std::sregex_iterator at(line.begin(), line.end(), kItem), end; at != end && in_list_; ++at) {
      if ((*at)[3].matched) {
        in_list_ = false;
      } else {
        add(key_, (*at)[1].matched ? (*at)[1].str() : (*at)[2].str());
      }
    }
  }

  void table_of(std::string_view text) {
    static const std::regex kPair(R"re(([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|(\w+)))re");
    const std::string line(text);
    const std::string outer = std::exchange(section_, section_.empty() ? key_ : section_ + "." + key_);
    for (std::sregex_iterator at(line.begin(), line.end(), kPair), end; at != end; ++at) {
      const int which = (*at)[2].matched ? 2 : (*at)[3].matched ? 3 : 4;
      add((*at)[1].str(), (*at)[static_cast<std::size_t>(which)].str());
    }
    section_ = outer;
  }

  void add(const std::string& key, std::string_view value) {
    const std::size_t dot = key.rfind('.');  // "source.mirror.registry" outside of any section
    const std::string before = dot == std::string::npos ? "" : key.substr(0, dot);
    const std::string section = section_.empty() || before.empty() ? section_ + before : section_ + "." + before;
    entries_.push_back({section, dot == std::string::npos ? key : key.substr(dot + 1), unquoted(value), line_});
  }

  std::vector<ConfigEntry> entries_;
  std::string section_;
  std::string key_;
  int line_ = 0;
  bool in_list_ = false;
};

std::uint16_t port_of(std::string_view scheme) {
  constexpr std::array<std::pair<std::string_view, std::uint16_t>, 5> kPorts{
      {{"https", 443}, {"http", 80}, {"ssh", 22}, {"git", 9418}, {"ftp", 21}}};
  const auto found = std::ranges::find(kPorts, scheme, &std::pair<std::string_view, std::uint16_t>::first);
  return found == kPorts.end() ? 0 : found->second;
}

bool is_host(std::string_view host) {
  return !host.empty() && std::ranges::all_of(host, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' || c == ':';
  });
}

}  // namespace

std::vector<ConfigEntry> read_config(std::string_view text) { return Reader().run(text); }

std::optional<UrlHost> host_of_url(std::string_view url, std::string_view default_scheme) {
  UrlHost found;
  url = trimmed(url);
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos && default_scheme.empty()) {
    return std::nullopt;
  }
  found.scheme = colon == std::string_view::npos ? default_scheme : url.substr(0, colon);
  url.remove_prefix(colon == std::string_view::npos ? 0 : colon + 3);
  if (const std::size_t plus = found.scheme.rfind('+'); plus != std::string::npos) {
    found.scheme.erase(0, plus + 1);  // sparse+https, git+ssh
  }
  std::string_view place = url.substr(0, url.find_first_of("/?#"));
  if (const std::size_t login = place.rfind('@'); login != std::string_view::npos) {
    place.remove_prefix(login + 1);
  }
  std::string_view port;
  if (place.starts_with('[')) {
    const std::size_t close = std::min(place.find(']'), place.size());
    found.host = place.substr(1, close - 1);
    port = place.substr(std::min(close + 1, place.size()));
  } else {
    found.host = place.substr(0, place.find(':'));
    port = place.substr(std::min(found.host.size(), place.size()));
  }
  std::ranges::transform(found.host, found.host.begin(),
                         [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  found.port = port_of(found.scheme);
  if (port.starts_with(':')) {
    const auto [end, failed] = std::from_chars(port.data() + 1, port.data() + port.size(), found.port);
    if (failed != std::errc() || end != port.data() + port.size()) {
      return std::nullopt;
    }
  }
  return is_host(found.host) && found.port != 0 ? std::optional(std::move(found)) : std::nullopt;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',') {
      if (!word.empty()) {
        words.push_back(std::exchange(word, ""));
      }
    } else {
      word += c;
    }
  }
  if (!word.empty()) {
    words.push_back(std::move(word));
  }
  return words;
}

std::vector<TaggedText> tagged(std::string_view xml, const std::string& tag) {
  std::string text(xml);
  for (std::size_t begin = text.find("<!--"); begin != std::string::npos; begin = text.find("<!--", begin)) {
    const std::size_t end = text.find("-->", begin);
    const std::size_t stop = end == std::string::npos ? text.size() : end + 3;
    std::replace_if(
        text.begin() + static_cast<std::ptrdiff_t>(begin), text.begin() + static_cast<std::ptrdiff_t>(stop),
        [](char c) { return c != '\n'; }, ' ');
  }
  std::vector<TaggedText> found;
  const std::string open = "<" + tag + ">";
  const std::string close = "</" + tag + ">";
  for (std::size_t at = text.find(open); at != std::string::npos; at = text.find(open, at)) {
    at += open.size();
    const std::size_t end = text.find(close, at);
    if (end == std::string::npos) {
      break;
    }
    const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n') + 1;
    found.push_back({text.substr(at, end - at), static_cast<int>(line)});
  }
  return found;
}

}  // namespace postern
