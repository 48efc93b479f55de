// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/reader.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/log.h"

namespace postern {
namespace {

using Json = nlohmann::json;

// Keys of an object, and of its metadata, spec and status, that are read. What lies deeper is kept whole.
constexpr std::array<std::string_view, 6> kObjectKeys{"metadata", "spec", "status", "code", "message", "reason"};
constexpr std::array<std::string_view, 15> kFieldKeys{
    "uid",   "name",      "namespace", "labels", "resourceVersion", "deletionTimestamp", "continue", "hostNetwork",
    "phase", "dnsPolicy", "dnsConfig", "podIPs", "podIP",           "annotations",       "startTime"};
// Of a policy: its spec is kept whole, whatever is in it, and Cilium has a second one.
constexpr std::array<std::string_view, 7> kPolicyKeys{"metadata", "spec",    "specs", "status",
                                                      "code",     "message", "reason"};
constexpr std::array<std::string_view, 8> kPolicyMetadata{"uid",        "name",     "namespace",  "resourceVersion",
                                                          "generation", "continue", "conditions", "ownerReferences"};
constexpr std::size_t kLabelsReadMax = 1'000;  // YamlField::kKeysMax
/// On the API server's copy of a static pod: kubelet's uid of the pod itself.
constexpr const char* kMirror = "kubernetes.io/config.mirror";

bool is_one_of(const auto& keys, const std::string& key) { return std::ranges::find(keys, key) != keys.end(); }

// Of what an inventory knows.
constexpr std::array<std::string_view, 9> kClusterKeys{"metadata", "spec", "status",  "addressType", "endpoints",
                                                       "ports",    "code", "message", "reason"};
constexpr std::array<std::string_view, 16> kClusterFields{
    "uid",      "name",      "namespace",  "labels", "resourceVersion", "continue", "hostNetwork", "podCIDRs",
    "selector", "clusterIP", "clusterIPs", "ports",  "podIP",           "podIPs",   "phase",       "addresses"};

/// Which keys of an object of this type are kept, and which of the maps under them. @param above  That map's own key.
template <typename T>
struct Kept {
  static bool key(const std::string& key) { return is_one_of(kObjectKeys, key); }
  static bool field(const std::string&, const std::string& key) { return is_one_of(kFieldKeys, key); }
};

template <>
struct Kept<PolicyObject> {
  static bool key(const std::string& key) { return is_one_of(kPolicyKeys, key); }
  static bool field(const std::string& above, const std::string& key) {
    return (above != "metadata" && above != "status") || is_one_of(kPolicyMetadata, key);
  }
};

template <>
struct Kept<ClusterObject> {
  static bool key(const std::string& key) { return is_one_of(kClusterKeys, key); }
  static bool field(const std::string&, const std::string& key) { return is_one_of(kClusterFields, key); }
};

/// Parses, keeping of each object only what is read. @param depth of an object's own keys: 1 at the root.
template <typename T>
Json parse(std::string_view text, int depth) {
  std::string above;
  const auto keep = [depth, &above](int at, Json::parse_event_t event, Json& parsed) {
    if (event != Json::parse_event_t::key || (at != depth && at != depth + 1)) {
      return at <= depth + kPolicyDepthMax || event == Json::parse_event_t::key;
    }
    const auto* key = parsed.get_ptr<const std::string*>();
    if (at == depth) {
      above = *key;
      return Kept<T>::key(*key);
    }
    return Kept<T>::field(above, *key);
  };
  return Json::parse(text.begin(), text.end(), keep, false);
}

/// The value, or null if it is absent or null: the API server writes both.
const Json* find(const Json* object, const char* key) {
  if (object == nullptr || !object->is_object()) {
    return nullptr;
  }
  const auto found = object->find(key);
  return found == object->end() || found->is_null() ? nullptr : &*found;
}

std::string text_of(const Json* object, const char* key) {
  const Json* value = find(object, key);
  const auto* text = value == nullptr ? nullptr : value->get_ptr<const std::string*>();
  return text == nullptr ? std::string() : *text;
}

/// Reads the fields of one object; the first that is wrong is its problem.
class Fields {
 public:
  explicit Fields(std::string& problem) : problem_(problem) {}

  void wrong(std::string_view path, std::string_view wanted) {
    if (problem_.empty()) {
      problem_ = std::string(path) + " is not " + std::string(wanted);
    }
  }

