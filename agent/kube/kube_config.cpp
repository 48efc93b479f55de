// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/kube_config.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "agent/kube/token_source.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/text_files.h"
#include "policies/yaml_field.h"

namespace postern {
namespace {

constexpr std::size_t kNamespaceFileMax = 4096;

/// RFC 4648 4, strictly; line breaks are passed over.
Result<std::string> base64_decoded(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string decoded;
  std::uint32_t bits = 0;
  int count = 0;
  std::size_t padding = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == ' ') {
      continue;
    }
    if (c == '=') {
      ++padding;
      continue;
    }
    const auto value = kAlphabet.find(c);
    if (value == std::string_view::npos || padding != 0) {
      return Error(Errc::kInvalid, "is not base64");
    }
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      decoded += static_cast<char>(bits >> count & 0xff);
    }
  }
  if (padding > 2 || count >= 6) {
    return Error(Errc::kInvalid, "is not base64: its end is missing");
  }
  return decoded;
}

/// https://HOST[:PORT][/PATH], without user, query or a slash at its end.
Result<std::string> checked_server(std::string_view text) {
  constexpr std::string_view kScheme = "https://";
  if (!text.starts_with(kScheme)) {
    return Error(Errc::kInvalid, "\"" + printable(text) + "\" does not begin with https://: only TLS is spoken");
  }
  while (text.ends_with('/')) {
    text.remove_suffix(1);
  }
  const bool clean =
      std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != '@' && c != '?' && c != '#'; });
  if (text.size() <= kScheme.size() || !clean) {
    return Error(Errc::kInvalid, "\"" + printable(text) + "\" is not https://HOST:PORT");
  }
  return std::string(text);
}

/// The one entry of a list of {name, KEY} whose name is `name`; missing when there is none.
YamlField named(const YamlField& list, const std::string& name, const char* key) {
  for (const YamlField& item : list.items()) {
    if (item["name"].text() == name) {
      return item[key];
    }
  }
  list.error("has no entry named \"" + printable(name) + "\"");
  return list["missing"];
}

class KubeconfigReader {
 public:
  KubeconfigReader(const std::string& file, KubeConfig& config)
      : folder_(std::filesystem::path(file).parent_path()), config_(config) {}

  void read(const YamlField& root, const std::string& file) {
    root.only({"apiVersion", "kind", "preferences", "clusters", "users", "contexts", "current-context", "extensions"});
    const std::string context_name = root["current-context"].text();
    if (context_name.empty()) {
      return;
    }
    config_.origin = "kubeconfig " + printable(file) + ", context " + printable(context_name);
    const YamlField context = named(root["contexts"], context_name, "context");
    if (!context.present()) {
      return;
    }
    context.only({"cluster", "user", "namespace", "extensions"});
    config_.space = context["namespace"].text_or("default");
    if (const YamlField cluster = named(root["clusters"], context["cluster"].text(), "cluster"); cluster.present()) {
      read_cluster(cluster);
    }
    if (!context["user"].present()) {
      context.error("names no user: add one, or a token");
    } else if (const YamlField user = named(root["users"], context["user"].text(), "user"); user.present()) {
      read_user(user);
    }
  }

 private:
  void read_cluster(const YamlField& cluster) {
    cluster.only({"server", "tls-server-name", "certificate-authority", "certificate-authority-data",
                  "insecure-skip-tls-verify", "proxy-url", "disable-compression", "extensions"});
    if (cluster["insecure-skip-tls-verify"].flag_or(false)) {
      cluster["insecure-skip-tls-verify"].error(
          "is not accepted: whoever is on the path could then hand out labels and policies; "
          "give certificate-authority instead");
    }
    if (cluster["proxy-url"].present()) {
      cluster["proxy-url"].error("is not supported: name a server that is reached without a proxy");
    }
    auto server = checked_server(cluster["server"].text());
    if (server) {
      config_.server = std::move(server).value();
    } else if (cluster["server"].type() == YamlField::Type::kScalar) {
      cluster["server"].error(server.error().message());
    }
    config_.tls_server_name = cluster["tls-server-name"].text_or("");
    config_.ca = pem(cluster, "certificate-authority", "certificate-authority-data");
  }

