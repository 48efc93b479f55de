// SPDX-License-Identifier: Apache-2.0
//
// The API server's JSON as pods and namespaces, and a watch's bytes as lines.
#include "agent/kube/reader.h"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "agent/kube/event_note.h"
#include "agent/kube/line_splitter.h"
#include "agent/kube/problem.h"

namespace postern {
namespace {

constexpr std::string_view kPod = R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"agent-0","namespace":"boxes",
 "uid":"u-1","resourceVersion":"41","labels":{"role":"runtime","phase":"x"},
 "annotations":{"a":"b","kubernetes.io/config.mirror":"u-kubelet"},
 "managedFields":[{"manager":"kubelet"}]},
 "spec":{"nodeName":"n1","hostNetwork":false,"dnsPolicy":"ClusterFirst","containers":[{"name":"c"}],
  "dnsConfig":{"searches":["a.example","b.example"],"options":[{"name":"ndots"}]}},
 "status":{"phase":"Running","startTime":"2026-11-27T09:50:01Z","podIP":"10.0.0.5","podIPs":[{"ip":"10.0.0.5"},{"ip":"fd00::5"}]}})";

std::string list_of(std::string_view items) {
  return R"({"kind":"PodList","metadata":{"resourceVersion":"77","continue":"go on"},"items":[)" + std::string(items) +
         "]}";
}

ObjectRead<PodInfo> read_pod(const std::string& json) {
  auto page = read_list<PodInfo>(list_of(json));
  REQUIRE(page);
  REQUIRE(page->items.size() == 1);
  return page->items[0];
}

}  // namespace

TEST_CASE("kube reader: a pod with all that Postern reads") {
  auto page = read_list<PodInfo>(list_of(kPod));
  REQUIRE(page);
  CHECK(page->version == "77");
  CHECK(page->next == "go on");
  REQUIRE(page->items.size() == 1);
  const auto& read = page->items[0];
  CHECK(read.problem.empty());
  CHECK(read.id == "u-1");
  CHECK(read.version == "41");
  const PodInfo& pod = read.object;
  CHECK(pod.uid == "u-1");
  CHECK(pod.space == "boxes");
  CHECK(pod.name == "agent-0");
  CHECK(pod.labels == Labels{{"role", "runtime"}, {"phase", "x"}});
  REQUIRE(pod.addresses.size() == 2);
  CHECK(pod.addresses[0].to_string() == "10.0.0.5");
  CHECK(pod.addresses[1].to_string() == "fd00::5");
  CHECK_FALSE(pod.host_network);
  CHECK_FALSE(pod.finished);
  CHECK_FALSE(pod.deleting);
  CHECK(pod.static_uid == "u-kubelet");
  CHECK(pod.started_unix_s == 1795773001);
  CHECK(pod.dns_policy == "ClusterFirst");
  CHECK(pod.searches == std::vector<std::string>{"a.example", "b.example"});
}

TEST_CASE("kube reader: absent and null fields are defaults, podIP stands in for podIPs") {
  const auto read = read_pod(R"({"metadata":{"name":"a","namespace":"b","uid":"u","labels":null,
    "deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{"hostNetwork":true,"dnsConfig":null},
    "status":{"phase":"Failed","podIP":"10.0.0.9"}})");
  CHECK(read.problem.empty());
  CHECK(read.object.labels.empty());
  CHECK(read.object.static_uid.empty());
  CHECK(read.object.started_unix_s == 0);
  CHECK(read.object.deleting);
  CHECK(read.object.host_network);
  CHECK(read.object.finished);
  REQUIRE(read.object.addresses.size() == 1);
  CHECK(read.object.addresses[0].to_string() == "10.0.0.9");
}

TEST_CASE("kube reader: a wrong type spoils that object alone") {
  const std::string bad = R"({"metadata":{"name":"bad","namespace":"b","uid":"u-2","labels":{"x\n":5}}})";
  auto page = read_list<PodInfo>(list_of(std::string(kPod) + "," + bad + ",7"));
  REQUIRE(page);
  REQUIRE(page->items.size() == 3);
  CHECK(page->items[0].problem.empty());
  CHECK(page->items[1].id == "u-2");  // so that a relist does not take it for gone
  CHECK(page->items[1].problem == R"(pod b/bad: metadata.labels["x\x0a"] is not a text)");
  CHECK_FALSE(page->items[2].problem.empty());
  CHECK(page->items[2].id.empty());
}

