// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/worker.h"

#include <sys/socket.h>

#include <array>
#include <map>

#include "base/channel.h"
#include "base/log.h"
#include "dnsproxy/confine.h"
#include "dnsproxy/feed_reader.h"
#include "dnsproxy/kernel_maps.h"
#include "dnsproxy/tcp_listener.h"
#include "dnsproxy/udp_listener.h"
#include "dnsproxy/upstream_pool.h"

namespace postern {
namespace {

constexpr std::uint64_t kPurgeMs = 250;  // for one sandbox
constexpr std::uint64_t kAdoptMs = 2;
constexpr std::uint64_t kHeldMs = 500;

/// Datagrams to the observer. Its absence costs events, which are counted, and nothing else.
class ObserverSocket final : public EventSink {
 public:
  void set(Fd socket) { socket_ = std::move(socket); }
  void event(const egress_dns_event& event) override {
    egress_dns_event copy = event;
    copy.lost += lost_;
    if (!socket_ || ::send(socket_.get(), &copy, sizeof(copy), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
      ++lost_;
      return;
    }
    lost_ = 0;
  }

 private:
  Fd socket_;
  std::uint32_t lost_ = 0;
};

class Worker final : public ReplySink {
 public:
  Worker(EventLoop& loop, std::uint32_t index, std::uint32_t first_name)
      : loop_(loop),
        index_(index),
        // 1 and up: a name id is never 0, and 0 in the top byte is nobody's.
        grants_(maps_, static_cast<std::uint8_t>(index + 1), first_name),
        upstream_(
            loop,
            clock_,
            [this](std::uint64_t ticket, Answer answer) {
              resolver_.on_answer(ticket, std::move(answer), clock_.now());
            },
            [this](std::uint64_t ticket, UpstreamFailure why) { resolver_.on_failure(ticket, why, clock_.now()); }),
        resolver_({*this, upstream_, observer_, grants_}) {}

  Result<> start(WorkerParts& parts) {
    const auto on_query = [this](const Client& client, Bytes message) {
      resolver_.on_query(client, message, clock_.now());
    };
    for (std::size_t i = 0; i < udp_.size(); ++i) {
      auto udp = UdpListener::make(loop_, std::move(parts.sockets[i]), on_query);
      auto tcp = TcpListener::make(loop_, std::move(parts.sockets[udp_.size() + i]), (i + 1) << 56, on_query);
      if (!udp || !tcp) {
        return udp ? std::move(tcp).error() : std::move(udp).error();
      }
      udp_[i] = std::move(*udp);
      tcp_[i] = std::move(*tcp);
    }
    auto channel = Channel::make(
        loop_, std::move(parts.channel), [this](Message message) { on_message(std::move(message)); },
        [this] { loop_.stop(); });
    if (!channel) {
      return std::move(channel).error();
    }
    keeper_ = std::move(*channel);
    purge_later();
    expire_later();
    return {};
  }

  void reply(const Client& client, Bytes message) override {
    const std::size_t family = client.from.address.is_v4() ? 0 : 1;
    if (client.connection == 0) {
      udp_[family]->reply(client, message);
    } else {
      tcp_[family]->reply(client, message);
    }
  }

 private:
  void purge_later() {
    loop_.after_ms(kPurgeMs, [this] {
      grants_.purge(clock_.now());
      purge_later();
    });
  }

  void expire_later() {
    loop_.after_ms(kHeldMs, [this] {
      resolver_.expire_held(clock_.now());
      expire_later();
    });
  }

  void adopt_later() {
    if (!adopting_) {
      adopting_ = true;
      loop_.after_ms(kAdoptMs, [this] {
        adopting_ = false;
        if (grants_.adopt_some()) {
          adopt_later();
        }
      });
    }
  }

  void on_message(Message message) {
    std::string_view rest;
    const auto header = from_body<FeedHeader>(message.body, &rest);
    if (static_cast<DnsMessage>(message.type) != DnsMessage::kFeed || !header) {
      return;
    }
    if (header->op == FeedOp::kSync) {
      const FeedAck ack{index_, failed_ ? 1u : 0u, header->key};
      failed_ = false;
      static_cast<void>(keeper_->send(static_cast<std::uint32_t>(DnsMessage::kAck), to_body(ack)));
      return;
    }
    const auto taken = header->op == FeedOp::kErase ? erase(*header) : put(*header, rest, message.fds);
    if (!taken) {
      failed_ = true;
      spdlog::error("worker {}: {}", index_, taken.error().message());
    }
  }