  /// A map of fields, or null when it is absent.
  const Json* map(const Json* object, const char* key, std::string_view path) {
    const Json* value = find(object, key);
    if (value != nullptr && !value->is_object()) {
      wrong(path, "a map");
      return nullptr;
    }
    return value;
  }
  const Json* list(const Json* object, const char* key, std::string_view path, std::size_t entries_max) {
    const Json* value = find(object, key);
    if (value != nullptr && (!value->is_array() || value->size() > entries_max)) {
      wrong(path, "a list of at most " + std::to_string(entries_max) + " entries");
      return nullptr;
    }
    return value;
  }
  std::string text(const Json* object, const char* key, std::string_view path, bool needed = false) {
    const Json* value = find(object, key);
    if (value == nullptr ? needed : !value->is_string()) {
      wrong(path, "a text");
      return {};
    }
    std::string found = value == nullptr ? std::string() : *value->get_ptr<const std::string*>();
    if (needed && found.empty()) {
      wrong(path, "a text with something in it");
    }
    return found;
  }
  bool flag(const Json* object, const char* key, std::string_view path) {
    const Json* value = find(object, key);
    if (value != nullptr && !value->is_boolean()) {
      wrong(path, "true or false");
      return false;
    }
    return value != nullptr && *value->get_ptr<const bool*>();
  }
  Labels labels(const Json* metadata) {
    Labels labels;
    const Json* map_of = map(metadata, "labels", "metadata.labels");
    if (map_of == nullptr) {
      return labels;
    }
    if (map_of->size() > kLabelsMax) {
      wrong("metadata.labels", "a map of at most " + std::to_string(kLabelsMax) + " labels");
      return labels;
    }
    for (const auto& [key, value] : map_of->items()) {
      if (const auto* word = value.get_ptr<const std::string*>()) {
        labels.emplace(key, *word);
      } else {
        wrong("metadata.labels[\"" + printable(key) + "\"]", "a text");
      }
    }
    return labels;
  }
  void address(const Json* holder, const char* key, std::string_view path, std::vector<Address>& addresses) {
    const std::string written = text(holder, key, path);
    if (written.empty()) {
      return;
    }
    if (const auto parsed = Address::parse(written)) {
      addresses.push_back(*parsed);
    } else {
      wrong(path, "an address");
    }
  }

