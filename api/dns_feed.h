// SPDX-License-Identifier: Apache-2.0
//
// What goes over /run/postern/dns.sock and from the keeper to its workers.
//
// The keeper reads the header of a message and nothing else: it keeps `put` messages by (kind, key),
// forgets them on `erase`, passes both to the workers it addresses, and repeats what it kept to a
// worker that starts again. Bodies are dns_feed.proto's; descriptors travel with the message.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace postern {

/// Message.type on dns.sock. The first message says who connects.
enum class DnsMessage : std::uint32_t {
  kHelloSetup = 1,     ///< postern-setup, or a probe, asks whether there are sockets. Reply: kSteering or kNoSteering.
  kHelloAgent = 2,     ///< posternd. Reply: kSteering with duplicates of all sockets, or kNoSteering.
  kHelloObserver = 3,  ///< postern-observer: from now on this socket carries egress_dns_event datagrams.
  kSteering = 4,       ///< Body: Steering. Descriptors: kSocketsPerWorker sockets a worker, in order.
  kNoSteering = 5,
  kFeed = 6,  ///< Body: FeedHeader, then the message of its kind.
  kAck = 7,   ///< Body: FeedAck. From a worker, passed on to posternd.
};

inline constexpr std::uint32_t kSocketsPerWorker = 4;  // UDP IPv4, UDP IPv6, TCP IPv4, TCP IPv6
inline constexpr std::uint32_t kWorkersMax = 32;

/// The steering link, as postern-setup made it. Host order unless said.
struct Steering {
  std::uint32_t workers = 0;
  std::uint32_t node_ifindex = 0;  ///< The link's end in the node's namespace.
  std::uint8_t peer_mac[6] = {};   ///< Of the end in the steering namespace.
  std::uint8_t pad[2] = {};
  std::uint64_t created_boot_ns = 0;
};

enum class FeedOp : std::uint16_t {
  kPut = 1,
  kErase = 2,
  kSync = 3,   ///< Not kept. Each worker answers kAck with the key when it has done all before it.
  kBegin = 4,  ///< posternd tells everything anew: what it does not put before kEnd is erased.
  kEnd = 5,
};

/// Kinds in the order in which a starting worker must hear them.
enum class FeedKind : std::uint16_t {
  kSettings = 1,  ///< DnsSettings.
  kNames = 2,     ///< No body; descriptor of the names map.
  kPolicy = 3,    ///< DnsPolicy; key: policy id.
  kSandbox = 4,   ///< DnsSandbox; key: sandbox id; descriptor of its grants map.
  kObserver = 5,  ///< No body; descriptor of the observer's socket. Made by the keeper.
};

inline constexpr std::uint32_t kAllWorkers = 0xffffffff;

struct FeedHeader {
  FeedOp op = FeedOp::kPut;
  FeedKind kind = FeedKind::kSettings;
  std::uint32_t worker = kAllWorkers;
  std::uint64_t key = 0;
};
static_assert(sizeof(FeedHeader) == 16);

struct FeedAck {
  std::uint32_t worker = 0;
  std::uint32_t failed = 0;  ///< Not 0: the worker could not take something since the last kSync.
  std::uint64_t key = 0;
};

/// The worker that owns a sandbox: the only one that writes its grants.
constexpr std::uint32_t worker_of(std::uint32_t sandbox, std::uint32_t workers) { return sandbox % workers; }

/// A plain struct as the head of a body, and back.
template <typename T>
std::string to_body(const T& head, std::string_view rest = {}) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::string body(sizeof(T), '\0');
  std::memcpy(body.data(), &head, sizeof(T));
  body += rest;
  return body;
}

/// Nothing when the body is too short. What follows the head is left in *rest.
template <typename T>
std::optional<T> from_body(std::string_view body, std::string_view* rest = nullptr) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (body.size() < sizeof(T)) {
    return std::nullopt;
  }
  T head;
  std::memcpy(&head, body.data(), sizeof(T));
  if (rest != nullptr) {
    *rest = body.substr(sizeof(T));
  }
  return head;
}

}  // namespace postern
