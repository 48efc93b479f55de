// SPDX-License-Identifier: Apache-2.0
//
// The Observer API over a real unix socket: gRPC's threads and the loop together.
#include "agent/observer/api_server.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <thread>

#include "tests/unit/observer_events.h"

namespace postern {
namespace {

class NoNames final : public NameSource {
 public:
  std::string name(std::uint32_t) const override { return {}; }
};

/// The server on a loop of its own thread; what a test does to the hub is posted there.
class ApiTest {
 protected:
  static constexpr std::size_t kFlows = 200;

  ApiTest() {
    char name[] = "/tmp/postern-unit-XXXXXX";
    folder = ::mkdtemp(name);
    path = folder + "/observer.sock";
    Fd listener = listen_stream(path, 0660).value();
    loop = EventLoop::make().value();
    work = LoopQueue::make(*loop).value();
    hub.directory() = known_directory();
    server = ApiServer::make(*loop, std::move(listener), hub, kFlows).value();
    thread = std::thread([this] { static_cast<void>(loop->run()); });
    stub = observer::Observer::NewStub(grpc::CreateChannel("unix://" + path, grpc::InsecureChannelCredentials()));
  }
  ~ApiTest() {
    stop();
    ::unlink(path.c_str());
    ::rmdir(folder.c_str());
  }
  void stop() {
    if (thread.joinable()) {
      on_loop([this] {
        server.reset();
        loop->stop();
      });
      thread.join();
    }
  }
  void on_loop(const std::function<void()>& what) {
    std::atomic<bool> done = false;
    REQUIRE(work->post([&] {
      what();
      done = true;
    }));
    while (!done) {
      std::this_thread::yield();
    }
  }
  void deny(const std::string& name) {
    on_loop([&] { hub.on_dns(question(EGRESS_REASON_DNS_NAME_DENIED, name), kBootToUnixNs); });
  }
  static std::unique_ptr<grpc::ClientContext> context() {
    auto made = std::make_unique<grpc::ClientContext>();
    made->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return made;
  }

