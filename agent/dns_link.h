// SPDX-License-Identifier: Apache-2.0
//
// DnsLink: posternd's connection to postern-dns, and the memory of what it must know.
//
// What was put is kept here, so that a keeper that starts again, or that comes later, is told
// everything. Duplicates of the DNS sockets are kept too: a new keeper gets them, and the sockets
// (and the steering namespace with them) outlive the old one. postern-dns's absence stops nothing
// here: nobody decides by a policy that nobody holds.
// Thread: posternd's loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "api/dns_feed.h"
#include "base/channel.h"
#include "base/event_loop.h"

namespace postern {

class DnsLink {
 public:
  static constexpr std::uint64_t kReconnectMs = 100;
  static constexpr std::uint64_t kSyncRetryMs = 300;  ///< A worker that starts again does not see a sync before it.
  static constexpr int kSyncTries = 20;

  /// Told when the steering link is known, and again when it becomes another one.
  using OnSteering = std::function<void(const Steering& steering)>;
  using OnSynced = std::function<void(Result<>)>;

  DnsLink(EventLoop& loop, std::string socket_path, OnSteering on_steering);
  ~DnsLink();

  /// Connects now, and again whenever the connection is gone. Calls `ready_or_not` once: when
  /// postern-dns has answered, or after wait_ms without it. Workers are told nothing before that.
  void start(std::uint64_t wait_ms, std::function<void()> ready_or_not);

  /// Tells all workers, or for a sandbox the one that owns it, and remembers it.
  void put(FeedKind kind, std::uint64_t key, std::string body, const std::vector<int>& fds = {});
  void erase(FeedKind kind, std::uint64_t key);

  /// Calls back once every worker has done all that was put before. At once, when there is no
  /// worker. @return (to the callback) invalid: a worker could not take something; again: one does
  /// not answer. The caller then goes back to what was before.
  void sync(OnSynced done);

  /// Ready: connected, and postern-setup has given it sockets.
  bool ready() const { return channel_ != nullptr && steered_; }
  bool connected() const { return channel_ != nullptr; }
  /// start() was called.
  bool started() const { return started_; }
  std::uint32_t workers() const { return steering_.workers; }

 private:
  struct Entry {
    std::string body;
    std::vector<Fd> fds;
  };
  struct Sync {
    std::uint64_t key = 0;
    std::set<std::uint32_t> missing;
    OnSynced done;
    int tries = 0;
    EventLoop::TimerId timer = 0;
  };

  void connect();
  void reconnect_later();
  void begin();
  void on_message(Message message);
  void on_steering(Message message);
  void on_ack(const FeedAck& ack);
  void tell_everything();
  void send(FeedOp op, FeedKind kind, std::uint64_t key, std::string_view body = {}, const std::vector<Fd>& fds = {});
  void send_sync(Sync& sync);
  void finish_sync(std::uint64_t key, Result<> result);
  void finish_all_syncs();

  EventLoop& loop_;
  std::string socket_path_;
  OnSteering on_steering_;
  std::unique_ptr<Channel> channel_;
  EventLoop::TimerId reconnect_timer_ = 0;
  bool started_ = false;
  bool steered_ = false;
  bool told_ = false;  // all that there is; from then on changes are told as they come
  std::function<void()> ready_or_not_;  // until it was called
  EventLoop::TimerId begin_timer_ = 0;
  Steering steering_;
  std::vector<Fd> sockets_;
  std::map<std::pair<FeedKind, std::uint64_t>, Entry> entries_;
  std::map<std::uint64_t, Sync> syncs_;
  std::uint64_t next_sync_ = 1;
};

}  // namespace postern
