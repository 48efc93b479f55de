// SPDX-License-Identifier: Apache-2.0
//
// `postern allowlist discover`: hosts out of configuration files as people write them, in a folder that stands for
// another machine.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/discover.h"
#include "cli/yaml_scalars.h"

namespace postern {
namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

/// A machine's file system, removed at the end.
class FakeRoot {
 public:
  FakeRoot() {
    std::string name = (fs::temp_directory_path() / "postern-root-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  FakeRoot(const FakeRoot&) = delete;
  FakeRoot& operator=(const FakeRoot&) = delete;
  ~FakeRoot() { fs::remove_all(folder_); }

  FakeRoot& with(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(folder_ + path).parent_path());
    std::ofstream(folder_ + path) << text;
    return *this;
  }
  MachineView view(const std::string& project = "") const {
    return {folder_, project, {{"PIP_INDEX_URL", "https://no.example"}}};
  }
  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
};

using Discoverer = void (*)(const MachineView&, Discovery&);

/// "host:port setting file:line", and "default group".
Lines found_by(Discoverer discover, const MachineView& machine) {
  Discovery found;
  discover(machine, found);
  Lines lines;
  for (const FoundHost& host : found.hosts) {
    lines.push_back(host.host.host + ":" + std::to_string(host.host.port) + " " + host.setting + " " + host.file + ":" +
                    std::to_string(host.line));
  }
  for (const FoundDefault& standard : found.defaults) {
    lines.push_back("default " + standard.group);
  }
  return lines;
}

TEST_CASE("discover: URLs as configuration files have them", "[allowlist]") {
  const auto text = [](std::string_view url, std::string_view scheme = "") {
    const auto host = host_of_url(url, scheme);
    return host ? host->host + " " + std::to_string(host->port) : "none";
  };
  CHECK(text("https://Mirror.Corp.example/simple") == "mirror.corp.example 443");
  CHECK(text("http://user:p%40ss@mirror.corp.example:8081/x@y") == "mirror.corp.example 8081");
  CHECK(text("sparse+https://crates.corp.example/index/") == "crates.corp.example 443");
  CHECK(text("https://[2001:db8::7]:5000/v2/") == "2001:db8::7 5000");
  CHECK(text("ssh://git@git.corp.example/x") == "git.corp.example 22");
  CHECK(text("registry.corp.example:5000/team", "https") == "registry.corp.example 5000");
  for (const char* none : {"", "/opt/wheels", "file:///opt/wheels", "cdrom:[x]/", "https://${HOST}/",
                           "https://a:99999/", "https://a:1x/", "https://", "registry.corp.example"}) {
    CHECK(text(none) == "none");
  }
}

TEST_CASE("discover: keys and values of INI, TOML and npmrc", "[allowlist]") {
  const auto entries = read_config(
      "# c\n[global]\nindex-url = https://a.example/ # c\nfind-links =\n    https://b.example\n    https://c.example\n"
      "[source.\"x\"]\nregistry = \"https://d.example\"\nlist = [\"e\",\n 'f']\ng = { h = \"i\", j = 'k' "
      "}\n@s:registry=l\n");
  Lines lines;
  for (const ConfigEntry& entry : entries) {
    lines.push_back(std::to_string(entry.line) + " " + entry.section + "/" + entry.key + "=" + entry.value);
  }
  CHECK(lines ==
        Lines{"3 global/index-url=https://a.example/", "4 global/find-links=", "5 global/find-links=https://b.example",
              "6 global/find-links=https://c.example", "8 source.x/registry=https://d.example", "9 source.x/list=e",
              "10 source.x/list=f", "11 source.x.g/h=i", "11 source.x.g/j=k", "12 source.x/@s:registry=l"});
  CHECK(yaml_scalars("a: [b, {c: d}]\n").size() == 2);
  CHECK(yaml_scalars("a: [").empty());
}

TEST_CASE("discover: pip", "[allowlist]") {
  FakeRoot root;
  root.with("/usr/bin/pip3", "");
  CHECK(found_by(discover_pip, root.view()) == Lines{"default package-registries:python"});
  root.with("/home/dev/.config/pip/pip.conf", "[global]\nextra-index-url = https://extra.corp.example/simple\n");
  CHECK(found_by(discover_pip, root.view()) ==
        Lines{"extra.corp.example:443 extra-index-url /home/dev/.config/pip/pip.conf:2",
              "default package-registries:python"});
  root.with("/etc/pip.conf",
            "[global]\nindex-url = https://me:secret@mirror.corp.example:8443/simple\nfind-links = /opt/wheels\n");
  CHECK(found_by(discover_pip, root.view()) ==
        Lines{"mirror.corp.example:8443 index-url /etc/pip.conf:2",
              "extra.corp.example:443 extra-index-url /home/dev/.config/pip/pip.conf:2"});
}

TEST_CASE("discover: npm, Yarn and a project of one's own", "[allowlist]") {
  FakeRoot root;
  root.with("/usr/local/bin/npm", "")
      .with("/root/.npmrc", "@corp:registry=https://npm.corp.example/\n//npm.corp.example/:_authToken=secret\n");
  CHECK(found_by(discover_npm, root.view()) ==
        Lines{"npm.corp.example:443 @corp:registry /root/.npmrc:1", "default package-registries:npm"});
  root.with("/src/.npmrc", "registry = http://npm.corp.example:4873\n")
      .with("/src/.yarnrc.yml", "npmScopes:\n  corp:\n    npmRegistryServer: \"https://yarn.corp.example\"\n");
  CHECK(found_by(discover_npm, root.view("/src")) ==
        Lines{"npm.corp.example:443 @corp:registry /root/.npmrc:1", "npm.corp.example:4873 registry /src/.npmrc:1",
              "yarn.corp.example:443 npmRegistryServer /src/.yarnrc.yml:3"});
}

TEST_CASE("discover: cargo and Go", "[allowlist]") {
  FakeRoot root;
  root.with("/root/.cargo/bin/cargo", "").with("/usr/local/go/bin/go", "");
  CHECK(found_by(discover_cargo, root.view()) == Lines{"default package-registries:rust"});
  CHECK(found_by(discover_go, root.view()) == Lines{"default package-registries:go"});
  root.with("/root/.cargo/config.toml",
            "[source.crates-io]\nreplace-with = \"corp\"\n[source.corp]\nregistry = "
            "\"sparse+https://crates.corp.example/index/\"\n[registries]\nteam = { index = "
            "\"https://git.corp.example/i\" }\n");
  CHECK(found_by(discover_cargo, root.view()) ==
        Lines{"crates.corp.example:443 source.corp.registry /root/.cargo/config.toml:4",
              "git.corp.example:443 registries.team.index /root/.cargo/config.toml:6"});
  root.with("/root/.config/go/env", "GOPROXY=https://go.corp.example|direct\nGOSUMDB=off\n");
  CHECK(found_by(discover_go, root.view()) == Lines{"go.corp.example:443 GOPROXY /root/.config/go/env:1"});
}

TEST_CASE("discover: Maven, without the examples in comments; gems and Bundler", "[allowlist]") {
  FakeRoot root;
  root.with("/usr/bin/mvn", "")
      .with("/usr/bin/gem", "")
      .with("/etc/maven/settings.xml",
            "<settings>\n<mirror><mirrorOf>external:http:*</mirrorOf><url>http://0.0.0.0/</url><blocked>true</"
            "blocked></mirror>\n<!-- "
            "<mirror><url>http://my.repository.com/</url></mirror> -->\n</settings>\n");
  CHECK(found_by(discover_maven, root.view()) == Lines{"default package-registries:maven"});
  CHECK(found_by(discover_gem, root.view()) == Lines{"default package-registries:ruby"});
  root.with("/root/.m2/settings.xml",
            "<settings><mirrors>\n<mirror><id>c</id><mirrorOf>central,other</mirrorOf>\n<url>https://"
            "maven.corp.example/c</url>"
            "</mirror></mirrors>\n<proxies><proxy><active>true</active><host>proxy.corp.example</host><port>3128</port>"
            "</proxy></proxies></settings>");
  CHECK(found_by(discover_maven, root.view()) == Lines{"maven.corp.example:443 mirror /root/.m2/settings.xml:2",
                                                       "proxy.corp.example:3128 proxy /root/.m2/settings.xml:4"});
  root.with("/root/.gemrc", "---\n:sources:\n- https://gems.corp.example/\n")
      .with("/root/.bundle/config", "---\nBUNDLE_MIRROR__HTTPS://RUBYGEMS__ORG/: \"https://bundle.corp.example/\"\n");
  CHECK(found_by(discover_gem, root.view()) ==
        Lines{"gems.corp.example:443 sources /root/.gemrc:3", "bundle.corp.example:443 mirror /root/.bundle/config:2"});
}

TEST_CASE("discover: apt's two forms of sources, and its proxies", "[allowlist]") {
  FakeRoot root;
  root.with("/etc/apt/sources.list",
            "# deb http://old.corp.example/x y z\ndeb [arch=amd64 signed-by=/x.gpg] http://deb.corp.example/x stable "
            "main\n"
            "deb-src https://src.corp.example:8443/x stable main\ndeb cdrom:[x]/ stable main\n")
      .with("/etc/apt/sources.list.d/a.sources",
            "Types: deb\nURIs: https://one.corp.example/x\n https://two.corp.example/x\nSuites: stable\n\n"
            "Enabled: no\nURIs: https://three.corp.example/x\n")
      .with("/etc/apt/sources.list.d/b.list.disabled", "deb http://four.corp.example/x y z\n");
  CHECK(found_by(discover_apt, root.view()) ==
        Lines{"deb.corp.example:80 source /etc/apt/sources.list:2",
              "src.corp.example:8443 source /etc/apt/sources.list:3",
              "one.corp.example:443 source /etc/apt/sources.list.d/a.sources:2",
              "two.corp.example:443 source /etc/apt/sources.list.d/a.sources:3"});
  root.with("/etc/apt/apt.conf.d/01proxy",
            "Acquire::http::Proxy \"http://apt.corp.example:3142\";\nAcquire::https::Proxy "
            "\"http://apt.corp.example:3143\";\n"
            "Acquire::https::Proxy::one.corp.example \"DIRECT\";\n");
  CHECK(found_by(discover_apt, root.view()) ==
        Lines{"apt.corp.example:3142 Acquire::http::Proxy /etc/apt/apt.conf.d/01proxy:1",
              "apt.corp.example:3143 Acquire::https::Proxy /etc/apt/apt.conf.d/01proxy:2",
              "one.corp.example:443 source /etc/apt/sources.list.d/a.sources:2",
              "apt.corp.example:3143 Acquire::https::Proxy /etc/apt/apt.conf.d/01proxy:2"});
}

TEST_CASE("discover: container registries", "[allowlist]") {
  FakeRoot root;
  root.with("/usr/bin/dockerd", "")
      .with(
          "/etc/docker/daemon.json",
          R"({"registry-mirrors": ["https://mirror.corp.example"], "insecure-registries": ["10.0.0.0/8", "reg.corp.example:5000"]})")
      .with("/root/.docker/config.json",
            R"({"auths": {"https://index.docker.io/v1/": {"auth": "c2VjcmV0"}, "ghcr.io": {}}})")
      .with("/etc/containers/registries.conf",
            "unqualified-search-registries = [\"docker.io\"]\n[[registry]]\nprefix = \"docker.io\"\nlocation = "
            "\"pod.corp.example/hub\"\n[[registry.mirror]]\nlocation = \"pod-mirror.corp.example\"\n")
      .with("/etc/containerd/certs.d/docker.io/hosts.toml",
            "server = \"https://registry-1.docker.io\"\n[host.\"https://cd.corp.example:8443\"]\n  capabilities = "
            "[\"pull\"]\n  skip_verify = true\n")
      .with("/etc/rancher/k3s/registries.yaml",
            "mirrors:\n  docker.io:\n    endpoint: [\"https://k3s.corp.example\"]\n");
  CHECK(found_by(discover_containers, root.view()) ==
        Lines{"mirror.corp.example:443 registry-mirrors /etc/docker/daemon.json:0",
              "reg.corp.example:5000 insecure-registries /etc/docker/daemon.json:0",
              "ghcr.io:443 auths /root/.docker/config.json:0",
              "registry-1.docker.io:443 auths /root/.docker/config.json:0",
              "registry-1.docker.io:443 unqualified-search-registries /etc/containers/registries.conf:1",
              "pod.corp.example:443 location /etc/containers/registries.conf:4",
              "pod-mirror.corp.example:443 location /etc/containers/registries.conf:6",
              "registry-1.docker.io:443 server /etc/containerd/certs.d/docker.io/hosts.toml:1",
              "cd.corp.example:8443 host /etc/containerd/certs.d/docker.io/hosts.toml:3",
              "k3s.corp.example:443 endpoint /etc/rancher/k3s/registries.yaml:3",
              "default container-registries:docker-hub"});
}

TEST_CASE("discover: files of another machine, and nothing of this one", "[allowlist]") {
  FakeRoot root;
  root.with("/etc/keep", "x");
  CHECK_FALSE(root.view().read("/etc/passwd").has_value());
  fs::create_symlink("/etc/passwd", root.folder() + "/etc/link");
  CHECK_FALSE(root.view().read("/etc/link").has_value());
  CHECK_FALSE(root.view().read("/../../../../etc/passwd").has_value());
  CHECK(root.view().variable("PIP_INDEX_URL").empty());
  CHECK(MachineView("", "", {{"A", "b"}}).expand("${A}/$A/${C}") == "b/b/${C}");
  root.with("/big", std::string(MachineView::kFileMax + 1, 'x'));
  CHECK_FALSE(root.view().read("/big").has_value());
  for (Discoverer discover : {discover_pip, discover_npm, discover_cargo, discover_go, discover_maven, discover_gem,
                              discover_apt, discover_containers, discover_proxy}) {
    CHECK(found_by(discover, root.view()).empty());
  }
}

}  // namespace
}  // namespace postern
