// SPDX-License-Identifier: Apache-2.0
#include "agent/object_status.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/kube/event_note.h"
#include "base/log.h"

namespace postern {
namespace {

constexpr int kConflict = 409;  // another node was first

bool same(const ObjectCondition& a, const ObjectCondition& b) {
  return a.status == b.status && a.reason == b.reason && a.message == b.message && a.generation == b.generation;
}

/// FNV-1a: the same on every node, so that they give one event one name.
std::string hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  }
  std::string hex;
  for (int shift = 60; shift >= 0; shift -= 4) {
    hex += "0123456789abcdef"[(hash >> shift) & 15];
  }
  return hex;
}

/// Without what the reader sees already: which object it is about.
std::string without_title(std::string text, const std::string& title) {
  for (std::size_t at = text.find(title + ": "); at != std::string::npos; at = text.find(title + ": ", at)) {
    text.erase(at, title.size() + 2);
  }
  return text;
}

EventNote note_of(const PolicyResource& resource, const PolicyObject& object, const ObjectCondition& wanted) {
  constexpr std::size_t kNameMax = 200;  // an event's own may have 253
  EventNote note;
  note.kind = resource.kind;
  note.api_version = resource.api_version();
  note.space = object.space;
  note.name = object.name;
  note.uid = object.uid;
  note.reason = "PolicyRefused";
  note.message = wanted.message;
  note.event_name = object.name.substr(0, kNameMax) + "." +
                    hash_of(object.uid + "/" + std::to_string(object.generation) + "/" + wanted.message);
  return note;
}

}  // namespace

std::string status_patch(const PolicyObject& object, const ObjectCondition& wanted, std::int64_t unix_s) {
  const bool turned = object.accepted.status != wanted.status || object.accepted.since.empty();
  const nlohmann::json condition{{"type", "Accepted"},
                                 {"status", wanted.status},
                                 {"reason", wanted.reason},
                                 {"message", wanted.message},
                                 {"observedGeneration", wanted.generation},
                                 {"lastTransitionTime", turned ? rfc3339(unix_s) : object.accepted.since}};
  // With the version, so that the server refuses it when the object has changed since.
  const nlohmann::json patch{{"metadata", {{"resourceVersion", object.version}}},
                             {"status", {{"conditions", nlohmann::json::array({condition})}}}};
  return patch.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

ObjectStatus::ObjectStatus(EventLoop& loop, ApiClient& client, const PolicyObjects& objects, std::string node)
    : loop_(loop), client_(client), objects_(objects), node_(std::move(node)), random_(std::random_device{}()) {}

ObjectStatus::~ObjectStatus() {
  for (const auto& [uid, wish] : wishes_) {
    loop_.cancel(wish.timer);
    client_.cancel(wish.request);
  }
}

ObjectCondition ObjectStatus::condition_of(const PolicyObjects::Verdict& verdict) {
  ObjectCondition condition;
  condition.generation = verdict.object->generation;
  condition.status = verdict.problem.empty() ? "True" : "False";
  condition.reason = verdict.problem.empty() ? "Accepted" : "Invalid";
  if (verdict.problem.empty()) {
    condition.message = "in force";
    return condition;
  }
  const std::string what =
      verdict.former_stays ? "; as it was before it stays in force" : "; nothing of it is in force";
  const std::string problem = without_title(verdict.problem, verdict.resource->title_of(*verdict.object));
  condition.message = problem.substr(0, kMessageMax) + what;
  return condition;
}

void ObjectStatus::tell(const std::vector<PolicyObjects::Verdict>& verdicts) {
  for (const PolicyObjects::Verdict& verdict : verdicts) {
    const std::string& uid = verdict.object->uid;
    ObjectCondition wanted = condition_of(verdict);
    Wish& wish = wishes_[uid];
    if (wish.resource != nullptr && same(wish.wanted, wanted)) {
      continue;  // told, or about to be
    }
    wish.resource = verdict.resource;
    wish.wanted = std::move(wanted);
    wish.tries = 0;
    write_later(uid, static_cast<std::uint64_t>(random_()) % kSpreadMs);
  }
  std::erase_if(wishes_, [&](auto& entry) {
    if (objects_.find(entry.first) != nullptr) {
      return false;
    }
    loop_.cancel(entry.second.timer);
    client_.cancel(entry.second.request);
    return true;
  });
}

void ObjectStatus::write_later(const std::string& uid, std::uint64_t after_ms) {
  Wish& wish = wishes_.at(uid);
  loop_.cancel(wish.timer);
  wish.timer = loop_.after_ms(after_ms, [this, uid] {
    wishes_.at(uid).timer = 0;
    write(uid);
  });
}

void ObjectStatus::write(const std::string& uid) {
  Wish& wish = wishes_.at(uid);
  const PolicyObject* object = objects_.find(uid);
  const bool nothing = !wish.resource->native && wish.wanted.status == "True";
  if (object == nullptr || nothing || (wish.resource->native && same(object->accepted, wish.wanted))) {
    return;
  }
  client_.cancel(wish.request);
  const auto done = [this, uid](const ApiReply& reply) { on_written(uid, reply); };
  if (wish.resource->native) {
    const auto now_s = static_cast<std::int64_t>(clock_ns(CLOCK_REALTIME) / kNsPerS);
    wish.request =
        client_.patch(wish.resource->path_of(*object) + "/status", status_patch(*object, wish.wanted, now_s), done);
  } else {
    wish.request = client_.post_event(note_of(*wish.resource, *object, wish.wanted), node_, done);
  }
}

void ObjectStatus::on_written(const std::string& uid, const ApiReply& reply) {
  const auto found = wishes_.find(uid);
  if (found == wishes_.end()) {
    return;
  }
  Wish& wish = found->second;
  wish.request = 0;
  if (reply.ok() || (!wish.resource->native && reply.status == kConflict)) {
    return;
  }
  if (++wish.tries < kTriesMax) {
    write_later(uid, kRetryMs + static_cast<std::uint64_t>(random_()) % kSpreadMs);
  } else if (const PolicyObject* object = objects_.find(uid)) {
    spdlog::warn("what became of {} cannot be written to it: {}", wish.resource->title_of(*object),
                 reply.error ? reply.error->message() : "no answer");
  }
}

}  // namespace postern
