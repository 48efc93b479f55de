// SPDX-License-Identifier: Apache-2.0
//
// Container registries: Docker, podman and what shares its files, containerd, k3s.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/discover.h"
#include "cli/yaml_scalars.h"

namespace postern {
namespace {

using nlohmann::json;

/// Docker Hub is called by a name that is not where its images are.
std::string registry_url(const std::string& name) {
  const bool hub = name == "docker.io" || name == "index.docker.io" || name.starts_with("https://index.docker.io/");
  if (hub) {
    return "https://registry-1.docker.io";
  }
  return name.find("://") == std::string::npos ? "https://" + name : name;
}

bool add_registry(const std::string& tool,
                  const std::string& name,
                  const std::string& setting,
                  const ConfigEntry& at,
                  const std::string& file,
                  Discovery& found) {
  return found.add(tool, registry_url(name), setting, file, at.line);
}

/// Docker's files are JSON, whose lines nobody keeps.
json read_json(const MachineView& machine, const std::string& file) {
  const auto text = machine.read(file);
  json read = text ? json::parse(*text, nullptr, false) : json();
  return read.is_object() ? read : json::object();
}

std::vector<std::string> texts_in(const json& object, const char* key) {
  std::vector<std::string> texts;
  if (const auto list = object.find(key); list != object.end() && list->is_array()) {
    for (const json& item : *list) {
      if (item.is_string()) {
        texts.push_back(item.get<std::string>());
      }
    }
  }
  return texts;
}

/// Registries that somebody has logged in to.
bool read_logins(const MachineView& machine, const std::string& tool, const std::string& file, Discovery& found) {
  const json config = read_json(machine, file);
  for (const char* key : {"auths", "credHelpers"}) {
    if (const auto names = config.find(key); names != config.end() && names->is_object()) {
      for (const auto& [name, login] : names->items()) {
        add_registry(tool, name, key, {}, file, found);
      }
    }
  }
  return !config.empty();
}

void read_docker(const MachineView& machine, Discovery& found) {
  const std::string file = "/etc/docker/daemon.json";
  const json daemon = read_json(machine, file);
  const auto mirrors = texts_in(daemon, "registry-mirrors");
  for (const std::string& mirror : mirrors) {
    found.add("docker", registry_url(mirror), "registry-mirrors", file, 0);
  }
  for (const std::string& registry : texts_in(daemon, "insecure-registries")) {
    if (registry.find('/') == std::string::npos) {  // not a range of addresses
      found.add("docker", registry_url(registry), "insecure-registries", file, 0);
    }
  }
  for (const std::string& home : machine.homes()) {
    read_logins(machine, "docker", home + "/.docker/config.json", found);
  }
  if (const std::string docker = machine.program("dockerd"); !docker.empty()) {
    // Mirrors are asked first; what they do not have comes from the Hub all the same.
    found.defaults.push_back({"docker", "container-registries:docker-hub", docker + ", its default registry"});
  }
}

/// registries.conf(5): places of registries and their mirrors, and where short names are looked for.
void read_podman(const MachineView& machine, Discovery& found) {
  std::vector<std::string> files{"/etc/containers/registries.conf"};
  std::ranges::move(machine.files_in("/etc/containers/registries.conf.d", ".conf"), std::back_inserter(files));
  for (const std::string& home : machine.homes()) {
    files.push_back(home + "/.config/containers/registries.conf");
    read_logins(machine, "podman", home + "/.config/containers/auth.json", found);
  }
  bool said = false;
  for (const std::string& file : files) {
    for (const ConfigEntry& entry : read_config(machine.read(file).value_or(""))) {
      const bool location = entry.key == "location" && entry.section.starts_with("registry");
      if (location || entry.key == "unqualified-search-registries") {
        said = add_registry("podman", entry.value, entry.key, entry, file, found) || said;
      }
    }
  }
  if (const std::string podman = machine.program("podman"); !podman.empty() && !said) {
    found.notes.push_back(
        "podman: no registry is configured; images are taken from whichever registry their name says.");
  }
}

/// containerd's certs.d/HOST/hosts.toml: the server, and mirrors as tables of their own.
void read_containerd(const MachineView& machine, Discovery& found) {
  for (const char* folder : {"/etc/containerd/certs.d", "/etc/docker/certs.d"}) {
    for (const std::string& host : machine.folders_in(folder)) {
      const std::string file = std::string(folder) + "/" + host + "/hosts.toml";
      std::string before;
      for (const ConfigEntry& entry : read_config(machine.read(file).value_or(""))) {
        if (entry.key == "server" && entry.section.empty()) {
          add_registry("containerd", entry.value, "server", entry, file, found);
        } else if (entry.section.starts_with("host.") && entry.section != before) {
          add_registry("containerd", entry.section.substr(5), "host", entry, file, found);
          before = entry.section;
        }
      }
    }
  }
  const std::string k3s = "/etc/rancher/k3s/registries.yaml";
  for (const YamlScalar& scalar : yaml_scalars(machine.read(k3s).value_or(""))) {
    if (scalar.path.back() == "endpoint") {
      found.add("k3s", registry_url(scalar.value), "endpoint", k3s, scalar.line);
    }
  }
}

}  // namespace

void discover_containers(const MachineView& machine, Discovery& found) {
  read_docker(machine, found);
  read_podman(machine, found);
  read_containerd(machine, found);
}

}  // namespace postern
