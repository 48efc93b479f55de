// SPDX-License-Identifier: Apache-2.0
#include "agent/dns_link.h"

#include <algorithm>

#include "base/log.h"

namespace postern {
namespace {

constexpr std::uint32_t type_of(DnsMessage message) { return static_cast<std::uint32_t>(message); }

std::vector<int> raw(const std::vector<Fd>& fds) {
  std::vector<int> numbers;
  std::ranges::transform(fds, std::back_inserter(numbers), &Fd::get);
  return numbers;
}

}  // namespace

DnsLink::DnsLink(EventLoop& loop, std::string socket_path, OnSteering on_steering)
    : loop_(loop), socket_path_(std::move(socket_path)), on_steering_(std::move(on_steering)) {}

DnsLink::~DnsLink() {
  loop_.cancel(reconnect_timer_);
  loop_.cancel(begin_timer_);
  for (auto& [key, sync] : syncs_) {
    loop_.cancel(sync.timer);
  }
}

void DnsLink::start(std::uint64_t wait_ms, std::function<void()> ready_or_not) {
  started_ = true;
  ready_or_not_ = std::move(ready_or_not);
  begin_timer_ = loop_.after_ms(wait_ms, [this] { begin(); });
  connect();
}

/// What the caller puts in ready_or_not_ goes out as one batch: from what they decided by before to
/// what they decide by now there is no moment at which workers know nothing.
void DnsLink::begin() {
  if (ready_or_not_) {
    loop_.cancel(begin_timer_);
    std::exchange(ready_or_not_, nullptr)();
  }
}

void DnsLink::reconnect_later() {
  reconnect_timer_ = loop_.after_ms(kReconnectMs, [this] { connect(); });
}

void DnsLink::connect() {
  auto socket = connect_unix(socket_path_);
  if (!socket) {
    reconnect_later();
    return;
  }
  auto channel = Channel::make(
      loop_, std::move(*socket), [this](Message message) { on_message(std::move(message)); },
      [this] {
        spdlog::warn("postern-dns is gone; waiting for it on {}", socket_path_);
        channel_.reset();
        steered_ = false;
        told_ = false;
        finish_all_syncs();
        reconnect_later();
      });
  if (!channel) {
    spdlog::error("connecting to postern-dns: {}", channel.error().message());
    reconnect_later();
    return;
  }
  channel_ = std::move(*channel);
  static_cast<void>(channel_->send(type_of(DnsMessage::kHelloAgent), ""));
}

void DnsLink::on_message(Message message) {
  switch (static_cast<DnsMessage>(message.type)) {
    case DnsMessage::kSteering:
      on_steering(std::move(message));
      return;
    case DnsMessage::kNoSteering:
      if (!sockets_.empty()) {
        spdlog::info("a new postern-dns: handing it the DNS sockets of its predecessor");
        static_cast<void>(channel_->send(type_of(DnsMessage::kSteering), to_body(steering_), raw(sockets_)));
      }
      return;
    case DnsMessage::kAck:
      if (const auto ack = from_body<FeedAck>(message.body)) {
        on_ack(*ack);
      }
      return;
    default:
      return;
  }
}

void DnsLink::on_steering(Message message) {
  const auto steering = from_body<Steering>(message.body);
  if (!steering || steering->workers == 0 || steering->workers > kWorkersMax ||
      message.fds.size() != std::size_t{steering->workers} * kSocketsPerWorker) {
    spdlog::error("postern-dns sent sockets in a form we do not know: are both of the same version?");
    return;
  }
  const bool another = sockets_.empty() || steering->created_boot_ns != steering_.created_boot_ns;
  steering_ = *steering;
  sockets_ = std::move(message.fds);
  steered_ = true;
  spdlog::info("postern-dns answers with {} worker(s)", steering_.workers);
  if (another) {
    on_steering_(steering_);
  }
  begin();
  tell_everything();
}

void DnsLink::tell_everything() {
  told_ = true;
  send(FeedOp::kBegin, FeedKind::kSettings, 0);
  for (const auto& [key, entry] : entries_) {
    send(FeedOp::kPut, key.first, key.second, entry.body, entry.fds);
  }
  send(FeedOp::kEnd, FeedKind::kSettings, 0);
  for (auto& [key, sync] : syncs_) {
    loop_.cancel(sync.timer);
    send_sync(sync);
  }
}

void DnsLink::put(FeedKind kind, std::uint64_t key, std::string body, const std::vector<int>& fds) {
  Entry entry{std::move(body), {}};
  for (const int fd : fds) {
    entry.fds.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  }
  Entry& kept = entries_[{kind, key}];
  kept = std::move(entry);
  send(FeedOp::kPut, kind, key, kept.body, kept.fds);
}

void DnsLink::erase(FeedKind kind, std::uint64_t key) {
  entries_.erase({kind, key});
  send(FeedOp::kErase, kind, key);
}

void DnsLink::send(FeedOp op, FeedKind kind, std::uint64_t key, std::string_view body, const std::vector<Fd>& fds) {
  if (!told_) {
    return;  // it will be in what is told first
  }
  const bool one = kind == FeedKind::kSandbox;
  const std::uint32_t worker = one ? worker_of(static_cast<std::uint32_t>(key), steering_.workers) : kAllWorkers;
  // A failure closes the channel, and the next connection is told everything.
  static_cast<void>(
      channel_->send(type_of(DnsMessage::kFeed), to_body(FeedHeader{op, kind, worker, key}, body), raw(fds)));
}

void DnsLink::sync(OnSynced done) {
  if (!ready()) {
    done({});
    return;
  }
  const std::uint64_t key = next_sync_++;
  Sync& sync = syncs_[key];
  sync.key = key;
  sync.done = std::move(done);
  for (std::uint32_t worker = 0; worker < steering_.workers; ++worker) {
    sync.missing.insert(worker);
  }
  if (told_) {
    send_sync(sync);
  }
}

void DnsLink::send_sync(Sync& sync) {
  ++sync.tries;
  send(FeedOp::kSync, FeedKind::kSettings, sync.key);
  sync.timer = loop_.after_ms(kSyncRetryMs, [this, key = sync.key] {
    const auto found = syncs_.find(key);
    if (found == syncs_.end()) {
      return;
    }
    if (found->second.tries >= kSyncTries) {
      finish_sync(key, Error(Errc::kAgain, "a DNS worker does not answer"));
    } else {
      send_sync(found->second);
    }
  });
}

void DnsLink::on_ack(const FeedAck& ack) {
  const auto found = syncs_.find(ack.key);
  if (found == syncs_.end()) {
    return;
  }
  if (ack.failed != 0) {
    finish_sync(ack.key, Error(Errc::kInvalid, "DNS worker " + std::to_string(ack.worker) +
                                                   " could not take the change; its log says why"));
    return;
  }
  found->second.missing.erase(ack.worker);
  if (found->second.missing.empty()) {
    finish_sync(ack.key, {});
  }
}

void DnsLink::finish_sync(std::uint64_t key, Result<> result) {
  auto node = syncs_.extract(key);
  loop_.cancel(node.mapped().timer);
  node.mapped().done(std::move(result));
}

/// The connection is gone, and the workers with it: nobody decides by an older image any more.
void DnsLink::finish_all_syncs() {
  while (!syncs_.empty()) {
    finish_sync(syncs_.begin()->first, {});
  }
}

}  // namespace postern
