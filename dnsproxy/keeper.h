// SPDX-License-Identifier: Apache-2.0
//
// The keeper: the parent of the DNS workers. Holds what must outlive them (sockets, map descriptors,
// the last policy) and starts a dead one again at once. Parses nothing a sandbox sent, and of
// posternd's messages only the fixed header.
//
// Peers, by their socket credentials: root may set up and feed; the observer's user may observe; they and our
// own user may ask whether there are sockets.
// Limits: kPeersMax connections; a worker that dies kFastDeathsMax times in kDeathWindowS is
// restarted with a delay, so that a crash cannot be repeated without end.
#pragma once

#include <sys/types.h>

#include <array>
#include <map>
#include <memory>
#include <vector>

#include "api/dns_feed.h"
#include "base/channel.h"
#include "base/event_loop.h"
#include "base/fd.h"

namespace postern {

class Keeper {
 public:
  static constexpr std::size_t kPeersMax = 16;
  static constexpr std::size_t kFastDeathsMax = 20;
  static constexpr std::uint64_t kDeathWindowS = 10;
  static constexpr std::uint64_t kSlowRestartMs = 1000;

  struct Users {
    uid_t own = 0;
    uid_t observer = 0;
  };

  Keeper(EventLoop& loop, Fd listener, Users users);
  ~Keeper();
  /// Listens and takes care of children until the loop stops.
  Result<> start();

 private:
  struct Kept {
    std::string body;
    std::vector<Fd> fds;
    bool told = true;  // since the last kBegin
  };
  struct Worker {
    pid_t pid = 0;
    std::unique_ptr<Channel> channel;
    std::vector<BootNs> deaths;
  };
  struct Connection {
    Peer peer;
    std::unique_ptr<Channel> channel;
  };
  using Key = std::pair<FeedKind, std::uint64_t>;

  void on_connection();
  void on_message(std::uint64_t id, Message message);
  void on_closed(std::uint64_t id);
  void take_sockets(Message message);
  void hello(std::uint64_t id, bool with_sockets);
  void take_observer(std::uint64_t id);
  void on_feed(Message message);
  void forward(const std::string& body, const std::vector<Fd>& fds);
  void spawn(std::uint32_t index);
  [[noreturn]] void become_worker(std::uint32_t index, Fd channel);
  void on_child();
  void send_to(Worker& worker, const std::string& body, const std::vector<Fd>& fds);

  EventLoop& loop_;
  SystemClock clock_;
  Fd listener_;
  Users users_;
  Steering steering_;
  std::vector<Fd> sockets_;
  std::vector<Worker> workers_;
  std::map<Key, Kept> kept_;
  std::map<std::uint64_t, Connection> connections_;
  std::uint64_t next_connection_ = 1;
  std::uint64_t agent_ = 0;  // connection of posternd; 0: none
};

}  // namespace postern
