// SPDX-License-Identifier: Apache-2.0
//
// ClusterWatch on a loop, against an API server that is a script: what it asks, keeps and tells.
#include "agent/kube/cluster_watch.h"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <vector>

namespace postern {
namespace {

/// Keeps the requests; the test answers them.
class ScriptedApi final : public ApiClient {
 public:
  struct Asked {
    std::string path;
    Done done;
    Stream stream;
  };

  RequestId get(std::string path, Done done) override {
    asked[++last] = {std::move(path), std::move(done), {}};
    return last;
  }
  RequestId stream(std::string path, std::uint32_t, Stream handlers) override {
    asked[++last] = {std::move(path), {}, std::move(handlers)};
    return last;
  }
  RequestId post_event(const EventNote&, const std::string&, Done) override { return 0; }
  RequestId patch(std::string, std::string, Done) override { return 0; }
  void cancel(RequestId request) override { asked.erase(request); }
  const KubeConfig& config() const override { return config_; }

  Asked& find(std::string_view kind, bool watch) {
    for (auto& [id, each] : asked) {
      if (each.path.starts_with("/api/v1/" + std::string(kind)) && static_cast<bool>(each.done) != watch) {
        return each;
      }
    }
    FAIL("not asked for " << kind << (watch ? " watch" : " list"));
    return asked.begin()->second;
  }
  bool has(std::string_view kind, bool watch) const {
    for (const auto& [id, each] : asked) {
      if (each.path.starts_with("/api/v1/" + std::string(kind)) && static_cast<bool>(each.done) != watch) {
        return true;
      }
    }
    return false;
  }
  Asked take(std::string_view kind, bool watch) {
    Asked found = find(kind, watch);
    std::erase_if(asked, [&](const auto& entry) { return entry.second.path == found.path; });
    return found;
  }

  void answer(std::string_view kind, const std::string& body) {
    ApiReply reply;
    reply.status = 200;
    reply.body = body;
    take(kind, false).done(std::move(reply));
  }
  static ApiReply refusal(int status, const std::string& text) {
    ApiReply reply;
    reply.status = status;
    reply.error = Error(Errc::kDenied, text);
    return reply;
  }
  void say(std::string_view kind, const std::string& bytes) {
    const Stream copy = find(kind, true).stream;  // the answer may cancel it
    copy.on_data(bytes);
  }

  std::map<RequestId, Asked> asked;
  RequestId last = 0;

 private:
  KubeConfig config_;
};

std::string pod(const std::string& uid, const std::string& name, const std::string& role, const std::string& address) {
  return R"({"metadata":{"uid":")" + uid + R"(","name":")" + name +
         R"(","namespace":"boxes","resourceVersion":"12","labels":{"role":")" + role + R"("}},"status":{"podIP":")" +
         address + R"("}})";
}

std::string list(const std::string& version, const std::string& items = "") {
  return R"({"metadata":{"resourceVersion":")" + version + R"("},"items":[)" + items + "]}";
}

std::string event(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}

struct Scene {
  Scene() {
    ClusterWatch::Callbacks callbacks;
    callbacks.on_pod = [this](const PodInfo& each) {
      told.push_back("pod " + each.name + " " + each.labels.at("role"));
    };
    callbacks.on_pod_gone = [this](const std::string& uid) { told.push_back("gone " + uid); };
    callbacks.on_namespace = [this](const NamespaceInfo& each) { told.push_back("space " + each.name); };
    callbacks.on_namespace_gone = [this](const std::string& name) { told.push_back("space gone " + name); };
    callbacks.on_synced = [this] { told.push_back("synced"); };
    callbacks.on_trouble = [this](const Error& error) { told.push_back("trouble " + error.message()); };
    callbacks.on_recovered = [this] { told.push_back("recovered"); };
    watch = std::make_unique<ClusterWatch>(*loop, api, "n 1", std::move(callbacks));
    watch->start();
  }

  using Told = std::vector<std::string>;
  Told heard() { return std::exchange(told, {}); }
  /// Runs the loop until it asks for this; the longest wait at the beginning is 250 ms.
  void wait_for(std::string_view kind, bool of_watch) {
    for (int i = 0; i < 100 && !api.has(kind, of_watch); ++i) {
      REQUIRE(loop->run_once(50));
    }
    REQUIRE(api.has(kind, of_watch));
  }
  void sync() {
    api.answer("pods", list("10", pod("u1", "a", "x", "10.0.0.1")));
    api.answer("namespaces", list("10", R"({"metadata":{"name":"boxes"}})"));
    api.find("pods", true).stream.on_open();
    api.find("namespaces", true).stream.on_open();
    REQUIRE(heard() == Told{"pod a x", "space boxes", "synced"});
  }

  std::unique_ptr<EventLoop> loop = EventLoop::make().value();
  ScriptedApi api;
  Told told;
  std::unique_ptr<ClusterWatch> watch;
};

using Told = Scene::Told;

}  // namespace

TEST_CASE("cluster watch: lists, is synced, then follows events") {
  Scene scene;
  CHECK(scene.api.find("pods", false).path == "/api/v1/pods?fieldSelector=spec.nodeName%3Dn%201&resourceVersion=0");
  CHECK_FALSE(scene.watch->synced());
  scene.sync();
  CHECK(scene.watch->synced());
  CHECK(scene.watch->trouble().empty());

  scene.api.say("pods",
                event("ADDED", pod("u2", "b", "y", "10.0.0.2")) + event("MODIFIED", pod("u1", "a", "x", "10.0.0.1")));
  CHECK(scene.heard() == Told{"pod b y"});  // the second changed nothing that is read
  scene.api.say("pods",
                event("MODIFIED", pod("u1", "a", "z", "10.0.0.1")) + event("DELETED", pod("u2", "b", "y", "10.0.0.2")));
  CHECK(scene.heard() == Told{"pod a z", "gone u2"});
  CHECK(scene.watch->pods().size() == 1);
  CHECK(scene.watch->pods().at("u1").labels.at("role") == "z");
  CHECK(scene.watch->counters().events == 4);
}

