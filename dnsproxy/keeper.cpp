// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/keeper.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "dnsproxy/worker.h"

namespace postern {
namespace {

std::vector<int> raw(const std::vector<Fd>& fds) {
  std::vector<int> numbers;
  std::ranges::transform(fds, std::back_inserter(numbers), &Fd::get);
  return numbers;
}

constexpr std::uint32_t type_of(DnsMessage message) { return static_cast<std::uint32_t>(message); }

}  // namespace

Keeper::Keeper(EventLoop& loop, Fd listener, Users users)
    : loop_(loop), listener_(std::move(listener)), users_(users) {}

Keeper::~Keeper() { loop_.unwatch(listener_.get()); }

Result<> Keeper::start() {
  POSTERN_RETURN_IF_ERROR(loop_.on_signals({SIGCHLD, SIGTERM, SIGINT}, [this](int signal) {
    if (signal == SIGCHLD) {
      on_child();
    } else {
      loop_.stop();  // the workers see their channels close
    }
  }));
  return loop_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { on_connection(); });
}

void Keeper::on_connection() {
  auto socket = accept_unix(listener_.get());
  if (!socket) {
    return;
  }
  const auto peer = peer_of(socket->get());
  const bool known = peer && (peer->uid == 0 || peer->uid == users_.own || peer->uid == users_.observer);
  if (!known || connections_.size() >= kPeersMax) {
    spdlog::warn("refused a connection of uid {}", peer ? peer->uid : 0);
    return;
  }
  const std::uint64_t id = next_connection_++;
  auto channel = Channel::make(
      loop_, std::move(*socket), [this, id](Message message) { on_message(id, std::move(message)); },
      [this, id] { on_closed(id); });
  if (channel) {
    connections_.emplace(id, Connection{*peer, std::move(*channel)});
  }
}

void Keeper::on_closed(std::uint64_t id) {
  if (id == agent_) {
    agent_ = 0;
    spdlog::warn("posternd is gone; answering goes on with the policies it gave");
  }
  connections_.erase(id);
}

void Keeper::on_message(std::uint64_t id, Message message) {
  const auto type = static_cast<DnsMessage>(message.type);
  const uid_t uid = connections_.at(id).peer.uid;
  if (type == DnsMessage::kHelloSetup) {
    hello(id, false);
    return;
  }
  if (type == DnsMessage::kHelloObserver && (uid == 0 || uid == users_.observer)) {
    take_observer(id);
    return;
  }
  if (uid != 0) {
    return;
  }
  switch (type) {
    case DnsMessage::kHelloAgent:
      agent_ = id;
      hello(id, true);
      return;
    case DnsMessage::kSteering:
      take_sockets(std::move(message));
      return;
    case DnsMessage::kFeed:
      if (id == agent_) {
        on_feed(std::move(message));
      }
      return;
    default:
      return;
  }
}

void Keeper::hello(std::uint64_t id, bool with_sockets) {
  Channel& channel = *connections_.at(id).channel;
  const auto sent = sockets_.empty() ? channel.send(type_of(DnsMessage::kNoSteering), "")
                                     : channel.send(type_of(DnsMessage::kSteering), to_body(steering_),
                                                    with_sockets ? raw(sockets_) : std::vector<int>());
  if (!sent) {
    spdlog::warn("greeting a peer: {}", sent.error().message());
  }
}

void Keeper::take_sockets(Message message) {
  const auto steering = from_body<Steering>(message.body);
  if (!steering || !sockets_.empty() || steering->workers == 0 || steering->workers > kWorkersMax ||
      message.fds.size() != std::size_t{steering->workers} * kSocketsPerWorker) {
    return;  // nonsense, or we have sockets already
  }
  steering_ = *steering;
  sockets_ = std::move(message.fds);
  workers_.resize(steering_.workers);
  for (std::uint32_t i = 0; i < steering_.workers; ++i) {
    spawn(i);
  }
  if (agent_ != 0) {
    hello(agent_, true);
  }
}

/// The observer's socket becomes the workers': they write to it, we only pass it on again.
void Keeper::take_observer(std::uint64_t id) {
  Fd copy(::fcntl(connections_.at(id).channel->fd(), F_DUPFD_CLOEXEC, 3));  // dup(2) is not among our calls
  if (!copy) {
    return;
  }
  const std::string body = to_body(FeedHeader{FeedOp::kPut, FeedKind::kObserver, kAllWorkers, 0});
  Kept& kept = kept_[{FeedKind::kObserver, 0}];
  kept.body = body;
  kept.fds.clear();
  kept.fds.push_back(std::move(copy));
  forward(body, kept.fds);
}

