// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/event_note.h"

#include <time.h>

#include <array>
#include <nlohmann/json.hpp>

#include "agent/kube/list_watch.h"

namespace postern {
namespace {

using Json = nlohmann::json;

/// Objects without a namespace have their events in "default": the API server's rule.
std::string space_of(const EventNote& note) { return note.space.empty() ? "default" : note.space; }

}  // namespace

std::string rfc3339(std::int64_t unix_s) {
  const time_t when = unix_s;
  struct tm parts {};
  std::array<char, 32> text{};
  ::gmtime_r(&when, &parts);
  const std::size_t length = ::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), length};
}

std::string event_path(const EventNote& note) {
  return "/api/v1/namespaces/" + query_escaped(space_of(note)) + "/events";
}

std::string event_json(const EventNote& note, const std::string& node, std::int64_t unix_s) {
  Json about{{"kind", note.kind}, {"apiVersion", note.api_version}, {"name", note.name}};
  if (!note.space.empty()) {
    about["namespace"] = note.space;
  }
  if (!note.uid.empty()) {
    about["uid"] = note.uid;
  }
  const std::string now = rfc3339(unix_s);
  const Json event{{"apiVersion", "v1"},
                   {"kind", "Event"},
                   {"metadata",
                    {{note.event_name.empty() ? "generateName" : "name",
                      note.event_name.empty() ? note.name + "." : note.event_name},
                     {"namespace", space_of(note)}}},
                   {"involvedObject", about},
                   {"reason", note.reason},
                   {"message", note.message.substr(0, ApiClient::kEventTextMax)},
                   {"type", note.warning ? "Warning" : "Normal"},
                   {"source", {{"component", "posternd"}, {"host", node}}},
                   {"firstTimestamp", now},
                   {"lastTimestamp", now},
                   {"count", 1},
                   {"reportingComponent", "postern.dev/posternd"},
                   {"reportingInstance", node}};
  // A character cut in two by the limit becomes U+FFFD; dump() would throw otherwise.
  return event.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace postern
