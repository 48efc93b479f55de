// SPDX-License-Identifier: Apache-2.0
//
// pip and uv, npm and Yarn, cargo and rustup, Go.
#include <algorithm>
#include <cctype>

#include "cli/discover.h"
#include "cli/yaml_scalars.h"

namespace postern {
namespace {

/// The first of these programs that is there.
std::string first_program(const MachineView& machine, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (std::string path = machine.program(name); !path.empty()) {
      return path;
    }
  }
  return "";
}

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// A variable that names a host. @return was it one?
bool add_variable(const MachineView& machine, const std::string& tool, const std::string& name, Discovery& found) {
  bool any = false;
  for (const std::string& url : words_of(machine.variable(name))) {
    any = found.add(tool, url, name, "environment", 0) || any;
  }
  return any;
}

std::vector<std::string> in_homes(const MachineView& machine, const std::string& name) {
  std::vector<std::string> paths;
  for (const std::string& home : machine.homes()) {
    paths.push_back(home + "/" + name);
  }
  return paths;
}

void append(std::vector<std::string>& to, std::vector<std::string> from) {
  std::ranges::move(from, std::back_inserter(to));
}

bool flag_of(const std::string& value) { return value == "true" || value == "1" || value == "yes" || value == "on"; }

/// One file of pip. @return does it put another index in the place of the default one?
bool read_pip_file(const MachineView& machine, const std::string& file, Discovery& found) {
  bool replaced = false;
  for (const ConfigEntry& entry : read_config(machine.read(file).value_or(""))) {
    const std::string key = lower_case(entry.key);
    if (key == "no-index" && flag_of(lower_case(entry.value))) {
      replaced = true;
    }
    if (key == "index-url" || key == "extra-index-url" || key == "find-links" || key == "proxy") {
      for (const std::string& url : words_of(machine.expand(entry.value))) {
        const bool host = found.add("pip", url, key, file, entry.line);
        replaced = replaced || (key == "index-url" && host);
      }
    }
  }
  return replaced;
}

bool read_uv_file(const MachineView& machine, const std::string& file, Discovery& found) {
  bool replaced = false;
  bool url_is_default = false;
  for (const ConfigEntry& entry : read_config(machine.read(file).value_or(""))) {
    if (entry.key == "index-url" || entry.key == "extra-index-url" || entry.key == "find-links" ||
        (entry.section == "index" && entry.key == "url")) {
      const bool host = found.add("uv", entry.value, entry.key, file, entry.line);
      replaced = replaced || (entry.key == "index-url" && host);
    }
    url_is_default = url_is_default || (entry.section == "index" && entry.key == "default" && entry.value == "true");
  }
  return replaced || url_is_default;
}

/// "registry=", "@scope:registry=" and proxies of one file. @return does it replace the default registry?
bool read_npmrc(const MachineView& machine, const std::string& file, Discovery& found) {
  bool replaced = false;
  for (const ConfigEntry& entry : read_config(machine.read(file).value_or(""))) {
    const bool registry = entry.key == "registry" || entry.key.ends_with(":registry");
    if (registry || entry.key == "proxy" || entry.key == "https-proxy") {
      const bool host = found.add("npm", machine.expand(entry.value), entry.key, file, entry.line);
      replaced = replaced || (entry.key == "registry" && host);
    }
  }
  return replaced;
}

bool read_yarn_files(const MachineView& machine, const std::vector<std::string>& folders, Discovery& found) {
  bool replaced = false;
  for (const std::string& folder : folders) {
    const std::string file = folder + "/.yarnrc.yml";
    for (const YamlScalar& scalar : yaml_scalars(machine.read(file).value_or(""))) {
      if (scalar.path.back() == "npmRegistryServer") {
        const bool host = found.add("yarn", machine.expand(scalar.value), scalar.path.back(), file, scalar.line);
        replaced = replaced || (host && scalar.path.size() == 1);
      }
    }
  }
  return replaced;
}

/// One configuration of cargo. @return does it replace crates.io?
bool read_cargo_file(const MachineView& machine, const std::string& file, Discovery& found) {
  bool replaced = false;
  for (const ConfigEntry& entry : read_config(machine.read(file).value_or(""))) {
    const bool source = entry.section.starts_with("source.") && entry.key == "registry";
    const bool registry = entry.section.starts_with("registries.") && entry.key == "index";
    const bool proxy = entry.section == "http" && entry.key == "proxy";
    if (source || registry) {
      if (found.add("cargo", entry.value, entry.section + "." + entry.key, file, entry.line)) {
        found.notes.push_back("cargo: the index of " + entry.section +
                              " may send downloads to another host: its config.json says which (\"dl\").");
      }
    } else if (proxy) {
      found.add("cargo", entry.value.find("://") == std::string::npos ? "http://" + entry.value : entry.value,
                "http.proxy", file, entry.line);
    }
    replaced = replaced || (entry.section == "source.crates-io" && entry.key == "replace-with");
  }
  return replaced;
}

/// GOPROXY: proxies with "," or "|" between them. @return did it say anything?
bool read_go_proxy(const std::string& value, const std::string& file, int line, Discovery& found) {
  std::string list = value;
  std::ranges::replace(list, '|', ',');
  for (const std::string& word : words_of(list)) {
    if (word == "direct") {
      found.notes.push_back(
          "go: GOPROXY ends in direct, so that modules a proxy does not have are fetched from the code "
          "host in their path: add those hosts (template git-hosts).");
    } else if (word != "off" && word != "proxy.golang.org" && word != "https://proxy.golang.org") {
      found.add("go", word, "GOPROXY", file, line);
    }
  }
  return !value.empty();
}

}  // namespace

