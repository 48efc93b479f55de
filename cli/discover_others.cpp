// SPDX-License-Identifier: Apache-2.0
//
// Maven, gems and Bundler, and what goes for every tool: proxies.
#include <algorithm>

#include "cli/discover.h"
#include "cli/yaml_scalars.h"

namespace postern {
namespace {

std::string url_in(const TaggedText& block) {
  const auto urls = tagged(block.text, "url");
  return urls.empty() ? "" : words_of(urls[0].text).empty() ? "" : words_of(urls[0].text)[0];
}

/// One settings.xml. @return does a mirror stand for Central?
bool read_maven_file(const MachineView& machine, const std::string& file, Discovery& found) {
  const std::string text = machine.read(file).value_or("");
  bool replaced = false;
  for (const TaggedText& mirror : tagged(text, "mirror")) {
    if (const auto blocked = tagged(mirror.text, "blocked"); !blocked.empty() && blocked[0].text == "true") {
      continue;  // Maven's own way to shut plain HTTP out
    }
    const auto of = tagged(mirror.text, "mirrorOf");
    const auto whose = of.empty() ? std::vector<std::string>() : words_of(of[0].text);
    const bool central = std::ranges::any_of(
        whose, [](const std::string& word) { return word == "*" || word == "central" || word == "external:*"; });
    replaced = (found.add("maven", url_in(mirror), "mirror", file, mirror.line) && central) || replaced;
  }
  for (const char* tag : {"repository", "pluginRepository"}) {
    for (const TaggedText& repository : tagged(text, tag)) {
      found.add("maven", url_in(repository), tag, file, repository.line);
    }
  }
  for (const TaggedText& proxy : tagged(text, "proxy")) {
    const auto active = tagged(proxy.text, "active");
    const auto host = tagged(proxy.text, "host");
    const auto port = tagged(proxy.text, "port");
    if (!host.empty() && (active.empty() || words_of(active[0].text) == std::vector<std::string>{"true"})) {
      found.add("maven", "http://" + host[0].text + (port.empty() ? "" : ":" + port[0].text), "proxy", file,
                proxy.line);
    }
  }
  return replaced;
}

bool read_gem_file(const MachineView& machine, const std::string& file, Discovery& found) {
  bool replaced = false;
  for (const YamlScalar& scalar : yaml_scalars(machine.read(file).value_or(""))) {
    const bool source = scalar.path.back() == ":sources" || scalar.path.back() == "sources";
    if (source || scalar.path.back() == "http_proxy" || scalar.path.back() == ":http_proxy") {
      replaced =
          (found.add("gem", scalar.value, source ? "sources" : "http_proxy", file, scalar.line) && source) || replaced;
    }
  }
  return replaced;
}

/// Mirrors of Bundler. @return does one stand for the default source?
bool read_bundle_file(const MachineView& machine, const std::string& file, Discovery& found) {
  bool replaced = false;
  for (const YamlScalar& scalar : yaml_scalars(machine.read(file).value_or(""))) {
    const std::string& key = scalar.path.back();
    if (key.starts_with("BUNDLE_MIRROR__") && found.add("bundler", scalar.value, "mirror", file, scalar.line)) {
      replaced = replaced || key.find("RUBYGEMS__ORG") != std::string::npos || key == "BUNDLE_MIRROR__ALL";
    }
  }
  return replaced;
}

}  // namespace

bool Discovery::add(
    const std::string& tool, std::string_view url, const std::string& setting, const std::string& file, int line) {
  auto host = host_of_url(url);
  if (!host) {
    return false;
  }
  hosts.push_back({tool, std::move(*host), setting, file, line});
  return true;
}

void discover_maven(const MachineView& machine, Discovery& found) {
  bool replaced = false;
  std::vector<std::string> files{"/etc/maven/settings.xml", "/usr/share/maven/conf/settings.xml",
                                 "/opt/maven/conf/settings.xml"};
  bool used = false;
  for (const std::string& home : machine.homes()) {
    files.push_back(home + "/.m2/settings.xml");
    used = used || !machine.folders_in(home + "/.m2").empty() || !machine.folders_in(home + "/.gradle").empty();
  }
  for (const std::string& file : files) {
    replaced = read_maven_file(machine, file, found) || replaced;
  }
  const std::string maven = machine.program("mvn");
  if (!replaced && (!maven.empty() || used)) {
    found.defaults.push_back({"maven", "package-registries:maven",
                              (maven.empty() ? std::string("~/.m2 or ~/.gradle") : maven) + ", no mirror configured"});
  }
}

void discover_gem(const MachineView& machine, Discovery& found) {
  bool replaced = read_gem_file(machine, "/etc/gemrc", found);
  for (const std::string& home : machine.homes()) {
    replaced = read_gem_file(machine, home + "/.gemrc", found) || replaced;
    replaced = read_bundle_file(machine, home + "/.bundle/config", found) || replaced;
  }
  if (!machine.project().empty()) {
    replaced = read_bundle_file(machine, machine.project() + "/.bundle/config", found) || replaced;
  }
  if (const std::string gem = machine.program("gem"); !gem.empty() && !replaced) {
    found.defaults.push_back({"gem", "package-registries:ruby", gem + ", no source configured"});
  }
}

void discover_proxy(const MachineView& machine, Discovery& found) {
  for (const char* name : {"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"}) {
    found.add("proxy", machine.variable(name), name, "environment", 0);
    for (const ConfigEntry& entry : read_config(machine.read("/etc/environment").value_or(""))) {
      if (entry.key == name) {
        found.add("proxy", entry.value, name, "/etc/environment", entry.line);
      }
    }
  }
}

}  // namespace postern
