// SPDX-License-Identifier: Apache-2.0
//
// Where the API server is and who we are: kubeconfig files, the service account folder, tokens.
#include "agent/kube/kube_config.h"

#include <stdlib.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>
#include <fstream>

#include "agent/kube/token_source.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;

/// A folder of its own, gone at the end.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/postern-unit-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }
  /// Under another inode, as kubelet does it.
  void put(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/.new") << text;
    std::filesystem::rename(path_ + "/.new", path_ + "/" + name);
  }

 private:
  std::string path_;
};

constexpr std::string_view kHead = R"(
apiVersion: v1
kind: Config
preferences: {}
current-context: here
contexts:
- {name: elsewhere, context: {cluster: other, user: other}}
- {name: here, context: {cluster: c, user: u, namespace: postern-system}}
)";

std::string kubeconfig(const std::string& cluster, const std::string& user) {
  return std::string(kHead) + "clusters:\n- {name: c, cluster: {" + cluster + "}}\nusers:\n- {name: u, user: {" + user +
         "}}\n";
}

std::string error_of(const std::string& text) {
  Diagnostics diagnostics;
  static_cast<void>(read_kubeconfig(text, "/etc/k/config", diagnostics));
  return diagnostics.failed() ? diagnostics.to_error().message() : "";
}

const std::string kServer = "server: 'https://192.0.2.1:6443/'";

}  // namespace

TEST_CASE("kubeconfig: the current context's cluster and user") {
  Diagnostics diagnostics;
  const KubeConfig config = read_kubeconfig(
      kubeconfig(kServer + ", certificate-authority: pki/ca.crt, tls-server-name: api.example",
                 "tokenFile: token, client-certificate-data: LS0tLS1CRUdJTiBYLS0tLS0K, client-key: /k.pem"),
      "/etc/k/config", diagnostics);
  REQUIRE_FALSE(diagnostics.failed());
  CHECK(config.server == "https://192.0.2.1:6443");
  CHECK(config.tls_server_name == "api.example");
  CHECK(config.ca.path == "/etc/k/pki/ca.crt");
  CHECK(config.token_file == "/etc/k/token");
  CHECK(config.client_certificate.data == "-----BEGIN X-----\n");
  CHECK(config.client_key.path == "/k.pem");
  CHECK(config.space == "postern-system");
  CHECK(config.origin == "kubeconfig /etc/k/config, context here");
}

TEST_CASE("kubeconfig: what would weaken TLS or run a program is refused") {
  const std::string token = "token: t";
  CHECK(error_of(kubeconfig(kServer, token)).empty());
  CHECK_THAT(error_of(kubeconfig(kServer + ", insecure-skip-tls-verify: true", token)),
             ContainsSubstring("is not accepted"));
  CHECK(error_of(kubeconfig(kServer + ", insecure-skip-tls-verify: false", token)).empty());
  CHECK_THAT(error_of(kubeconfig(kServer + ", proxy-url: 'http://p:1'", token)), ContainsSubstring("without a proxy"));
  CHECK_THAT(error_of(kubeconfig("server: 'http://192.0.2.1'", token)), ContainsSubstring("https://"));
  CHECK_THAT(error_of(kubeconfig("server: 'https://a@192.0.2.1'", token)),
             ContainsSubstring("is not https://HOST:PORT"));
  CHECK_THAT(error_of(kubeconfig(kServer, "exec: {command: aws}")), ContainsSubstring("starts no programs"));
  CHECK_THAT(error_of(kubeconfig(kServer, "auth-provider: {name: gcp}")), ContainsSubstring("starts no programs"));
  CHECK_THAT(error_of(kubeconfig(kServer, "username: a, password: b")), ContainsSubstring("is not supported"));
  CHECK_THAT(error_of(kubeconfig(kServer, "token: t, as: admin")), ContainsSubstring("is not supported"));
  CHECK_THAT(error_of(kubeconfig(kServer, "")), ContainsSubstring("no credentials"));
  CHECK_THAT(error_of(kubeconfig(kServer, "client-certificate: /c")), ContainsSubstring("give both"));
  CHECK_THAT(error_of(kubeconfig(kServer + ", certificate-authority-data: '!!'", token)), ContainsSubstring("base64"));
  CHECK_THAT(error_of(kubeconfig(kServer + ", certificate-authority-data: YWJj", token)), ContainsSubstring("no PEM"));
}

