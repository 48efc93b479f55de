// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/problem.h"

#include "agent/kube/reader.h"
#include "base/log.h"

namespace postern {
namespace {

constexpr std::size_t kDetailMax = 300;

std::string in_brackets(std::string_view detail) {
  return detail.empty() ? std::string() : " (" + printable(detail.substr(0, kDetailMax)) + ")";
}

std::string name_of(const Pem& pem, const char* otherwise) { return pem.path.empty() ? otherwise : pem.path; }

std::string who(const KubeConfig& config) {
  return config.client_certificate.present() ? "client certificate" : "token";
}

}  // namespace

Error explain_transport(TransportProblem problem, std::string_view detail, const KubeConfig& config) {
  const std::string server = "the API server at " + printable(config.server);
  const std::string why = in_brackets(detail);
  switch (problem) {
    case TransportProblem::kResolve:
      return {Errc::kNotFound,
              "no address for " + server + why + ": check the server in " + config.origin + ", and the node's DNS"};
    case TransportProblem::kConnect:
      return {Errc::kClosed, server + " cannot be reached" + why +
                                 ": check that it runs, and that no firewall or NetworkPolicy keeps this node from it"};
    case TransportProblem::kTimeout:
      return {Errc::kAgain, server + " does not answer in time" + why +
                                ": check that it runs, and that no firewall or NetworkPolicy keeps this node from it"};
    case TransportProblem::kUntrusted:
      return {Errc::kDenied, server + " shows a certificate that is not trusted" + why + ": check that " +
                                 name_of(config.ca, "the certificate authority") + " (" + config.origin +
                                 ") is this cluster's, and that the certificate is for this address and in date"};
    case TransportProblem::kTrustFile:
      return {Errc::kInvalid,
              "the certificates or key for " + server + " cannot be used" + why + ": check those of " + config.origin};
    case TransportProblem::kHandshake:
      return {Errc::kIo,
              "no TLS with " + server + why + ": check that the port is the API server's own, not a plain one"};
    case TransportProblem::kBroken:
      return {Errc::kClosed, "the connection to " + server + " broke" + why + ": it may be restarting; tried again"};
    case TransportProblem::kTooLarge:
      return {Errc::kFull, "the answer of " + server + " is larger than the limit" + why};
    case TransportProblem::kOther:
      break;
  }
  return {Errc::kIo, "the request to " + server + " failed" + why};
}

Error explain_status(int status, std::string_view body, const KubeConfig& config) {
  const ApiStatus said = read_status(body);
  const std::string words = said.message.empty() ? "HTTP status " + std::to_string(status)
                                                 : "HTTP " + std::to_string(status) + ", " + said.message;
  switch (status) {
    case 401:
      return {Errc::kDenied, "the API server does not accept the " + who(config) + " of " + config.origin + " (" +
                                 words + "): it may have expired, or be another cluster's"};
    case 403:
      return {Errc::kDenied,
              "the API server forbids it (" + words +
                  "): apply the ClusterRole and ClusterRoleBinding of manifests/ (base: pods, namespaces, events and "
                  "Postern's own policies; other-kinds: those of Cilium, AWS, GKE and Kubernetes) for the account of " +
                  config.origin};
    case 404:
      return {Errc::kNotFound, "the API server has no such thing (" + words + "): check that the server in " +
                                   config.origin + " is a Kubernetes API server"};
    case 410:
      return {Errc::kNotFound, "the API server no longer has that version (" + words + "): listed again"};
    case 429:
      return {Errc::kAgain, "the API server is too busy (" + words + "): tried again later"};
    default:
      break;
  }
  if (status >= 500) {
    return {Errc::kAgain, "the API server has trouble of its own (" + words + "): see its log; tried again later"};
  }
  if (status >= 300 && status < 400) {
    return {Errc::kInvalid, "the API server sends us elsewhere (" + words + "): check the server in " + config.origin +
                                "; redirections are not followed"};
  }
  return {Errc::kInvalid, "the API server refuses the request (" + words + ")"};
}

}  // namespace postern
