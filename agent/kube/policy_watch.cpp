// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/policy_watch.h"

#include <algorithm>
#include <utility>

#include "agent/kube/resource_feed.h"

namespace postern {

struct PolicyWatch::Feed {
  using Objects = ResourceFeed<PolicyObject>;

  Feed(EventLoop& loop, ApiClient& client, const PolicyResource& kind)
      : resource(kind),
        objects(loop, client, std::string(kind.plural), {kind.path(), ""}, kObjectsMax, Objects::Kind::kMaybeAbsent) {}

  const PolicyResource& resource;
  Objects objects;
};

PolicyWatch::PolicyWatch(EventLoop& loop,
                         ApiClient& client,
                         std::vector<const PolicyResource*> kinds,
                         Callbacks callbacks)
    : callbacks_(std::move(callbacks)) {
  for (const PolicyResource* kind : kinds) {
    feeds_.push_back(std::make_unique<Feed>(loop, client, *kind));
  }
}

PolicyWatch::~PolicyWatch() = default;

void PolicyWatch::start() {
  for (const auto& feed : feeds_) {
    const PolicyResource& resource = feed->resource;
    feed->objects.start({[this, &resource](const PolicyObject& object) { callbacks_.on_object(resource, object); },
                         [this, &resource](const std::string& uid) { callbacks_.on_gone(resource, uid); },
                         [this] { callbacks_.on_state(); }});
  }
}

bool PolicyWatch::known() const {
  return std::ranges::all_of(feeds_, [](const auto& feed) { return feed->objects.synced(); });
}

std::vector<std::string> PolicyWatch::kinds() const {
  std::vector<std::string> names;
  for (const auto& feed : feeds_) {
    names.emplace_back(feed->resource.name);
  }
  return names;
}

std::vector<std::string> PolicyWatch::absent() const {
  std::vector<std::string> names;
  for (const auto& feed : feeds_) {
    if (feed->objects.absent()) {
      names.emplace_back(feed->resource.name);
    }
  }
  return names;
}

const PolicyWatch::Feed* PolicyWatch::first_in_trouble() const {
  const auto found = std::ranges::find_if(feeds_, [](const auto& feed) { return !feed->objects.trouble().empty(); });
  return found == feeds_.end() ? nullptr : found->get();
}

std::string PolicyWatch::trouble() const {
  const Feed* feed = first_in_trouble();
  return feed == nullptr ? "" : feed->objects.trouble();
}

Errc PolicyWatch::trouble_code() const {
  const Feed* feed = first_in_trouble();
  return feed == nullptr ? Errc::kIo : feed->objects.trouble_code();
}

}  // namespace postern