TEST_CASE("kubeconfig: a token that would break the header is refused, and is in no text") {
  const std::string text = error_of(kubeconfig(kServer, R"(token: "sec\r\nret")"));
  CHECK_THAT(text, ContainsSubstring("is not a token"));
  CHECK_THAT(text, !ContainsSubstring("ret\""));
}

TEST_CASE("kubeconfig: names that lead nowhere") {
  CHECK_THAT(error_of(""), ContainsSubstring("is empty"));
  CHECK_THAT(error_of("[]"), ContainsSubstring("no kubeconfig"));
  CHECK_THAT(error_of("apiVersion: v1\n"), ContainsSubstring("current-context"));
  CHECK_THAT(error_of("current-context: x\ncontexts: []\n"), ContainsSubstring("no entry named \"x\""));
  CHECK_THAT(error_of(std::string(kHead) + "clusters: []\nusers: []\n"), ContainsSubstring("no entry named \"c\""));
}

TEST_CASE("in-cluster: the service account's folder") {
  const Folder folder;
  CHECK_THAT(in_cluster_config("10.96.0.1", "443", folder.path()).error().message(),
             ContainsSubstring("automountServiceAccountToken"));
  folder.put("token", "abc.def\n");
  folder.put("namespace", "postern-system");
  auto config = in_cluster_config("10.96.0.1", "443", folder.path());
  REQUIRE(config);
  CHECK(config->server == "https://10.96.0.1:443");
  CHECK(config->ca.path == folder / "ca.crt");
  CHECK(config->token_file == folder / "token");
  CHECK(config->space == "postern-system");
  config = in_cluster_config("fd00::1", "6443", folder.path());
  REQUIRE(config);
  CHECK(config->server == "https://[fd00::1]:6443");
  CHECK_THAT(in_cluster_config("", "", folder.path()).error().message(), ContainsSubstring("KUBERNETES_SERVICE_HOST"));
}

TEST_CASE("token source: reads again when the file is another one, after a minute, and when refused") {
  const Folder folder;
  BootNs now{kNsPerS};
  TokenSource source("", folder / "token");
  CHECK_FALSE(source.get(now));
  folder.put("token", "one\n");
  CHECK(source.get(now).value() == "one");
  folder.put("token", "two\n");
  CHECK(source.get(now).value() == "two");

  // The same file, size and time with other content: only time or a refusal shows it.
  const auto written = std::filesystem::last_write_time(folder / "token");
  std::ofstream(folder / "token") << "six\n";
  std::filesystem::last_write_time(folder / "token", written);
  CHECK(source.get(now).value() == "two");
  source.refused();
  CHECK(source.get(now).value() == "six");
  std::ofstream(folder / "token") << "ten\n";
  std::filesystem::last_write_time(folder / "token", written);
  CHECK(source.get(now).value() == "six");
  now = now + TokenSource::kReadS * kNsPerS;
  CHECK(source.get(now).value() == "ten");
}

TEST_CASE("token source: a file that goes away or goes bad leaves the old token") {
  const Folder folder;
  folder.put("token", "one");
  TokenSource source("", folder / "token");
  REQUIRE(source.get({1}));
  std::filesystem::remove(folder / "token");
  CHECK(source.get({2}).value() == "one");
  folder.put("token", "two lines\nof text");
  CHECK(source.get({3}).value() == "one");
  folder.put("token", "two");
  CHECK(source.get({4}).value() == "two");
}

}  // namespace postern