TEST_CASE("kube reader: each field's wrong type is told by its path") {
  const auto problem = [](std::string_view spec, std::string_view status) {
    return read_pod(R"({"metadata":{"name":"a","namespace":"b","uid":"u"},"spec":)" + std::string(spec) +
                    R"(,"status":)" + std::string(status) + "}")
        .problem;
  };
  CHECK(problem("{}", "{}").empty());
  CHECK(problem("[]", "{}") == "pod b/a: spec is not a map");
  CHECK(problem(R"({"hostNetwork":"yes"})", "{}") == "pod b/a: spec.hostNetwork is not true or false");
  CHECK(problem(R"({"dnsPolicy":1})", "{}") == "pod b/a: spec.dnsPolicy is not a text");
  CHECK(
      problem(R"({"dnsConfig":{"searches":"x"}})", "{}").starts_with("pod b/a: spec.dnsConfig.searches is not a list"));
  CHECK(problem(R"({"dnsConfig":{"searches":[1]}})", "{}") == "pod b/a: spec.dnsConfig.searches[] is not a text");
  CHECK(problem("{}", R"({"podIPs":[{"ip":"10.0.0.256"}]})") == "pod b/a: status.podIPs[].ip is not an address");
  CHECK(problem("{}", R"({"podIPs":["10.0.0.2"]})") == "pod b/a: status.podIPs[] is not a map");
  CHECK(problem("{}", R"({"phase":{}})") == "pod b/a: status.phase is not a text");
  CHECK(problem("{}", R"({"startTime":7})") == "pod b/a: status.startTime is not a text");
  CHECK(problem("{}", R"({"startTime":"yesterday"})").empty());  // not told, then
}

TEST_CASE("kube reader: too many labels, addresses or searches are refused") {
  std::string labels;
  for (std::size_t i = 0; i <= kLabelsMax; ++i) {
    labels += (labels.empty() ? "" : ",") + std::string("\"l") + std::to_string(i) + "\":\"v\"";
  }
  const std::string pod = R"({"metadata":{"name":"a","namespace":"b","uid":"u","labels":{)" + labels + "}}}";
  CHECK(read_pod(pod).problem.find("at most 200000 labels") != std::string::npos);
}

TEST_CASE("kube reader: namespaces, and an empty list as Go writes it") {
  auto page = read_list<NamespaceInfo>(R"({"metadata":{"resourceVersion":"5"},"items":null})");
  REQUIRE(page);
  CHECK(page->items.empty());
  page = read_list<NamespaceInfo>(
      R"({"metadata":{"resourceVersion":"5"},"items":[{"metadata":{"name":"boxes","labels":{"postern.dev/enforce":"strict"}}}]})");
  REQUIRE(page);
  REQUIRE(page->items.size() == 1);
  CHECK(page->items[0].id == "boxes");
  CHECK(page->items[0].object.labels.at("postern.dev/enforce") == "strict");
}

TEST_CASE("kube reader: what is no list is an error") {
  for (const std::string_view text : {"", "x", "{}", "[]", "null", R"({"items":[]})", R"({"metadata":{},"items":[]})",
                                      R"({"metadata":{"resourceVersion":"1"},"items":{}})",
                                      R"({"metadata":{"resourceVersion":"1"},"items":[)", "{\"metadata\":1e999}"}) {
    CAPTURE(text);
    CHECK_FALSE(read_list<PodInfo>(text));
  }
}

