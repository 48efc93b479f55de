// SPDX-License-Identifier: Apache-2.0
//
// Folders that posternd watches, on the real file system: a ConfigMap as kubelet mounts it, and the
// results of CNI plugins as libcni writes them.
#include <stdlib.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>

#include "agent/folder_watch.h"
#include "agent/policy_files.h"
#include "agent/sandbox/cni_results.h"

namespace postern {
namespace {

namespace fs = std::filesystem;

struct Folder {
  std::string path;

  Folder() {
    char name[] = "/tmp/postern-unit-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path); }
};

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::string policy(const std::string& name) {
  return "apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: " + name +
         "}\nspec: {allow: [{names: [a.example.com]}]}\n";
}

/// What kubelet's AtomicWriter does: a new folder with the files, and one rename of a symbolic link to it.
void publish(const std::string& folder, const std::string& version, const std::string& text) {
  const std::string old = fs::is_symlink(folder + "/..data") ? fs::read_symlink(folder + "/..data").string() : "";
  fs::create_directory(folder + "/" + version);
  write(folder + "/" + version + "/policies.yaml", text);
  fs::create_symlink(version, folder + "/..data_tmp");
  fs::rename(folder + "/..data_tmp", folder + "/..data");
  if (!fs::is_symlink(folder + "/policies.yaml")) {
    fs::create_symlink("..data/policies.yaml", folder + "/policies.yaml");
  }
  if (!old.empty()) {
    fs::remove_all(folder + "/" + old);
  }
}

template <typename Condition>
bool run_until(EventLoop& loop, const Condition& condition) {
  for (int i = 0; i < 100 && !condition(); ++i) {
    REQUIRE(loop.run_once(20));
  }
  return condition();
}

TEST_CASE("folders: a ConfigMap's swap of symbolic links is one change, and its files are read", "[agent]") {
  const Folder folder;
  publish(folder.path, "..2026_11_26_08_00_00.1", policy("one"));
  auto first = load_policies(folder.path, folder.path + "/none");
  REQUIRE(first);
  CHECK(first->policies.size() == 1);
  CHECK(first->policies.contains("one"));

  auto loop = EventLoop::make().value();
  int changes = 0;
  const auto watch = FolderWatch::make(*loop, {folder.path}, [&] { ++changes; });
  REQUIRE(watch);
  publish(folder.path, "..2026_11_26_08_00_01.2", policy("two"));
  REQUIRE(run_until(*loop, [&] { return changes > 0; }));
  auto second = load_policies(folder.path, folder.path + "/none");
  REQUIRE(second);
  CHECK(second->policies.size() == 1);
  CHECK(second->policies.contains("two"));
  for (int i = 0; i < 8; ++i) {
    REQUIRE(loop->run_once(20));
  }
  CHECK(changes == 1);
}

constexpr const char* kResult =
    R"({"kind":"cniCacheV1","cniArgs":[["K8S_POD_NAMESPACE","agents"],["K8S_POD_NAME","%"],["K8S_POD_UID","u-%"]],)"
    R"("result":{"ips":[{"address":"10.0.0.2/24"}]}})";

std::string result_of(const std::string& pod) {
  std::string text = kResult;
  for (std::size_t at = 0; (at = text.find('%')) != std::string::npos;) {
    text.replace(at, 1, pod);
  }
  return text;
}

HostLink link_with(const std::string& address, const std::string& name = "veth0") {
  HostLink link;
  link.info.name = name;
  link.addresses = {*Address::parse(address)};
  return link;
}

/// Asked of a node with these links.
const CniResult* find(const CniResults& results, const HostLink& link, const std::set<std::string>& links = {}) {
  return results.find(link, [&links](const std::string& name) { return links.contains(name); });
}

TEST_CASE("folders: results of the CNI are seen when they are written, the newest first", "[agent]") {
  const Folder folder;
  const HostLink link = link_with("10.0.0.2");
  write(folder.path + "/old", result_of("stale"));
  fs::last_write_time(folder.path + "/old", fs::file_time_type::clock::now() - std::chrono::hours(1));
  write(folder.path + "/loopback", "{}");
  auto loop = EventLoop::make().value();
  int changes = 0;
  CniResults results(*loop, folder.path, [&] { ++changes; });
  results.start();
  CHECK(results.available());
  CHECK(changes == 1);
  REQUIRE(find(results, link) != nullptr);
  CHECK(find(results, link)->pod.name == "stale");
  CHECK(find(results, link_with("10.0.0.3")) == nullptr);

  write(folder.path + "/new", result_of("agent"));
  REQUIRE(run_until(*loop, [&] { return changes > 1; }));
  REQUIRE(find(results, link) != nullptr);
  CHECK(find(results, link)->pod == PodRef{"u-agent", "agents", "agent"});

  fs::remove(folder.path + "/new");
  fs::remove(folder.path + "/old");
  REQUIRE(run_until(*loop, [&] { return find(results, link) == nullptr; }));
}

TEST_CASE("folders: a result of the CNI speaks of the link that it names, whatever another looks like", "[agent]") {
  const Folder folder;
  write(folder.path + "/one",
        R"({"kind":"cniCacheV1","cniArgs":[["K8S_POD_NAMESPACE","web"],["K8S_POD_NAME","one"]],)"
        R"("result":{"interfaces":[{"name":"cni0"},{"name":"veth1"}],"ips":[{"address":"10.0.0.2/24"}]}})");
  auto loop = EventLoop::make().value();
  CniResults results(*loop, folder.path, [] {});
  results.start();
  CHECK(find(results, link_with("10.0.0.2", "veth1"), {"veth1", "veth2"}) != nullptr);
  // What runs behind veth2 has taken the address.
  CHECK(find(results, link_with("10.0.0.2", "veth2"), {"veth1", "veth2"}) == nullptr);
  // No link has any of those names: renamed, or the CNI names none.
  CHECK(find(results, link_with("10.0.0.2", "veth2"), {"veth2"}) != nullptr);
}

TEST_CASE("folders: no folder of CNI results is no harm", "[agent]") {
  const Folder folder;
  auto loop = EventLoop::make().value();
  CniResults results(*loop, folder.path + "/none", [] {});
  results.start();
  CHECK_FALSE(results.available());
  CHECK(find(results, link_with("10.0.0.2")) == nullptr);
}

}  // namespace
}  // namespace postern
