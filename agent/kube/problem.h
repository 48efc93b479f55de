// SPDX-License-Identifier: Apache-2.0
//
// What went wrong with a request to the API server, in words that say what to do about it.
//
// Pure. The texts stay the same while the cause does (no durations, no counts): ClusterWatch tells a
// trouble again only when it reads otherwise. Source: Kubernetes API conventions, "HTTP Status codes".
#pragma once

#include <string>
#include <string_view>

#include "agent/kube/kube_config.h"
#include "base/result.h"

namespace postern {

/// Why there was no HTTP answer.
enum class TransportProblem {
  kResolve,    ///< The server's name has no address.
  kConnect,    ///< No TCP connection.
  kTimeout,    ///< Nothing came in time.
  kUntrusted,  ///< Its certificate is not for this address, or not from the authority we trust.
  kTrustFile,  ///< Our own CA, certificate or key could not be used.
  kHandshake,  ///< TLS failed otherwise.
  kBroken,     ///< The connection ended in the middle.
  kTooLarge,   ///< The answer has no end within the limit.
  kOther,
};

/// @param detail  The library's or system's words, not yet printable; may be empty.
Error explain_transport(TransportProblem problem, std::string_view detail, const KubeConfig& config);

/// @param status  HTTP's, not a success.  @param body  The answer: a Status object, or anything.
Error explain_status(int status, std::string_view body, const KubeConfig& config);

}  // namespace postern