TEST_CASE("kube reader: watch events") {
  auto event = read_watch_event<PodInfo>(R"({"type":"MODIFIED","object":)" + std::string(kPod) + "}");
  REQUIRE(event);
  CHECK(event->type == WatchEventType::kModified);
  CHECK(event->object.object.name == "agent-0");
  CHECK(event->object.version == "41");

  event = read_watch_event<PodInfo>(
      R"({"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"99"},"spec":{}}})");
  REQUIRE(event);
  CHECK(event->type == WatchEventType::kBookmark);
  CHECK(event->object.version == "99");

  event = read_watch_event<PodInfo>(
      R"({"type":"ERROR","object":{"kind":"Status","status":"Failure","message":"too old\n","reason":"Expired","code":410}})");
  REQUIRE(event);
  CHECK(event->type == WatchEventType::kError);
  CHECK(event->status.code == 410);
  CHECK(event->status.reason == "Expired");
  CHECK(event->status.message == "too old\\x0a");

  CHECK_FALSE(read_watch_event<PodInfo>(R"({"type":"SHRUG","object":{}})"));
  CHECK_FALSE(read_watch_event<PodInfo>(R"({"type":"ADDED"})"));
  CHECK_FALSE(read_watch_event<PodInfo>("nonsense"));
}

TEST_CASE("kube line splitter: lines whatever the cuts") {
  const std::string bytes = "one\n\ntwo\nthree\nrest";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    CAPTURE(piece);
    LineSplitter splitter(5);
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      splitter.feed(std::string_view(bytes).substr(at, piece), [&](std::string_view line) {
        lines.emplace_back(line);
        return true;
      });
    }
    CHECK(lines == std::vector<std::string>{"one", "two", "three"});
    CHECK(splitter.held() == 4);
    CHECK(splitter.too_long() == 0);
  }
}

TEST_CASE("kube line splitter: a line that is too long is passed over, the next one is not") {
  const std::string bytes = "short\nmuch too long\nlast\n";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    CAPTURE(piece);
    LineSplitter splitter(5);
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      splitter.feed(std::string_view(bytes).substr(at, piece), [&](std::string_view line) {
        lines.emplace_back(line);
        return true;
      });
      CHECK(splitter.held() <= 5);
    }
    CHECK(lines == std::vector<std::string>{"short", "last"});
    CHECK(splitter.too_long() == 1);
  }
}

TEST_CASE("kube line splitter: stops when told, and forgets the rest") {
  LineSplitter splitter(10);
  int lines = 0;
  splitter.feed("a\nb\nc\nd", [&](std::string_view) { return ++lines < 2; });
  CHECK(lines == 2);
  CHECK(splitter.held() == 0);
}

TEST_CASE("kube problem: refusals say what to do") {
  KubeConfig config;
  config.origin = "the pod's service account";
  config.server = "https://10.96.0.1:443";
  const Error forbidden = explain_status(
      403, R"({"kind":"Status","message":"pods is forbidden: User \"u\" cannot list resource \"pods\"","code":403})",
      config);
  CHECK(forbidden.code() == Errc::kDenied);
  CHECK(forbidden.message().find("pods is forbidden") != std::string::npos);
  CHECK(forbidden.message().find("ClusterRole") != std::string::npos);
  CHECK(explain_status(401, "Unauthorized", config).message().find("token") != std::string::npos);
  CHECK(explain_status(502, "<html>\x1b", config).message().find("HTTP status 502") != std::string::npos);
  const Error untrusted = explain_transport(TransportProblem::kUntrusted, "unable to get issuer\n", config);
  CHECK(untrusted.message().find("\n") == std::string::npos);
  CHECK(untrusted.message().find("is this cluster's") != std::string::npos);
}