void Keeper::on_feed(Message message) {
  const auto header = from_body<FeedHeader>(message.body);
  if (!header) {
    return;
  }
  const Key key{header->kind, header->key};
  switch (header->op) {
    case FeedOp::kBegin:
      for (auto& [kept_key, kept] : kept_) {
        kept.told = kept_key.first == FeedKind::kObserver;
      }
      return;
    case FeedOp::kEnd:
      std::erase_if(kept_, [&](const auto& entry) {
        if (!entry.second.told) {
          forward(to_body(FeedHeader{FeedOp::kErase, entry.first.first, kAllWorkers, entry.first.second}), {});
        }
        return !entry.second.told;
      });
      return;
    case FeedOp::kPut:
      kept_[key] = Kept{message.body, std::move(message.fds), true};
      forward(message.body, kept_[key].fds);
      return;
    case FeedOp::kErase:
      kept_.erase(key);
      forward(message.body, {});
      return;
    case FeedOp::kSync:
      forward(message.body, {});
      return;
  }
}

void Keeper::forward(const std::string& body, const std::vector<Fd>& fds) {
  const auto header = from_body<FeedHeader>(body);
  for (std::uint32_t i = 0; i < workers_.size(); ++i) {
    if (header && (header->worker == kAllWorkers || header->worker == i)) {
      send_to(workers_[i], body, fds);
    }
  }
}

void Keeper::send_to(Worker& worker, const std::string& body, const std::vector<Fd>& fds) {
  if (worker.channel) {
    // A failure means that it is dying; what is kept will be repeated to its successor.
    static_cast<void>(worker.channel->send(type_of(DnsMessage::kFeed), body, raw(fds)));
  }
}

void Keeper::spawn(std::uint32_t index) {
  auto ends = channel_pair();
  const pid_t pid = ends ? ::fork() : -1;
  if (pid < 0) {
    spdlog::error("worker {}: cannot start: {}", index, std::strerror(errno));
    loop_.after_ms(kSlowRestartMs, [this, index] { spawn(index); });
    return;
  }
  if (pid == 0) {
    ends->first.reset();  // with the keeper's end open in itself it would never see the keeper go
    become_worker(index, std::move(ends->second));
  }
  Worker& worker = workers_[index];
  worker.pid = pid;
  auto channel = Channel::make(
      loop_, std::move(ends->first),
      [this](Message message) {
        if (agent_ != 0) {
          static_cast<void>(connections_.at(agent_).channel->send(message.type, message.body));
        }
      },
      // Its end is told by SIGCHLD. If it is still there, it does not read: it is as good as dead.
      [pid] { ::kill(pid, SIGKILL); });
  if (!channel) {
    ::kill(pid, SIGKILL);
    return;
  }
  worker.channel = std::move(*channel);
  for (const auto& [key, kept] : kept_) {
    const auto header = from_body<FeedHeader>(kept.body);
    if (header->worker == kAllWorkers || header->worker == index) {
      send_to(worker, kept.body, kept.fds);
    }
  }
  spdlog::info("worker {} runs as process {}", index, pid);
}

void Keeper::on_child() {
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto found = std::ranges::find(workers_, pid, &Worker::pid);
    if (found == workers_.end()) {
      continue;
    }
    const auto index = static_cast<std::uint32_t>(found - workers_.begin());
    spdlog::error("worker {} ended: {} {}{}; starting another", index, WIFSIGNALED(status) ? "signal" : "exit status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                  WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? " (a system call that its filter forbids)" : "");
    found->channel.reset();
    found->pid = 0;
    const BootNs now = clock_.now();
    std::erase_if(found->deaths, [&](BootNs death) { return now - death > kDeathWindowS * kNsPerS; });
    found->deaths.push_back(now);
    if (found->deaths.size() > kFastDeathsMax) {
      loop_.after_ms(kSlowRestartMs, [this, index] { spawn(index); });
    } else {
      spawn(index);
    }
  }
}

void Keeper::become_worker(std::uint32_t index, Fd channel) {
  loop_.abandon();  // it is the parent's too: from here on nothing of it may be touched
  WorkerParts parts;
  parts.index = index;
  for (std::size_t i = 0; i < kSocketsPerWorker; ++i) {
    parts.sockets[i] = std::move(sockets_[index * kSocketsPerWorker + i]);
  }
  parts.channel = std::move(channel);
  // Everything else of the keeper's goes: the other workers' sockets, the peers, the kept descriptors.
  sockets_.clear();
  workers_.clear();
  kept_.clear();
  connections_.clear();
  listener_.reset();
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::_exit(run_worker(std::move(parts)));
}

}  // namespace postern
