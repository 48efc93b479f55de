// SPDX-License-Identifier: Apache-2.0
//
// The links to posternd and postern-dns, against peers of the test's own over real sockets.
#include "agent/observer/links.h"

#include <stdlib.h>
#include <sys/socket.h>

#include <catch2/catch_test_macros.hpp>
#include <optional>
#include <string>

#include "api/control.h"
#include "api/dns_feed.h"
#include "api/observer_feed.pb.h"
#include "tests/unit/observer_events.h"

namespace postern {
namespace {

class LinksTest {
 protected:
  LinksTest() : loop(EventLoop::make().value()) {
    char name[] = "/tmp/postern-unit-XXXXXX";
    folder = ::mkdtemp(name);
    path = folder + "/peer.sock";
  }
  ~LinksTest() {
    ::unlink(path.c_str());
    ::rmdir(folder.c_str());
  }
  void run_until(const std::function<bool()>& done) {
    for (int i = 0; i < 500 && !done(); ++i) {
      REQUIRE(loop->run_once(10));
    }
    REQUIRE(done());
  }
  /// The next connection, and the first message on it.
  Fd accept_hello(int listener, std::uint32_t type) {
    std::optional<Fd> accepted;
    run_until([&] {
      auto socket = accept_unix(listener);
      if (socket) {
        accepted = std::move(*socket);
      }
      return accepted.has_value();
    });
    std::optional<std::uint32_t> hello;
    run_until([&] {
      const auto message = receive_message(accepted->get());
      if (message) {
        hello = message->type;
      }
      return hello.has_value();
    });
    CHECK(*hello == type);
    return std::move(*accepted);
  }

  std::unique_ptr<EventLoop> loop;
  std::string folder;
  std::string path;
};

constexpr auto kHelloAgentLink = static_cast<std::uint32_t>(ControlMessage::kHelloObserver);
constexpr auto kMaps = static_cast<std::uint32_t>(ControlMessage::kObserverMaps);
constexpr auto kUpdate = static_cast<std::uint32_t>(ControlMessage::kObserverUpdate);

TEST_CASE_METHOD(LinksTest, "the agent link waits for posternd, takes maps and updates, and comes back", "[observer]") {
  std::size_t maps = 0;
  std::size_t sessions = 0;
  std::string interface;
  AgentLink link(
      *loop, path,
      {.on_maps =
           [&](std::vector<Fd> fds) {
             maps = fds.size();
             ++sessions;
           },
       .on_update = [&](const api::ObserverUpdate& update) { interface = update.put_sandbox().interface(); }});
  link.start();  // nobody listens yet
  REQUIRE(loop->run_once(0));
  for (std::size_t session = 1; session <= 2; ++session) {
    const Fd listener = listen_unix(path, 0600).value();
    const Fd peer = accept_hello(listener.get(), kHelloAgentLink);
    REQUIRE(send_message(peer.get(), kMaps, "", {0, 0, 0}));  // too few
    REQUIRE(send_message(peer.get(), kUpdate, "\xff nonsense", {}));
    REQUIRE(send_message(peer.get(), 999, "", {}));
    REQUIRE(send_message(peer.get(), kMaps, "", {0, 0, 0, 0}));
    run_until([&] { return sessions == session; });
    CHECK(maps == 4);
    const std::string name = "veth" + std::to_string(session);
    REQUIRE(send_message(peer.get(), kUpdate, sandbox_update(1, name, "10.0.0.2").SerializeAsString(), {}));
    run_until([&] { return interface == name; });
  }
}

TEST_CASE_METHOD(LinksTest, "the DNS link takes whole records only, and comes back", "[observer]") {
  int events = 0;
  bool connected = false;
  DnsEventLink link(*loop, path,
                    {.on_connected = [&](bool now) { connected = now; },
                     .on_event = [&](const egress_dns_event& event) { events += event.sandbox == kSandbox; }});
  link.start();
  for (int session = 1; session <= 2; ++session) {
    const Fd listener = listen_unix(path, 0600).value();
    const Fd peer = accept_hello(listener.get(), static_cast<std::uint32_t>(DnsMessage::kHelloObserver));
    CHECK(connected);
    const egress_dns_event event = question(EGRESS_REASON_DNS_NAME_DENIED);
    char longer[sizeof(event) + 1] = {};
    REQUIRE(::send(peer.get(), &event, sizeof(event) - 1, 0) > 0);
    REQUIRE(::send(peer.get(), longer, sizeof(longer), 0) > 0);
    REQUIRE(::send(peer.get(), &event, sizeof(event), 0) > 0);
    run_until([&] { return events == session; });
    CHECK(::shutdown(peer.get(), SHUT_RDWR) == 0);
    run_until([&] { return !connected; });
  }
}

}  // namespace
}  // namespace postern