TEST_CASE("cluster watch: a version that is gone leads to a list, which tells what went away first") {
  Scene scene;
  scene.sync();
  scene.api.say("pods", event("ERROR", R"({"kind":"Status","code":410,"reason":"Expired"})"));
  CHECK_FALSE(scene.api.has("pods", true));
  scene.wait_for("pods", false);
  CHECK(scene.api.find("pods", false).path.ends_with("&resourceVersion=10&resourceVersionMatch=NotOlderThan"));
  scene.api.answer("pods", list("30", pod("u3", "c", "w", "10.0.0.1")));
  CHECK(scene.heard() == Told{"gone u1", "pod c w"});
  CHECK(scene.api.find("pods", true).path.find("resourceVersion=30&") != std::string::npos);
  CHECK(scene.watch->counters().relists == 1);
  CHECK(scene.watch->counters().reconnects == 1);
  CHECK(scene.watch->trouble().empty());
}

TEST_CASE("cluster watch: the server away at the start is trouble, told once, and ends") {
  Scene scene;
  ApiReply away;
  away.error = Error(Errc::kClosed, "away");
  scene.api.take("pods", false).done(away);
  scene.api.take("namespaces", false).done(away);
  CHECK(scene.heard() == Told{"trouble away"});
  scene.wait_for("pods", false);
  scene.api.take("pods", false).done(away);
  CHECK(scene.heard().empty());
  CHECK(scene.watch->trouble() == "away");
  scene.wait_for("pods", false);
  scene.wait_for("namespaces", false);
  scene.api.answer("pods", list("10"));
  scene.api.answer("namespaces", list("10"));
  CHECK(scene.heard() == Told{"synced"});
  scene.api.find("pods", true).stream.on_open();
  CHECK(scene.heard().empty());
  scene.api.find("namespaces", true).stream.on_open();
  CHECK(scene.heard() == Told{"recovered"});
  CHECK(scene.watch->counters().failures == 3);
}

TEST_CASE("cluster watch: an answer names the kind that is refused") {
  Scene scene;
  scene.api.take("pods", false).done(ScriptedApi::refusal(403, "forbidden"));
  CHECK(scene.heard() == Told{"trouble listing pods: forbidden"});
  scene.api.answer("namespaces", list("10"));
  scene.api.take("namespaces", true).stream.on_done(ScriptedApi::refusal(403, "forbidden"));
  CHECK(scene.heard() == Told{"trouble listing pods: forbidden; and watching namespaces: forbidden"});
}

TEST_CASE("cluster watch: a watch that worked and breaks is no trouble before the next one fails") {
  Scene scene;
  scene.sync();
  ApiReply broken;
  broken.error = Error(Errc::kClosed, "broken");
  scene.api.take("pods", true).stream.on_done(broken);
  CHECK(scene.heard().empty());
  scene.wait_for("pods", true);
  CHECK(scene.api.find("pods", true).path.find("resourceVersion=10&") != std::string::npos);
  scene.api.take("pods", true).stream.on_done(broken);
  CHECK(scene.heard() == Told{"trouble broken"});
  CHECK(scene.watch->pods().size() == 1);  // what is known stays known
  scene.wait_for("pods", true);
  scene.api.find("pods", true).stream.on_open();
  CHECK(scene.heard() == Told{"recovered"});
}

TEST_CASE("cluster watch: an object that cannot be read stays as it was") {
  Scene scene;
  scene.sync();
  const std::string bad = R"({"metadata":{"uid":"u1","name":"a","namespace":"boxes","labels":[]}})";
  scene.api.say("pods", event("MODIFIED", bad) + "nonsense\n" + event("ADDED", pod("u2", "b", "y", "10.0.0.2")));
  CHECK(scene.heard() == Told{"pod b y"});
  CHECK(scene.watch->pods().at("u1").labels.at("role") == "x");
  CHECK(scene.watch->counters().unreadable == 2);
  scene.api.say("pods", event("ERROR", R"({"code":410})"));
  scene.wait_for("pods", false);
  scene.api.answer("pods", list("30", bad));
  CHECK(scene.heard() == Told{"gone u2"});
  CHECK(scene.watch->pods().contains("u1"));
}

TEST_CASE("cluster watch: a list in pages is told when it is whole") {
  Scene scene;
  scene.api.answer("pods", R"({"metadata":{"resourceVersion":"10","continue":"t"},"items":[)" +
                               pod("u1", "a", "x", "10.0.0.1") + "]}");
  CHECK(scene.heard().empty());
  CHECK(scene.api.find("pods", false).path.ends_with("&continue=t"));
  scene.api.answer("pods", list("10", pod("u2", "b", "y", "10.0.0.2")));
  CHECK(scene.heard() == Told{"pod a x", "pod b y"});
}

TEST_CASE("cluster watch: its end cancels what it asked for") {
  Scene scene;
  CHECK(scene.api.asked.size() == 2);
  scene.watch.reset();
  CHECK(scene.api.asked.empty());
}

}  // namespace postern