  void read_user(const YamlField& user) {
    user.only({"token", "tokenFile", "client-certificate", "client-certificate-data", "client-key", "client-key-data",
               "exec", "auth-provider", "username", "password", "as", "as-uid", "as-groups", "as-user-extra",
               "extensions"});
    for (const char* refused : {"exec", "auth-provider"}) {
      if (user[refused].present()) {
        user[refused].error(
            "is not supported: posternd starts no programs; give token, tokenFile or a client certificate");
      }
    }
    for (const char* refused : {"username", "password", "as", "as-uid", "as-groups", "as-user-extra"}) {
      if (user[refused].present()) {
        user[refused].error("is not supported: give token, tokenFile or a client certificate");
      }
    }
    config_.token = user["token"].text_or("");
    if (!config_.token.empty() && !is_token(config_.token)) {
      user["token"].error("is not a token: spaces and control characters cannot be sent");
    }
    if (user["tokenFile"].present()) {
      config_.token_file = absolute(user["tokenFile"].text());
    }
    config_.client_certificate = pem(user, "client-certificate", "client-certificate-data");
    config_.client_key = pem(user, "client-key", "client-key-data");
    if (config_.client_certificate.present() != config_.client_key.present()) {
      user.error("has only one of client-certificate and client-key: give both");
    }
    if (config_.token.empty() && config_.token_file.empty() && !config_.client_certificate.present()) {
      user.error("has no credentials: give token, tokenFile or client-certificate and client-key");
    }
  }

  Pem pem(const YamlField& from, const char* path_key, const char* data_key) {
    Pem made;
    if (const YamlField data = from[data_key]; data.present()) {  // wins over the path, as kubectl has it
      auto decoded = base64_decoded(data.text());
      if (!decoded) {
        data.error(decoded.error().message());
      } else if (decoded->find("-----BEGIN ") == std::string::npos) {
        data.error("holds no PEM (-----BEGIN ...)");
      } else {
        made.data = std::move(decoded).value();
      }
    } else if (const YamlField path = from[path_key]; path.present()) {
      made.path = absolute(path.text());
    }
    return made;
  }

  std::string absolute(const std::string& path) const {
    return path.empty() || path.front() == '/' ? path : (folder_ / path).string();
  }

  std::filesystem::path folder_;
  KubeConfig& config_;
};

}  // namespace

KubeConfig read_kubeconfig(std::string_view text, const std::string& file, Diagnostics& diagnostics) {
  KubeConfig config;
  const auto documents = YamlField::parse(text, file, diagnostics);
  if (documents.size() != 1) {
    if (!diagnostics.failed()) {
      diagnostics.error({file}, "", documents.empty() ? "is empty: it is no kubeconfig" : "is more than one document");
    }
    return config;
  }
  if (documents[0].type() != YamlField::Type::kMap) {
    documents[0].error("is no kubeconfig: expected a map of fields");
    return config;
  }
  KubeconfigReader(file, config).read(documents[0], file);
  return config;
}

Result<KubeConfig> in_cluster_config(std::string_view host, std::string_view port, const std::string& folder) {
  KubeConfig config;
  config.origin = "the pod's service account";
  const auto address = Address::parse(host);
  const bool v6 = address && !address->is_v4();
  auto server =
      checked_server("https://" + (v6 ? "[" + std::string(host) + "]" : std::string(host)) + ":" + std::string(port));
  if (!server || host.empty() || port.empty()) {
    return Error(Errc::kInvalid,
                 "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT do not name an API server: "
                 "run in a pod, or name a kubeconfig");
  }
  config.server = std::move(server).value();
  config.ca.path = folder + "/ca.crt";
  config.token_file = folder + "/token";
  if (const auto token = read_token(config.token_file); !token) {
    return Error(token.error()).within("the pod has no service account token (is automountServiceAccountToken false?)");
  }
  const auto space = read_text_file(folder + "/namespace", kNamespaceFileMax);
  config.space = space ? space.value().substr(0, space.value().find_first_of(" \r\n")) : std::string("default");
  return config;
}

Result<KubeConfig> find_kube_config(const std::string& kubeconfig_path) {
  if (kubeconfig_path.empty()) {
    const char* host = std::getenv("KUBERNETES_SERVICE_HOST");  // NOLINT(concurrency-mt-unsafe): read at start only
    const char* port = std::getenv("KUBERNETES_SERVICE_PORT");  // NOLINT(concurrency-mt-unsafe)
    return in_cluster_config(host == nullptr ? "" : host, port == nullptr ? "" : port,
                             std::string(kServiceAccountFolder));
  }
  const auto text = read_text_file(kubeconfig_path, YamlField::kFileMax);
  if (!text) {
    return text.error();
  }
  Diagnostics diagnostics;
  KubeConfig config = read_kubeconfig(text.value(), kubeconfig_path, diagnostics);
  if (diagnostics.failed()) {
    return diagnostics.to_error();
  }
  return config;
}

}  // namespace postern