  Result<> erase(const FeedHeader& header) {
    if (header.kind == FeedKind::kPolicy) {
      policies_.erase(static_cast<std::uint32_t>(header.key));
    } else if (header.kind == FeedKind::kSandbox) {
      maps_.remove_sandbox(static_cast<std::uint32_t>(header.key));
      resolver_.remove_sandbox(static_cast<std::uint32_t>(header.key));
    }
    return {};
  }

  Result<> put(const FeedHeader& header, std::string_view body, std::vector<Fd>& fds) {
    switch (header.kind) {
      case FeedKind::kSettings: {
        auto settings = read_settings(body);
        if (!settings) {
          return std::move(settings).error();
        }
        if (upstreams_ != settings->upstreams) {
          upstreams_ = settings->upstreams;
          upstream_.set_upstreams(upstreams_);
          resolver_.forget_answers();  // other upstreams may have other views
        }
        resolver_.set_grant_s_min(settings->grant_s_min);
        return {};
      }
      case FeedKind::kPolicy: {
        auto policy = read_policy(body);
        if (!policy) {
          return std::move(policy).error();
        }
        policies_[(*policy)->id] = std::move(*policy);
        return {};
      }
      case FeedKind::kSandbox:
        return put_sandbox(body, fds);
      case FeedKind::kNames:
      case FeedKind::kObserver:
        if (fds.size() != 1) {
          return Error(Errc::kInvalid, "a feed message without its descriptor");
        }
        header.kind == FeedKind::kNames ? maps_.set_names(std::move(fds[0])) : observer_.set(std::move(fds[0]));
        return {};
    }
    return Error(Errc::kInvalid, "a feed message of an unknown kind");
  }

  Result<> put_sandbox(std::string_view body, std::vector<Fd>& fds) {
    auto sandbox = read_sandbox(body);
    if (!sandbox) {
      return std::move(sandbox).error();
    }
    if (fds.size() != 1) {
      return Error(Errc::kInvalid, "a sandbox without its grants map");
    }
    maps_.set_sandbox(sandbox->view.id, std::move(fds[0]));
    const auto policy_of = [&](std::uint32_t id) {
      const auto found = policies_.find(id);
      return found == policies_.end() ? nullptr : found->second;
    };
    sandbox->view.policy = policy_of(sandbox->policy);
    sandbox->view.staged = policy_of(sandbox->staged_policy);
    const bool missing =
        (sandbox->policy != 0 && !sandbox->view.policy) || (sandbox->staged_policy != 0 && !sandbox->view.staged);
    resolver_.set_sandbox(std::move(sandbox->view), clock_.now());
    adopt_later();
    return missing ? Result<>(Error(Errc::kInvalid, "a sandbox with a policy that was not fed")) : Result<>();
  }

  EventLoop& loop_;
  std::uint32_t index_;
  SystemClock clock_;
  KernelMaps maps_;
  GrantBook grants_;
  ObserverSocket observer_;
  UpstreamPool upstream_;
  Resolver resolver_;
  std::array<std::unique_ptr<UdpListener>, 2> udp_;  // IPv4, IPv6
  std::array<std::unique_ptr<TcpListener>, 2> tcp_;
  std::unique_ptr<Channel> keeper_;
  std::map<std::uint32_t, std::shared_ptr<const WorkerPolicy>> policies_;
  std::vector<Endpoint> upstreams_;
  bool adopting_ = false;
  bool failed_ = false;
};

}  // namespace

int run_worker(WorkerParts parts) {
  const auto fail = [&](const Error& error) {
    spdlog::error("worker {}: {}", parts.index, error.message());
    return 1;
  };
  auto loop = EventLoop::make();
  if (!loop) {
    return fail(loop.error());
  }
  RandomSource random;
  Worker worker(**loop, parts.index, static_cast<std::uint32_t>(random.u16()) << 8 | random.byte());
  if (auto started = worker.start(parts); !started) {
    return fail(started.error());
  }
  if (auto confined = confine_worker(); !confined) {
    return fail(confined.error());
  }
  const auto ran = (*loop)->run();
  return ran ? 0 : fail(ran.error());
}

}  // namespace postern
