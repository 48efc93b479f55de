// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/list_watch.h"

#include <algorithm>
#include <utility>

namespace postern {
namespace {

constexpr int kGone = 410;
constexpr int kGatewayTimeout = 504;  // also: "Too large resource version", the server has not got that far
constexpr int kBadRequest = 400;

}  // namespace

std::string query_escaped(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string escaped;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      escaped += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      escaped += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return escaped;
}

ListWatch::ListWatch(std::string path, std::string selector) : path_(std::move(path)), selector_(std::move(selector)) {}

ListWatch::Request ListWatch::list(std::uint64_t after_ms) {
  Request request;
  request.what = What::kList;
  request.after_ms = after_ms;
  request.fresh_list = next_.empty();
  request.path = path_ + "?";
  if (!selector_.empty()) {
    request.path += selector_ + "&";
  }
  if (from_etcd_) {
    request.path += "limit=" + std::to_string(page_);
    if (!next_.empty()) {
      request.path += "&continue=" + query_escaped(next_);
    }
  } else if (version_.empty()) {
    request.path += "resourceVersion=0";
  } else {
    request.path += "resourceVersion=" + query_escaped(version_) + "&resourceVersionMatch=NotOlderThan";
  }
  return request;
}

ListWatch::Request ListWatch::watch(std::uint64_t after_ms, std::uint32_t random) const {
  // Drawn, so that watches that began together (the server's restart) do not end together.
  const std::uint32_t seconds = kWatchSMin + random % (kWatchSMin + 1);
  Request request;
  request.what = What::kWatch;
  request.after_ms = after_ms;
  request.seconds_max = seconds;
  request.path = path_ + "?" + (selector_.empty() ? "" : selector_ + "&") +
                 "watch=true&allowWatchBookmarks=true&resourceVersion=" + query_escaped(version_) +
                 "&timeoutSeconds=" + std::to_string(seconds);
  return request;
}

std::uint64_t ListWatch::wait_ms(const ApiReply& reply, std::uint32_t random) {
  const std::uint64_t ours = backoff_.next_ms(random);
  const std::uint64_t theirs = std::min(reply.retry_after_s, kRetryAfterSMax) * std::uint64_t{1'000};
  return std::max(ours, theirs);
}

ListWatch::Request ListWatch::on_page(const std::string& version, const std::string& next, std::uint32_t random) {
  next_ = next;
  if (!next.empty()) {
    // From memory too: newer servers keep to a limit there. The token holds all else.
    from_etcd_ = true;
    return list(0);
  }
  version_ = version;
  from_etcd_ = false;
  page_ = kPageFirst;
  // The backoff stays until the watch works: a server that lists but lets nobody watch is not to be hammered.
  return watch(0, random);
}

ListWatch::Request ListWatch::on_list_failure(const ApiReply& reply, std::uint32_t random) {
  const bool continued = !std::exchange(next_, {}).empty();
  if (reply.too_large) {
    // Smaller pages help at once; a page of one object that is too large is beyond help.
    const bool hope = !from_etcd_ || page_ > 1;
    page_ = from_etcd_ ? std::max(page_ / 4, 1u) : page_;
    from_etcd_ = true;
    return list(hope ? 0 : wait_ms(reply, random));
  }
  if (reply.status == kGone || reply.status == kGatewayTimeout || reply.status == kBadRequest) {
    const bool asked_for_version = !from_etcd_;
    from_etcd_ = true;
    // A token that is too old: from the first page again, but not at once, or a slow list never ends.
    return list(asked_for_version && !continued && reply.status == kGone ? 0 : wait_ms(reply, random));
  }
  return list(wait_ms(reply, random));
}

void ListWatch::on_version(const std::string& version) {
  if (!version.empty()) {
    version_ = version;
  }
  backoff_.reset();
}

ListWatch::Request ListWatch::on_watch_end(const ApiReply& reply,
                                           bool said_something,
                                           std::uint64_t lasted_ms,
                                           std::uint32_t random) {
  if (reply.status == kGone) {
    return on_watch_error({kGone, {}, {}}, random);
  }
  if (reply.status == kBadRequest) {
    // "Invalid resource version": nothing comes of asking again.
    from_etcd_ = true;
    return list(wait_ms(reply, random));
  }
  if (reply.ok() && (said_something || lasted_ms >= kShortMs)) {
    backoff_.reset();
    return watch(0, random);
  }
  if (lasted_ms >= Backoff::kMaxMs) {
    backoff_.reset();  // it worked for long; the break is a new story
  }
  return watch(wait_ms(reply, random), random);
}

ListWatch::Request ListWatch::on_watch_error(const ApiStatus& status, std::uint32_t random) {
  next_.clear();
  // What is in the server's memory is newer than a version that is gone, if it is the same server. Asked for
  // as "not older than", another one waits until it has got there or says so, and then etcd is asked.
  from_etcd_ = false;
  ApiReply none;
  none.status = status.code;
  return list(wait_ms(none, random));
}

}  // namespace postern
