// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/upstream_pool.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "dnsproxy/socket_address.h"

namespace postern {
namespace {

constexpr std::uint64_t kSweepMs = 1000;
constexpr int kDatagramsPerTick = 16;

}  // namespace

struct UpstreamPool::Upstream {
  Endpoint endpoint;
  BootNs plain_until;     // it rejected EDNS: asked without until then
  bool reachable = true;  // the last socket could be opened; so that the log tells it once
  std::vector<std::unique_ptr<Socket>> sockets = std::vector<std::unique_ptr<Socket>>(kSocketsPerUpstream);
};

struct UpstreamPool::Socket {
  struct Sent {
    std::uint16_t id = 0;
    std::uint64_t ticket = 0;
    std::string name;  // with its random case
    bool edns = true;
  };

  Fd fd;
  std::shared_ptr<Upstream> upstream;
  std::uint32_t queries = 0;
  BootNs opened;
  BootNs retired;  // 0: in use
  std::vector<Sent> sent;
};

struct UpstreamPool::Flight {
  std::uint64_t ticket = 0;
  Question question;
  std::size_t attempts = 0;
  std::size_t refusals = 0;
  BootNs asked;
  EventLoop::TimerId timer = 0;
};

struct UpstreamPool::TcpAsk {
  Fd fd;
  std::shared_ptr<Upstream> upstream;
  std::uint64_t ticket = 0;
  std::uint16_t id = 0;
  std::string name;
  bool edns = true;
  std::vector<std::uint8_t> out;
  std::size_t out_done = 0;
  std::vector<std::uint8_t> in;
};

UpstreamPool::UpstreamPool(EventLoop& loop, const Clock& clock, OnAnswer on_answer, OnFailure on_failure)
    : loop_(loop), clock_(clock), on_answer_(std::move(on_answer)), on_failure_(std::move(on_failure)) {}

UpstreamPool::~UpstreamPool() {
  for (const auto& [ticket, flight] : flights_) {
    loop_.cancel(flight->timer);
  }
  for (const auto& upstream : upstreams_) {
    for (const auto& socket : upstream->sockets) {
      if (socket) {
        loop_.unwatch(socket->fd.get());
      }
    }
    upstream->sockets.clear();  // each holds its upstream: neither would go
  }
  for (const auto& socket : draining_) {
    loop_.unwatch(socket->fd.get());
  }
  for (const auto& ask : tcp_) {
    loop_.unwatch(ask->fd.get());
  }
  loop_.cancel(sweep_timer_);
}

void UpstreamPool::set_upstreams(const std::vector<Endpoint>& endpoints) {
  const auto old = std::move(upstreams_);
  upstreams_.clear();
  first_ = 0;
  for (const Endpoint& endpoint : endpoints) {
    const auto same = std::ranges::find(old, endpoint, [](const auto& upstream) { return upstream->endpoint; });
    upstreams_.push_back(same != old.end() ? *same : std::make_shared<Upstream>());
    upstreams_.back()->endpoint = endpoint;
  }
  for (const auto& upstream : old) {
    if (std::ranges::find(upstreams_, upstream) == upstreams_.end()) {
      for (auto& socket : upstream->sockets) {
        retire(socket.get());
      }
    }
  }
}

/// Out of the pool; closed by a later sweep, when no reply is awaited any more.
void UpstreamPool::retire(Socket* socket) {
  if (socket == nullptr || socket->retired.ns != 0) {
    return;
  }
  socket->retired = clock_.now();
  auto& slots = socket->upstream->sockets;
  const auto slot = std::ranges::find(slots, socket, [](const auto& held) { return held.get(); });
  draining_.push_back(std::move(*slot));
  if (sweep_timer_ == 0) {
    sweep_timer_ = loop_.after_ms(kSweepMs, [this] { sweep(); });
  }
}

void UpstreamPool::sweep() {
  const BootNs now = clock_.now();
  std::erase_if(draining_, [&](const auto& old) {
    const bool over = now - old->retired > kGiveUpMs * kNsPerMs;
    if (over) {
      loop_.unwatch(old->fd.get());
    }
    return over;
  });
  sweep_timer_ = draining_.empty() ? 0 : loop_.after_ms(kSweepMs, [this] { sweep(); });
}

std::unique_ptr<UpstreamPool::Socket> UpstreamPool::open_socket(const std::shared_ptr<Upstream>& upstream) {
  auto socket = std::make_unique<Socket>();
  const SocketAddress address(upstream->endpoint);
  socket->fd.reset(::socket(address.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  // connect() takes a random free port and makes the kernel drop what others send to it.
  if (!socket->fd || ::connect(socket->fd.get(), address.get(), address.size()) != 0) {
    if (std::exchange(upstream->reachable, false)) {
      spdlog::warn("upstream {}: no socket: {}", upstream->endpoint.to_string(), std::strerror(errno));
    }
    return nullptr;
  }
  upstream->reachable = true;
  socket->upstream = upstream;
  socket->opened = clock_.now();
  Socket* raw = socket.get();
  if (!loop_.watch(raw->fd.get(), EPOLLIN, [this, raw](std::uint32_t) { on_readable(raw); })) {
    return nullptr;
  }
  return socket;
}

UpstreamPool::Socket* UpstreamPool::pick_socket(const std::shared_ptr<Upstream>& upstream) {
  auto& slot = upstream->sockets[random_.below(kSocketsPerUpstream)];
  if (slot && (slot->queries >= kQueriesPerSocket || clock_.now() - slot->opened > kSocketAgeS * kNsPerS)) {
    retire(slot.get());
  }
  if (!slot) {
    slot = open_socket(upstream);
  }
  return slot.get();
}

/// Each letter up or down by a coin: bits that a forger must guess too (draft-vixie-dnsext-dns0x20).
std::string UpstreamPool::random_case(const std::string& name) {
  std::string mixed = name;
  for (char& c : mixed) {
    if (c >= 'a' && c <= 'z' && (random_.byte() & 1) != 0) {
      c = static_cast<char>(c - 'a' + 'A');
    }
  }
  return mixed;
}

void UpstreamPool::ask(std::uint64_t ticket, const Question& question) {
  auto flight = std::make_unique<Flight>();
  flight->ticket = ticket;
  flight->question = question;
  flight->asked = clock_.now();
  Flight& made = *flight;
  flights_.emplace(ticket, std::move(flight));
  attempt(made);
}

/// Sends the next attempt and arms the one after it, or the end.
void UpstreamPool::attempt(Flight& flight) {
  loop_.cancel(flight.timer);
  const std::size_t next = flight.attempts + 1;
  const std::uint64_t at_ms = next < std::size(kAttemptAtMs) ? kAttemptAtMs[next] : kGiveUpMs;
  const std::uint64_t ticket = flight.ticket;
  if (upstreams_.empty() || flight.attempts >= std::size(kAttemptAtMs)) {
    // Not from inside ask(): the resolver is still at work on this question.
    flight.timer = loop_.at(upstreams_.empty() ? clock_.now() : flight.asked + kGiveUpMs * kNsPerMs, [this, ticket] {
      finish(ticket);
      on_failure_(ticket, UpstreamFailure::kTimeout);
    });
    return;
  }
  flight.timer = loop_.at(flight.asked + at_ms * kNsPerMs, [this, ticket] { attempt(*flights_.at(ticket)); });
  send_udp(flight, upstreams_[(first_ + flight.attempts) % upstreams_.size()]);
  ++flight.attempts;
}

void UpstreamPool::send_udp(Flight& flight, const std::shared_ptr<Upstream>& upstream) {
  Socket* socket = pick_socket(upstream);
  if (socket == nullptr) {
    return;  // the next attempt is armed
  }
  const bool edns = upstream->plain_until <= clock_.now();
  Socket::Sent sent{random_.u16(), flight.ticket, random_case(flight.question.name), edns};
  while (std::ranges::find(socket->sent, sent.id, &Socket::Sent::id) != socket->sent.end()) {
    sent.id = random_.u16();
  }
  std::array<std::uint8_t, kUdpPlainPayload> buffer;
  const Wire name{reinterpret_cast<const std::uint8_t*>(sent.name.data()), sent.name.size()};
  const std::size_t size = write_upstream_query({sent.id, name, true, &flight.question}, edns, buffer);
  ++socket->queries;
  socket->sent.push_back(std::move(sent));
  // A send that fails is a lost packet: the next attempt is armed.
  static_cast<void>(::send(socket->fd.get(), buffer.data(), size, MSG_NOSIGNAL));
}

void UpstreamPool::on_readable(Socket* socket) {
  std::array<std::uint8_t, 4096> buffer;
  for (int i = 0; i < kDatagramsPerTick; ++i) {
    const ssize_t got = ::recv(socket->fd.get(), buffer.data(), buffer.size(), 0);
    if (got < 0) {
      if (errno == EAGAIN || errno == EINTR) {
        return;
      }
      unreachable(socket);
      return;
    }
    on_datagram(socket, {buffer.data(), static_cast<std::size_t>(got)});
  }
}

/// Nobody listens there (ICMP). Other upstreams are asked at once; when all said so, the armed attempts
/// go on, because a name server that restarts looks like this.
void UpstreamPool::unreachable(Socket* socket) {
  for (const Socket::Sent& sent : std::exchange(socket->sent, {})) {
    const auto flight = flights_.find(sent.ticket);
    if (flight != flights_.end() && ++flight->second->refusals < upstreams_.size()) {
      attempt(*flight->second);
    }
  }
}

void UpstreamPool::prefer(const std::shared_ptr<Upstream>& upstream) {
  const auto at = std::ranges::find(upstreams_, upstream);
  first_ = at == upstreams_.end() ? first_ : static_cast<std::size_t>(at - upstreams_.begin());
}

void UpstreamPool::on_datagram(Socket* socket, Bytes message) {
  WireReader reader(message);
  std::uint16_t id = 0;
  const bool has_id = reader.u16(id);
  const auto sent = std::ranges::find(socket->sent, id, &Socket::Sent::id);
  AnswerVerdict verdict = AnswerVerdict::kMismatch;
  Answer answer;
  std::uint64_t ticket = 0;
  if (has_id && sent != socket->sent.end()) {
    ticket = sent->ticket;
    const auto flight = flights_.find(ticket);
    if (flight == flights_.end()) {
      socket->sent.erase(sent);  // another attempt was faster
      return;
    }
    const Wire name{reinterpret_cast<const std::uint8_t*>(sent->name.data()), sent->name.size()};
    verdict = parse_answer(message, {id, name, true, &flight->second->question}, clock_.now(), answer);
  }
  if (verdict != AnswerVerdict::kMismatch) {
    if (verdict == AnswerVerdict::kNoEdns && !sent->edns) {
      verdict = AnswerVerdict::kFailed;  // EDNS is not what it rejects
    }
    socket->sent.erase(sent);
    settle(ticket, socket->upstream, verdict, std::move(answer));
    return;
  }
  // Somebody guesses, or the upstream garbles: whatever waits here is asked where nobody can guess.
  retire(socket);
  for (const Socket::Sent& waiting : std::exchange(socket->sent, {})) {
    if (const auto flight = flights_.find(waiting.ticket); flight != flights_.end()) {
      send_tcp(*flight->second, socket->upstream);
    }
  }
}

void UpstreamPool::settle(std::uint64_t ticket,
                          const std::shared_ptr<Upstream>& upstream,
                          AnswerVerdict verdict,
                          Answer answer) {
  const auto found = flights_.find(ticket);
  if (found == flights_.end()) {
    return;
  }
  Flight& flight = *found->second;
  switch (verdict) {
    case AnswerVerdict::kUsable:
      prefer(upstream);
      finish(ticket);
      on_answer_(ticket, std::move(answer));
      return;
    case AnswerVerdict::kTruncated:
      send_tcp(flight, upstream);
      return;
    case AnswerVerdict::kNoEdns:
      upstream->plain_until = clock_.now() + kPlainS * kNsPerS;
      attempt(flight);
      return;
    case AnswerVerdict::kMismatch:
    case AnswerVerdict::kFailed:
      if (++flight.refusals < upstreams_.size()) {
        attempt(flight);
        return;
      }
      finish(ticket);
      on_failure_(ticket, UpstreamFailure::kFailed);
      return;
  }
}

void UpstreamPool::finish(std::uint64_t ticket) {
  const auto flight = flights_.find(ticket);
  if (flight == flights_.end()) {
    return;
  }
  loop_.cancel(flight->second->timer);
  flights_.erase(flight);
  std::erase_if(tcp_, [&](const auto& ask) {
    if (ask->ticket == ticket) {
      loop_.unwatch(ask->fd.get());
    }
    return ask->ticket == ticket;
  });
}

void UpstreamPool::send_tcp(Flight& flight, const std::shared_ptr<Upstream>& upstream) {
  const bool asked = std::ranges::any_of(
      tcp_, [&](const auto& ask) { return ask->ticket == flight.ticket && ask->upstream == upstream; });
  if (asked || tcp_.size() >= kTcpMax) {
    return;  // the armed attempt asks again over UDP
  }
  auto ask = std::make_unique<TcpAsk>();
  const SocketAddress address(upstream->endpoint);
  ask->upstream = upstream;
  ask->fd.reset(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!ask->fd || (::connect(ask->fd.get(), address.get(), address.size()) != 0 && errno != EINPROGRESS)) {
    return;
  }
  ask->ticket = flight.ticket;
  ask->id = random_.u16();
  ask->name = random_case(flight.question.name);
  ask->edns = upstream->plain_until <= clock_.now();
  ask->out.resize(2 + kUdpPlainPayload);
  const Wire name{reinterpret_cast<const std::uint8_t*>(ask->name.data()), ask->name.size()};
  const std::size_t size =
      write_upstream_query({ask->id, name, false, &flight.question}, ask->edns, std::span(ask->out).subspan(2));
  ask->out.resize(2 + size);
  ask->out[0] = static_cast<std::uint8_t>(size >> 8);
  ask->out[1] = static_cast<std::uint8_t>(size);
  TcpAsk* raw = ask.get();
  if (loop_.watch(raw->fd.get(), EPOLLOUT, [this, raw](std::uint32_t events) { on_tcp(raw, events); })) {
    tcp_.push_back(std::move(ask));
  }
}

void UpstreamPool::on_tcp(TcpAsk* ask, std::uint32_t) {
  const auto drop = [&](AnswerVerdict verdict, Answer answer) {
    const std::uint64_t ticket = ask->ticket;
    const auto upstream = ask->upstream;
    loop_.unwatch(ask->fd.get());
    std::erase_if(tcp_, [&](const auto& held) { return held.get() == ask; });
    settle(ticket, upstream, verdict, std::move(answer));
  };
  if (ask->out_done < ask->out.size()) {
    const ssize_t sent =
        ::send(ask->fd.get(), ask->out.data() + ask->out_done, ask->out.size() - ask->out_done, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN) {
        drop(AnswerVerdict::kFailed, {});
      }
      return;
    }
    ask->out_done += static_cast<std::size_t>(sent);
    if (ask->out_done == ask->out.size() && !loop_.rewatch(ask->fd.get(), EPOLLIN)) {
      drop(AnswerVerdict::kFailed, {});
    }
    return;
  }
  std::array<std::uint8_t, 16384> buffer;
  const ssize_t got = ::recv(ask->fd.get(), buffer.data(), buffer.size(), 0);
  if (got < 0 && errno == EAGAIN) {
    return;
  }
  if (got <= 0) {
    drop(AnswerVerdict::kFailed, {});
    return;
  }
  ask->in.insert(ask->in.end(), buffer.begin(), buffer.begin() + got);
  if (ask->in.size() < 2) {
    return;
  }
  const auto length = static_cast<std::size_t>(ask->in[0] << 8 | ask->in[1]);
  if (ask->in.size() < 2 + length) {
    return;
  }
  const Bytes message = Bytes(ask->in).subspan(2, length);
  const auto flight = flights_.find(ask->ticket);
  Answer answer;
  AnswerVerdict verdict = AnswerVerdict::kFailed;
  if (flight != flights_.end()) {
    const Wire name{reinterpret_cast<const std::uint8_t*>(ask->name.data()), ask->name.size()};
    verdict = parse_answer(message, {ask->id, name, false, &flight->second->question}, clock_.now(), answer);
  }
  if (verdict == AnswerVerdict::kTruncated || (verdict == AnswerVerdict::kNoEdns && !ask->edns)) {
    verdict = AnswerVerdict::kFailed;  // over TCP nothing is cut off; asking again would go on for ever
  }
  drop(verdict, std::move(answer));
}

}  // namespace postern
