// SPDX-License-Identifier: Apache-2.0
//
// The API server's JSON -> what Postern keeps: lists, watch events, and the Status it refuses with.
//
// Pure. Only the fields that are read are kept while parsing, so that a pod with a megabyte of other
// fields costs no more memory than a small one. Unknown fields are ignored; a field of a wrong type
// spoils that object alone. Sources: Kubernetes API conventions, "Lists", "Efficient detection of
// changes", "Response Status Kind".
// Limits: kLabelsMax, kAddressesMax, kSearchesMax, kConditionsMax of one object, kPolicyBytesMax and kPolicyDepthMax of a
// policy's fields; the callers limit the bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kube/objects.h"
#include "base/result.h"

namespace postern {

/// An API server has no limit of its own but the object's bytes. A pod must not be unknown for its labels.
inline constexpr std::size_t kLabelsMax = 200'000;
inline constexpr std::size_t kPolicyBytesMax = 512u << 10;  ///< Of a policy's text; a longer one is kept without.
inline constexpr std::size_t kAddressesMax = 16;
inline constexpr std::size_t kSearchesMax = 32;  // the API server's own limit
inline constexpr std::size_t kConditionsMax = 100;
inline constexpr int kPolicyDepthMax = 32;  // deeper than any reader of policies goes

/// One object of a list or event. T: PodInfo, NamespaceInfo, PolicyObject or ClusterObject.
template <typename T>
struct ObjectRead {
  std::string id;       ///< A namespace's name, else the uid. Empty: not even that could be read.
  std::string version;  ///< metadata.resourceVersion.
  T object;
  std::string problem;  ///< What is wrong with it, printable; `object` is then not to be used. Empty: nothing is.
};

template <typename T>
struct ListPage {
  std::string version;  ///< To watch from, once there is no next page.
  std::string next;     ///< The `continue` of the next page; empty: this was the last.
  std::vector<ObjectRead<T>> items;
};

enum class WatchEventType { kAdded, kModified, kDeleted, kBookmark, kError };

/// A Status object: why the API server refuses.
struct ApiStatus {
  int code = 0;         ///< HTTP's; 0: not said.
  std::string reason;   ///< "Expired", "Forbidden", ...; printable.
  std::string message;  ///< Printable, at most kStatusTextMax bytes.
};
inline constexpr std::size_t kStatusTextMax = 512;

template <typename T>
struct WatchEvent {
  WatchEventType type = WatchEventType::kError;
  ObjectRead<T> object;  ///< Of a bookmark only `version` is set.
  ApiStatus status;      ///< Of an error.
};

/// @return invalid if it is no JSON, or no list.
template <typename T>
Result<ListPage<T>> read_list(std::string_view json);

/// One line of a watch. @return invalid if it is no JSON, or no event.
template <typename T>
Result<WatchEvent<T>> read_watch_event(std::string_view line);

/// Whatever can be read of it; all empty if nothing can.
ApiStatus read_status(std::string_view json);

}  // namespace postern
