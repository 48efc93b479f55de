// SPDX-License-Identifier: Apache-2.0
//
// KubeConfig: where the API server is, whom to trust and who we are.
//
// Two sources: the service account that kubelet mounts into a pod, and a kubeconfig file. What would
// weaken TLS or run a program (insecure-skip-tls-verify, exec, auth-provider) is refused, not ignored.
// Secrets are never part of an error text. Thread: any; nothing is kept.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "policies/diagnostics.h"

namespace postern {

inline constexpr std::string_view kServiceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

/// PEM text, or the file that holds it. A file is read again for each connection, so that it may be rotated.
struct Pem {
  std::string path;
  std::string data;

  bool present() const { return !path.empty() || !data.empty(); }
};

struct KubeConfig {
  std::string origin;           ///< "the pod's service account" or "kubeconfig PATH, context NAME"; for error texts.
  std::string server;           ///< "https://10.96.0.1:443": https, no slash at the end.
  std::string tls_server_name;  ///< What the certificate must be for; empty: the host of `server`.
  Pem ca;                       ///< Empty: the system's certificate authorities.
  std::string token;            ///< Bearer token; the file wins when both are there.
  std::string token_file;
  Pem client_certificate;
  Pem client_key;
  std::string space;  ///< Our own namespace; "default" if nothing says otherwise.
};

/// The service account of the pod we run in.
///
/// @param host,port  KUBERNETES_SERVICE_HOST and _PORT, which kubelet sets in every container.
/// @return not found or invalid, with what to mount or set.
Result<KubeConfig> in_cluster_config(std::string_view host, std::string_view port, const std::string& folder);

/// The text of a kubeconfig file. Use the result only if *diagnostics did not fail.
///
/// @param file  Its path: paths in it are relative to its folder.
KubeConfig read_kubeconfig(std::string_view text, const std::string& file, Diagnostics& diagnostics);

/// The file if one is named, else the pod's service account by the environment.
Result<KubeConfig> find_kube_config(const std::string& kubeconfig_path);

}  // namespace postern
