// SPDX-License-Identifier: Apache-2.0
//
// An EventNote as the API server takes it. Pure. Source: Kubernetes API reference, "Event v1 core".
#pragma once

#include <cstdint>
#include <string>

#include "agent/kube/api_client.h"

namespace postern {

/// A time as the API server writes it: RFC 3339, UTC, whole seconds.
std::string rfc3339(std::int64_t unix_s);

/// Where to post it: /api/v1/namespaces/NAMESPACE/events.
std::string event_path(const EventNote& note);

/// The JSON to post.
///
/// @param unix_s  Now, seconds since 1970.
std::string event_json(const EventNote& note, const std::string& node, std::int64_t unix_s);

}  // namespace postern
