// SPDX-License-Identifier: Apache-2.0
//
// ApiClient: requests to the Kubernetes API server, on the loop.
//
// libcurl's multi interface does HTTP/1.1 and TLS; EventLoop says when. Nothing here waits: names are
// looked up in curl's own resolver thread, and not at all in a pod, where the server is an address.
// TLS is always verified, name or address of the server included. Every callback runs on the loop,
// never inside the call that asked for it, and may call anything here, cancel() of its own request too.
// Limits: kRequestsMax at once, kWritesMax of them writes, body_max a body, kConnectMs, kAnswerMs. Thread: the loop's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/kube/kube_config.h"
#include "base/event_loop.h"
#include "base/result.h"

namespace postern {

/// How a request ended.
struct ApiReply {
  int status = 0;                   ///< HTTP; 0: there was no answer.
  std::string body;                 ///< Of a get, post or patch; of a stream only when it was refused.
  std::optional<Error> error;       ///< Why it is not a success, and what a person can do about it.
  std::uint32_t retry_after_s = 0;  ///< The server's wish (429, 503); 0: none.
  bool too_large = false;           ///< The body was longer than body_max: ask for less.

  bool ok() const { return !error.has_value(); }
};

/// A core/v1 Event: what `kubectl describe` and `kubectl get events` show beside an object.
struct EventNote {
  std::string kind;         ///< Of the object it is about: "Pod", "Namespace", "ConfigMap", "Node".
  std::string api_version;  ///< Of that object: "v1".
  std::string space;        ///< Empty for objects without one; the event is then in "default".
  std::string name;
  std::string uid;      ///< Empty if not known.
  std::string reason;   ///< CamelCase, for machines: "PolicyRefused".
  std::string message;  ///< At most kEventTextMax bytes are sent.
  bool warning = true;
  std::string event_name = {};  ///< The event's own; empty: the server makes one. 409 says that there is one already.
};

class ApiClient {
 public:
  static constexpr std::size_t kRequestsMax = 32;
  static constexpr std::size_t kWritesMax = 16;       ///< Of these: events and patches never keep a watch from its turn.
  static constexpr std::size_t kBodyMax = 16u << 20;  ///< Over any one object: etcd takes 1.5 MiB, JSON escapes x 6.
  static constexpr std::size_t kEventTextMax = 1024;  ///< The API server's own limit.
  static constexpr std::uint64_t kConnectMs = 5'000;
  static constexpr std::uint64_t kAnswerMs = 30'000;  ///< A whole get or post; the head of a stream's answer.

  using RequestId = std::uint64_t;  ///< 0 is none.
  using Done = std::function<void(ApiReply reply)>;

  struct Stream {
    std::function<void()> on_open;                        ///< The server said 200 and will send.
    std::function<void(std::string_view bytes)> on_data;  ///< Pieces as they come, cut anywhere.
    Done on_done;                                         ///< Ended by the server, a time limit or an error.
  };

  /// @return invalid or not found for certificates and keys that cannot be used. That the server is away is no error
  /// here.
  static Result<std::unique_ptr<ApiClient>> make(EventLoop& loop, KubeConfig config, std::size_t body_max = kBodyMax);
  virtual ~ApiClient() = default;

  /// GET. `path` begins with "/" and has its query escaped. A full table (kRequestsMax) is told to `done`.
  virtual RequestId get(std::string path, Done done) = 0;
  /// GET whose body is handed on as it comes, for at most `seconds_max`.
  virtual RequestId stream(std::string path, std::uint32_t seconds_max, Stream handlers) = 0;
  /// POST of a core/v1 Event from component posternd on `node`. More than kWritesMax at once are refused, to `done`.
  virtual RequestId post_event(const EventNote& note, const std::string& node, Done done) = 0;
  /// PATCH with an application/merge-patch+json body (RFC 7386). Refused as post_event's are.
  virtual RequestId patch(std::string path, std::string json, Done done) = 0;
  /// Forgets a request: none of its callbacks is called again. 0 and ended ones are fine.
  virtual void cancel(RequestId request) = 0;

  virtual const KubeConfig& config() const = 0;
};

}  // namespace postern
