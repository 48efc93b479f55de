// SPDX-License-Identifier: Apache-2.0
//
// ListWatch: which request comes next for one kind of object. The protocol alone, without I/O, clock
// or objects: each outcome goes in, the next request comes out.
//
// Lists come first from the API server's memory (resourceVersion=0, or not older than what we knew):
// read from etcd, a list of one node's pods costs the server a pass over all pods of the cluster, and
// every node asks at once after a restart. Only when that fails (version gone or not reached, answer
// too large) is the list read from etcd, in pages; pages that are too large are asked for smaller.
// Sources: Kubernetes API concepts, "Resource versions", "Efficient detection of changes",
// "Retrieving large results sets in chunks", "Watch bookmarks".
#pragma once

#include <cstdint>
#include <string>

#include "agent/kube/api_client.h"
#include "agent/kube/backoff.h"
#include "agent/kube/reader.h"

namespace postern {

class ListWatch {
 public:
  static constexpr std::uint32_t kPageFirst = 250;
  static constexpr std::uint32_t kWatchSMin = 240;  ///< timeoutSeconds is drawn from here to twice this.
  static constexpr std::uint64_t kShortMs = 1'000;  ///< A watch that ends sooner, in silence, is a failure.
  static constexpr std::uint32_t kRetryAfterSMax = 120;

  enum class What { kList, kWatch };
  struct Request {
    What what = What::kList;
    std::string path;
    std::uint64_t after_ms = 0;
    std::uint32_t seconds_max = 0;  ///< Of a watch: the server ends it before.
    bool fresh_list = false;        ///< The first page of a list: what earlier pages gave is void.
  };

  /// @param path  "/api/v1/pods".  @param selector  "fieldSelector=..." escaped, or empty.
  ListWatch(std::string path, std::string selector);

  Request begin() { return list(0); }

  /// A page was read. @param random  Any number; so below.
  Request on_page(const std::string& version, const std::string& next, std::uint32_t random);
  /// A list's request failed, or its answer could not be read.
  Request on_list_failure(const ApiReply& reply, std::uint32_t random);

  /// An event or a bookmark came: the watch can go on from here.
  void on_version(const std::string& version);
  /// The watch ended: by the server, by time, or never began.
  Request on_watch_end(const ApiReply& reply, bool said_something, std::uint64_t lasted_ms, std::uint32_t random);
  /// The watch sent an ERROR event, and is to be ended.
  Request on_watch_error(const ApiStatus& status, std::uint32_t random);

  const std::string& version() const { return version_; }

 private:
  Request list(std::uint64_t after_ms);
  Request watch(std::uint64_t after_ms, std::uint32_t random) const;
  std::uint64_t wait_ms(const ApiReply& reply, std::uint32_t random);

  std::string path_;
  std::string selector_;
  std::string version_;     // of the last list, event or bookmark
  std::string next_;        // continue token, while a list is under way
  bool from_etcd_ = false;  // the list under way
  std::uint32_t page_ = kPageFirst;
  Backoff backoff_;
};

/// Percent-encoding of what may not stand in a query (RFC 3986 2.3): continue tokens, node names.
std::string query_escaped(std::string_view text);

}  // namespace postern