TEST_CASE("kube event note: the JSON that the API server takes") {
  EventNote note;
  note.kind = "Pod";
  note.api_version = "v1";
  note.space = "boxes";
  note.name = "agent-0";
  note.uid = "u-1";
  note.reason = "PolicyRefused";
  note.message = std::string(ApiClient::kEventTextMax - 1, 'x') + "\xc3\xa4";  // the limit cuts a character in two
  CHECK(event_path(note) == "/api/v1/namespaces/boxes/events");
  const std::string json = event_json(note, "n1", 1'700'000'000);
  CHECK(json.find(R"("firstTimestamp":"2023-11-14T22:13:20Z")") != std::string::npos);
  CHECK(json.find(R"("generateName":"agent-0.")") != std::string::npos);
  CHECK(json.find(R"("type":"Warning")") != std::string::npos);
  note.space.clear();
  CHECK(event_path(note) == "/api/v1/namespaces/default/events");
}

TEST_CASE("kube reader: a policy object is kept as text, with what our condition said last") {
  const std::string policy = R"({"apiVersion":"postern.dev/v1alpha1","kind":"EgressPolicy","metadata":{"name":"web",
   "namespace":"shop","uid":"u-9","resourceVersion":"12","generation":3,"managedFields":[{"manager":"kubectl"}],
   "annotations":{"a":"b"},"ownerReferences":[{"kind":"SandboxTemplate","name":"t"}]},
   "spec":{"selector":{"matchLabels":{"name":"x","odd":"y"}},"unknown":[1]},"specs":[{"more":true}],
   "status":{"replicas":1,"conditions":[{"type":"Other","status":"True"},{"type":"Accepted","status":"False",
    "reason":"Invalid","message":"m","observedGeneration":2,"lastTransitionTime":"2026-11-01T00:00:00Z"}]}})";
  const auto event = read_watch_event<PolicyObject>(R"({"type":"ADDED","object":)" + policy + "}");
  REQUIRE(event);
  CHECK(event->object.problem.empty());
  CHECK(event->object.id == "u-9");
  const PolicyObject& object = event->object.object;
  CHECK(object.space == "shop");
  CHECK(object.name == "web");
  CHECK(object.generation == 3);
  CHECK(object.version == "12");
  CHECK(object.accepted == ObjectCondition{"False", "Invalid", "m", 2, "2026-11-01T00:00:00Z"});
  const auto text = nlohmann::json::parse(object.text);
  CHECK(text["metadata"] ==
        nlohmann::json::parse(
            R"({"name":"web","namespace":"shop","ownerReferences":[{"kind":"SandboxTemplate","name":"t"}]})"));
  // Nothing of it is left out, known or not: its reader judges that.
  CHECK(text["spec"] == nlohmann::json::parse(R"({"selector":{"matchLabels":{"name":"x","odd":"y"}},"unknown":[1]})"));
  CHECK(text["specs"][0]["more"] == true);
  CHECK_FALSE(text.contains("status"));
}

TEST_CASE("kube reader: of what policies may speak of only that is kept that they speak of") {
  const auto read = [](const std::string& version, const std::string& phase) {
    const auto event = read_watch_event<ClusterObject>(
        R"({"type":"MODIFIED","object":{"metadata":{"name":"a","namespace":"s","uid":"u","resourceVersion":")" +
        version +
        R"(","labels":{"app":"x"},"managedFields":[1]},"spec":{"containers":[{"name":"c"}],"hostNetwork":true},
           "status":{"phase":")" +
        phase + R"(","podIPs":[{"ip":"10.0.0.1"}],"conditions":[{"type":"Ready"}]}}})");
    REQUIRE(event);
    CHECK(event->object.version == version);
    return event->object.object;
  };
  const ClusterObject pod = read("7", "Running");
  CHECK(pod.uid == "u");
  CHECK(nlohmann::json::parse(pod.text) ==
        nlohmann::json::parse(R"({"metadata":{"name":"a","namespace":"s","uid":"u","labels":{"app":"x"}},
                                  "spec":{"hostNetwork":true},"status":{"phase":"Running","podIPs":[{"ip":"10.0.0.1"}]}})"));
  CHECK(read("8", "Running") == pod);
  CHECK(read("8", "Succeeded") != pod);
  const auto slice = read_watch_event<ClusterObject>(
      R"({"type":"ADDED","object":{"metadata":{"name":"e","uid":"u"},"addressType":"IPv4","ports":[{"name":"p","port":80}],
         "endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true}}]}})");
  REQUIRE(slice);
  const auto text = nlohmann::json::parse(slice->object.object.text);
  CHECK(text["endpoints"][0]["conditions"]["ready"] == true);
  CHECK(text["ports"][0]["name"] == "p");
}

TEST_CASE("kube reader: what is wrong with a policy object, and a refusal of its watch") {
  const auto nameless =
      read_watch_event<PolicyObject>(R"({"type":"ADDED","object":{"metadata":{"uid":"u"},"spec":{}}})");
  REQUIRE(nameless);
  CHECK(nameless->object.id == "u");
  CHECK_FALSE(nameless->object.problem.empty());
  const auto gone = read_watch_event<PolicyObject>(
      R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}})");
  REQUIRE(gone);
  CHECK(gone->status.code == 410);
  CHECK(gone->status.reason == "Expired");
}

}  // namespace postern