  NoNames names;
  FlowHub hub{{.flows_max = kFlows, .node_name = "n", .host_name = "", .uuid_seed = 1}, names};
  std::string folder;
  std::string path;
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<LoopQueue> work;
  std::unique_ptr<ApiServer> server;
  std::thread thread;
  std::unique_ptr<observer::Observer::Stub> stub;
};

TEST_CASE_METHOD(ApiTest, "flows are answered and the stream ends", "[observer]") {
  deny("a.example");
  deny("b.example");
  observer::GetFlowsRequest request;
  request.set_number(20);
  const auto with = context();
  const auto reader = stub->GetFlows(with.get(), request);
  observer::GetFlowsResponse response;
  REQUIRE(reader->Read(&response));
  CHECK(response.flow().destination_names(0) == "a.example");
  CHECK(response.node_name() == "n");
  REQUIRE(reader->Read(&response));
  CHECK(response.flow().destination_names(0) == "b.example");
  CHECK_FALSE(reader->Read(&response));
  CHECK(reader->Finish().ok());
}

TEST_CASE_METHOD(ApiTest, "following gets what is new, and the end when the observer stops", "[observer]") {
  deny("old.example");
  observer::GetFlowsRequest request;
  request.set_follow(true);
  request.set_number(1);
  const auto with = context();
  const auto reader = stub->GetFlows(with.get(), request);
  observer::GetFlowsResponse response;
  REQUIRE(reader->Read(&response));
  CHECK(response.flow().destination_names(0) == "old.example");
  deny("new.example");
  REQUIRE(reader->Read(&response));
  CHECK(response.flow().destination_names(0) == "new.example");
  stop();
  CHECK_FALSE(reader->Read(&response));
  static_cast<void>(reader->Finish());
}

TEST_CASE_METHOD(ApiTest, "a client that went away leaves no trace", "[observer]") {
  observer::GetFlowsRequest request;
  request.set_follow(true);
  request.set_number(1);
  deny("a.example");
  for (std::size_t i = 0; i < FlowHub::kSinksMax + 10; ++i) {
    const auto with = context();
    const auto reader = stub->GetFlows(with.get(), request);
    observer::GetFlowsResponse response;
    REQUIRE(reader->Read(&response));
    with->TryCancel();
    CHECK_FALSE(reader->Finish().ok());
  }
}

TEST_CASE_METHOD(ApiTest, "a client that does not read loses the oldest and is told how many", "[observer]") {
  observer::GetFlowsRequest request;
  request.set_follow(true);
  request.mutable_since();
  deny("first.example");
  const auto with = context();
  const auto reader = stub->GetFlows(with.get(), request);
  observer::GetFlowsResponse response;
  REQUIRE(reader->Read(&response));
  constexpr int kMany = 20'000;  // more than gRPC's windows and our queue hold together
  on_loop([&] {
    for (int i = 0; i < kMany; ++i) {
      hub.on_dns(question(EGRESS_REASON_DNS_NAME_DENIED), kBootToUnixNs);
    }
  });
  deny("last.example");
  std::uint64_t flows = 0;
  std::uint64_t lost = 0;
  while (reader->Read(&response)) {
    flows += response.has_flow() ? 1 : 0;
    if (response.has_lost_events()) {
      CHECK(response.lost_events().source() == flow::HUBBLE_RING_BUFFER);
      lost += response.lost_events().num_events_lost();
    }
    if (response.has_flow() && response.flow().destination_names(0) == "last.example") {
      break;
    }
  }
  CHECK(lost > 0);
  CHECK(flows + lost == kMany + 1);
  with->TryCancel();
  static_cast<void>(reader->Finish());
}

TEST_CASE_METHOD(ApiTest, "a wrong filter is INVALID_ARGUMENT and names its field", "[observer]") {
  observer::GetFlowsRequest request;
  request.add_whitelist()->add_http_url("/");
  const auto with = context();
  const auto status = stub->GetFlows(with.get(), request)->Finish();
  CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(status.error_message().find("http_url") != std::string::npos);
}

TEST_CASE_METHOD(ApiTest, "the other calls", "[observer]") {
  deny("a.example");
  const auto with_status = context();
  observer::ServerStatusResponse status;
  REQUIRE(stub->ServerStatus(with_status.get(), {}, &status).ok());
  CHECK(status.num_flows() == 1);
  const auto with_nodes = context();
  observer::GetNodesResponse nodes;
  REQUIRE(stub->GetNodes(with_nodes.get(), {}, &nodes).ok());
  CHECK(nodes.nodes(0).name() == "n");
  const auto with_namespaces = context();
  observer::GetNamespacesResponse namespaces;
  REQUIRE(stub->GetNamespaces(with_namespaces.get(), {}, &namespaces).ok());
  const auto with_agent = context();
  CHECK(stub->GetAgentEvents(with_agent.get(), {})->Finish().error_code() == grpc::StatusCode::UNIMPLEMENTED);
  const auto with_debug = context();
  CHECK(stub->GetDebugEvents(with_debug.get(), {})->Finish().error_code() == grpc::StatusCode::UNIMPLEMENTED);
}

TEST_CASE_METHOD(ApiTest, "the socket is root's and its group's, and is not taken twice", "[observer]") {
  struct stat found {};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0660);
  CHECK(listen_stream(path, 0660).error().code() == Errc::kExists);
  stop();
  CHECK(listen_stream(path, 0660));  // a stale file is replaced
  CHECK_FALSE(listen_stream(std::string(200, 'x'), 0660));
}

TEST_CASE("the queue to the loop is bounded and closes", "[observer]") {
  const auto loop = EventLoop::make().value();
  const auto queue = LoopQueue::make(*loop).value();
  std::size_t done = 0;
  for (std::size_t i = 0; i < LoopQueue::kWaitingMax; ++i) {
    REQUIRE(queue->post([&] { ++done; }));
  }
  CHECK_FALSE(queue->post([] {}));
  REQUIRE(loop->run_once(0));
  CHECK(done == LoopQueue::kWaitingMax);
  REQUIRE(queue->post([&] { ++done; }));
  queue->close();
  CHECK(done == LoopQueue::kWaitingMax + 1);
  CHECK_FALSE(queue->post([] {}));
}

}  // namespace
}  // namespace postern