 private:
  std::string& problem_;
};

/// RFC 3339 in UTC, as the API server writes every time. 0: absent, or not that.
std::int64_t unix_s_of(const std::string& text) {
  std::tm parts{};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  return end != nullptr && std::string_view(end) == "Z" ? static_cast<std::int64_t>(::timegm(&parts)) : 0;
}

void read_pod_addresses(const Json* status, Fields& fields, std::vector<Address>& addresses) {
  if (const Json* list = fields.list(status, "podIPs", "status.podIPs", kAddressesMax)) {
    for (const Json& each : *list) {
      if (!each.is_object()) {
        fields.wrong("status.podIPs[]", "a map");
      }
      fields.address(&each, "ip", "status.podIPs[].ip", addresses);
    }
  }
  if (addresses.empty()) {
    fields.address(status, "podIP", "status.podIP", addresses);
  }
}

void read_object(const Json& json, ObjectRead<PodInfo>& read) {
  Fields fields(read.problem);
  const Json* metadata = fields.map(&json, "metadata", "metadata");
  const Json* spec = fields.map(&json, "spec", "spec");
  const Json* status = fields.map(&json, "status", "status");
  PodInfo& pod = read.object;
  pod.uid = fields.text(metadata, "uid", "metadata.uid", true);
  pod.name = fields.text(metadata, "name", "metadata.name", true);
  pod.space = fields.text(metadata, "namespace", "metadata.namespace", true);
  pod.labels = fields.labels(metadata);
  pod.deleting = !fields.text(metadata, "deletionTimestamp", "metadata.deletionTimestamp").empty();
  pod.static_uid = text_of(fields.map(metadata, "annotations", "metadata.annotations"), kMirror);
  pod.started_unix_s = unix_s_of(fields.text(status, "startTime", "status.startTime"));
  pod.host_network = fields.flag(spec, "hostNetwork", "spec.hostNetwork");
  pod.dns_policy = fields.text(spec, "dnsPolicy", "spec.dnsPolicy");
  const Json* dns = fields.map(spec, "dnsConfig", "spec.dnsConfig");
  if (const Json* searches = fields.list(dns, "searches", "spec.dnsConfig.searches", kSearchesMax)) {
    for (const Json& each : *searches) {
      if (const auto* suffix = each.get_ptr<const std::string*>()) {
        pod.searches.push_back(*suffix);
      } else {
        fields.wrong("spec.dnsConfig.searches[]", "a text");
      }
    }
  }
  const std::string phase = fields.text(status, "phase", "status.phase");
  pod.finished = phase == "Succeeded" || phase == "Failed";
  read_pod_addresses(status, fields, pod.addresses);
  read.id = pod.uid;
  if (!read.problem.empty()) {
    read.problem = "pod " + printable(pod.space) + "/" + printable(pod.name) + ": " + read.problem;
  }
}

void read_object(const Json& json, ObjectRead<NamespaceInfo>& read) {
  Fields fields(read.problem);
  const Json* metadata = fields.map(&json, "metadata", "metadata");
  read.object.name = fields.text(metadata, "name", "metadata.name", true);
  read.object.labels = fields.labels(metadata);
  read.id = read.object.name;
  if (!read.problem.empty()) {
    read.problem = "namespace " + printable(read.object.name) + ": " + read.problem;
  }
}

ObjectCondition read_condition(const Json& json) {
  ObjectCondition condition;
  condition.status = text_of(&json, "status");
  condition.reason = text_of(&json, "reason");
  condition.message = text_of(&json, "message");
  condition.since = text_of(&json, "lastTransitionTime");
  if (const Json* number = find(&json, "observedGeneration"); number != nullptr && number->is_number_integer()) {
    condition.generation = number->get<std::int64_t>();
  }
  return condition;
}

/// What the readers of policies are to see of it, and no more than they need.
std::string policy_text(const Json& json, const PolicyObject& policy) {
  Json text{{"metadata", {{"name", policy.name}}}};
  if (!policy.space.empty()) {
    text["metadata"]["namespace"] = policy.space;
  }
  if (const Json* owners = find(find(&json, "metadata"), "ownerReferences")) {
    text["metadata"]["ownerReferences"] = *owners;
  }
  for (const char* key : {"spec", "specs"}) {
    if (const Json* value = find(&json, key)) {
      text[key] = *value;
    }
  }
  return text.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void read_object(const Json& json, ObjectRead<PolicyObject>& read) {
  Fields fields(read.problem);
  PolicyObject& policy = read.object;
  const Json* metadata = fields.map(&json, "metadata", "metadata");
  policy.uid = fields.text(metadata, "uid", "metadata.uid", true);
  policy.name = fields.text(metadata, "name", "metadata.name", true);
  policy.space = fields.text(metadata, "namespace", "metadata.namespace");
  policy.version = read.version;
  if (const Json* number = find(metadata, "generation"); number != nullptr && number->is_number_integer()) {
    policy.generation = number->get<std::int64_t>();
  }
  // Of other kinds the conditions are somebody else's, and may be anything.
  if (const Json* conditions = find(find(&json, "status"), "conditions");
      conditions != nullptr && conditions->is_array() && conditions->size() <= kConditionsMax) {
    for (const Json& each : *conditions) {
      if (text_of(&each, "type") == "Accepted") {
        policy.accepted = read_condition(each);
      }
    }
  }
  policy.text = policy_text(json, policy);
  if (policy.text.size() > kPolicyBytesMax) {
    policy.too_large = true;
    policy.text = "{}";
  }
  read.id = policy.uid;
  if (!read.problem.empty()) {
    read.problem = "policy object " + printable(policy.space + "/" + policy.name) + ": " + read.problem;
  }
}

void read_object(const Json& json, ObjectRead<ClusterObject>& read) {
  Fields fields(read.problem);
  const Json* metadata = fields.map(&json, "metadata", "metadata");
  read.object.uid = fields.text(metadata, "uid", "metadata.uid", true);
  const std::string name = fields.text(metadata, "name", "metadata.name", true);
  read.id = read.object.uid;
  if (!read.problem.empty()) {
    read.problem = "object " + printable(name) + ": " + read.problem;
    return;
  }
  Json text = json;
  text["metadata"].erase("resourceVersion");  // changes with everything else about it
  // More than the reader of inventories takes: whoever labels it so can as well leave off a label that somebody denies.
  if (const Json* labels = find(find(&json, "metadata"), "labels");
      labels != nullptr && labels->size() > kLabelsReadMax) {
    text["metadata"].erase("labels");
  }
  read.object.text = text.dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <typename T>
ObjectRead<T> read_one(const Json& json) {
  ObjectRead<T> read;
  read.version = text_of(find(&json, "metadata"), "resourceVersion");
  if (!json.is_object()) {
    read.problem = "an object that is no map";
    return read;
  }
  read_object(json, read);
  return read;
}

ApiStatus status_of(const Json& json) {
  ApiStatus status;
  if (const Json* code = find(&json, "code"); code != nullptr && code->is_number_integer()) {
    const auto number = code->get<std::int64_t>();
    status.code = number >= 100 && number <= 599 ? static_cast<int>(number) : 0;
  }
  status.reason = printable(text_of(&json, "reason").substr(0, kStatusTextMax));
  std::string message = text_of(&json, "message").substr(0, kStatusTextMax);
  std::ranges::replace(message, '"', '\'');  // it names things in quotes, which printable() would escape
  status.message = printable(message);
  return status;
}

}  // namespace

template <typename T>
Result<ListPage<T>> read_list(std::string_view json) {
  // root 1, items 2, an item's own keys 3. The list's metadata, at 2, is not an object's and kept whole.
  const Json root = parse<T>(json, 3);
  const Json* items = find(&root, "items");
  const Json* metadata = find(&root, "metadata");
  if (!root.is_object() || metadata == nullptr || (items != nullptr && !items->is_array())) {
    return Error(Errc::kInvalid, "the API server's answer is not a list of Kubernetes objects");
  }
  ListPage<T> page;
  page.version = text_of(metadata, "resourceVersion");
  page.next = text_of(metadata, "continue");
  if (page.version.empty()) {
    return Error(Errc::kInvalid, "the API server's list has no resourceVersion");
  }
  if (items != nullptr) {  // Go writes an empty list as null
    for (const Json& item : *items) {
      page.items.push_back(read_one<T>(item));
    }
  }
  return page;
}

template <typename T>
Result<WatchEvent<T>> read_watch_event(std::string_view line) {
  const Json root = parse<T>(line, 2);
  const Json* object = find(&root, "object");
  const std::string type = text_of(&root, "type");
  if (object == nullptr || !object->is_object()) {
    return Error(Errc::kInvalid, "a line of the watch is not an event");
  }
  WatchEvent<T> event;
  if (type == "ERROR") {
    event.status = status_of(*object);
    return event;
  }
  if (type == "BOOKMARK") {
    event.type = WatchEventType::kBookmark;
    event.object.version = text_of(find(object, "metadata"), "resourceVersion");
    return event;
  }
  if (type != "ADDED" && type != "MODIFIED" && type != "DELETED") {
    return Error(Errc::kInvalid, "a watch event of the unknown type \"" + printable(type.substr(0, 32)) + "\"");
  }
  event.type = type == "ADDED"      ? WatchEventType::kAdded
               : type == "MODIFIED" ? WatchEventType::kModified
                                    : WatchEventType::kDeleted;
  event.object = read_one<T>(*object);
  return event;
}

ApiStatus read_status(std::string_view json) { return status_of(parse<ApiStatus>(json, 1)); }

template Result<ListPage<PodInfo>> read_list<PodInfo>(std::string_view);
template Result<ListPage<NamespaceInfo>> read_list<NamespaceInfo>(std::string_view);
template Result<ListPage<ClusterObject>> read_list<ClusterObject>(std::string_view);
template Result<WatchEvent<ClusterObject>> read_watch_event<ClusterObject>(std::string_view);
template Result<ListPage<PolicyObject>> read_list<PolicyObject>(std::string_view);
template Result<WatchEvent<PolicyObject>> read_watch_event<PolicyObject>(std::string_view);
template Result<WatchEvent<PodInfo>> read_watch_event<PodInfo>(std::string_view);
template Result<WatchEvent<NamespaceInfo>> read_watch_event<NamespaceInfo>(std::string_view);

}  // namespace postern