void discover_pip(const MachineView& machine, Discovery& found) {
  std::vector<std::string> files{"/etc/pip.conf", "/etc/xdg/pip/pip.conf"};
  append(files, in_homes(machine, ".pip/pip.conf"));
  append(files, in_homes(machine, ".config/pip/pip.conf"));
  for (const char* variable : {"PIP_CONFIG_FILE", "VIRTUAL_ENV"}) {
    if (const std::string path = machine.variable(variable); !path.empty()) {
      files.push_back(variable == std::string("VIRTUAL_ENV") ? path + "/pip.conf" : path);
    }
  }
  bool replaced = add_variable(machine, "pip", "PIP_INDEX_URL", found);
  for (const char* variable :
       {"PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_PROXY", "UV_EXTRA_INDEX_URL", "UV_INDEX"}) {
    add_variable(machine, "pip", variable, found);
  }
  replaced = replaced || flag_of(lower_case(machine.variable("PIP_NO_INDEX")));
  for (const std::string& file : files) {
    replaced = read_pip_file(machine, file, found) || replaced;
  }
  const std::string pip = first_program(machine, {"pip3", "pip"});
  if (!replaced && !pip.empty()) {
    found.defaults.push_back({"pip", "package-registries:python", pip + ", no index configured"});
  }
  std::vector<std::string> uv_files{"/etc/uv/uv.toml"};
  append(uv_files, in_homes(machine, ".config/uv/uv.toml"));
  bool uv_replaced = add_variable(machine, "uv", "UV_DEFAULT_INDEX", found);
  uv_replaced = add_variable(machine, "uv", "UV_INDEX_URL", found) || uv_replaced;
  for (const std::string& file : uv_files) {
    uv_replaced = read_uv_file(machine, file, found) || uv_replaced;
  }
  if (const std::string uv = machine.program("uv"); !uv.empty() && !uv_replaced) {
    found.defaults.push_back({"uv", "package-registries:python", uv + ", no index configured"});
  }
}

void discover_npm(const MachineView& machine, Discovery& found) {
  std::vector<std::string> files{"/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc"};
  append(files, in_homes(machine, ".npmrc"));
  std::vector<std::string> folders = machine.homes();
  if (!machine.project().empty()) {
    files.push_back(machine.project() + "/.npmrc");
    folders.push_back(machine.project());
  }
  bool replaced = add_variable(machine, "npm", "npm_config_registry", found);
  replaced = add_variable(machine, "npm", "NPM_CONFIG_REGISTRY", found) || replaced;
  for (const std::string& file : files) {
    replaced = read_npmrc(machine, file, found) || replaced;
  }
  if (const std::string npm = first_program(machine, {"npm", "pnpm"}); !npm.empty() && !replaced) {
    found.defaults.push_back({"npm", "package-registries:npm", npm + ", no registry configured"});
  }
  bool yarn_replaced = add_variable(machine, "yarn", "YARN_NPM_REGISTRY_SERVER", found);
  yarn_replaced = read_yarn_files(machine, folders, found) || yarn_replaced;
  if (const std::string yarn = first_program(machine, {"yarn", "yarnpkg"});
      !yarn.empty() && !yarn_replaced && !replaced) {
    found.defaults.push_back({"yarn", "package-registries:yarn", yarn + ", no registry configured"});
  }
}

void discover_cargo(const MachineView& machine, Discovery& found) {
  std::vector<std::string> folders = in_homes(machine, ".cargo");
  if (const std::string home = machine.variable("CARGO_HOME"); !home.empty()) {
    folders.push_back(home);
  }
  if (!machine.project().empty()) {
    folders.push_back(machine.project() + "/.cargo");
  }
  bool replaced = false;
  for (const std::string& folder : folders) {
    for (const char* name : {"/config.toml", "/config"}) {
      replaced = read_cargo_file(machine, folder + name, found) || replaced;
    }
  }
  add_variable(machine, "cargo", "CARGO_HTTP_PROXY", found);
  if (const std::string cargo = machine.program("cargo"); !cargo.empty() && !replaced) {
    found.defaults.push_back({"cargo", "package-registries:rust", cargo + ", crates.io not replaced"});
  }
  const bool own_server = add_variable(machine, "rustup", "RUSTUP_DIST_SERVER", found);
  if (const std::string rustup = machine.program("rustup"); !rustup.empty() && !own_server) {
    found.defaults.push_back({"rustup", "package-registries:rustup", rustup + ", no server configured"});
  }
}

void discover_go(const MachineView& machine, Discovery& found) {
  std::vector<std::string> files = in_homes(machine, ".config/go/env");
  files.push_back("/usr/local/go/go.env");
  std::string proxy = machine.variable("GOPROXY");
  bool said = read_go_proxy(proxy, "environment", 0, found);
  std::string sums = machine.variable("GOSUMDB");
  for (const std::string& file : files) {
    for (const ConfigEntry& entry : read_config(machine.read(file).value_or(""))) {
      if (entry.key == "GOPROXY" && !said) {
        proxy = entry.value;
        said = read_go_proxy(proxy, file, entry.line, found);
      } else if (entry.key == "GOSUMDB" && sums.empty()) {
        sums = entry.value;
      }
    }
  }
  const std::string go = machine.program("go");
  const bool default_proxy = !said || proxy.find("proxy.golang.org") != std::string::npos;
  if (!go.empty() && default_proxy) {
    found.defaults.push_back({"go", "package-registries:go", go + ", the default GOPROXY"});
  } else if (said && sums != "off" && (sums.empty() || sums.starts_with("sum.golang.org"))) {
    found.notes.push_back("go: GOSUMDB is not off, so go asks sum.golang.org too unless the proxy passes it on.");
  }
}

}  // namespace postern
