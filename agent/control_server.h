// SPDX-License-Identifier: Apache-2.0
//
// ControlServer: posternd's one socket. Commands of root, and the observer's feed.
//
// Who connects is decided by the kernel's word for it (SO_PEERCRED), never by what a message says.
// Limits: kPeersMax connections; one command at a time a connection; kRequestMax bytes a command.
// Thread: posternd's loop.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/control.h"
#include "api/control.pb.h"
#include "base/channel.h"
#include "base/event_loop.h"

namespace postern {

class ControlServer {
 public:
  static constexpr std::size_t kPeersMax = 32;
  static constexpr std::size_t kRequestMax = 64u << 10;

  using Respond = std::function<void(api::ControlReply)>;
  /// Carries a command out and responds once, at once or later.
  using OnRequest = std::function<void(const api::ControlRequest&, Respond)>;
  /// A new observer: give it, through send_observer(), all that there is.
  using OnObserver = std::function<void(std::uint64_t observer)>;

  /// @param observer_uid the user besides root that may observe.
  static Result<std::unique_ptr<ControlServer>> make(EventLoop& loop, const std::string& path, uid_t observer_uid);
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  ~ControlServer();

  void serve(OnRequest on_request, OnObserver on_observer);
  void send_observer(std::uint64_t observer, ControlMessage type, const std::string& body, const std::vector<int>& fds = {});
  /// The same to every observer.
  void tell_observers(const std::string& update);
  bool observed() const;

 private:
  struct Connection {
    uid_t uid = 0;
    std::unique_ptr<Channel> channel;
    bool observer = false;
    bool busy = false;
  };

  ControlServer(EventLoop& loop, Fd listener, std::string path, uid_t observer_uid);
  void on_connection();
  void on_message(std::uint64_t id, const Message& message);
  void on_request(std::uint64_t id, const std::string& body);

  EventLoop& loop_;
  Fd listener_;
  std::string path_;
  uid_t observer_uid_;
  OnRequest on_request_;
  OnObserver on_observer_;
  std::map<std::uint64_t, Connection> connections_;
  std::uint64_t next_connection_ = 1;
};

}  // namespace postern
