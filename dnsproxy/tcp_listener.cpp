// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/tcp_listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "dnsproxy/socket_address.h"

namespace postern {
namespace {

constexpr int kAcceptsPerTick = 16;

}  // namespace

TcpListener::TcpListener(EventLoop& loop, Fd socket, std::uint64_t first_id, OnQuery on_query)
    : loop_(loop), socket_(std::move(socket)), on_query_(std::move(on_query)), next_id_(first_id) {}

TcpListener::~TcpListener() {
  loop_.unwatch(socket_.get());
  while (!connections_.empty()) {
    close(connections_.begin()->first);
  }
}

Result<std::unique_ptr<TcpListener>> TcpListener::make(EventLoop& loop,
                                                       Fd socket,
                                                       std::uint64_t first_id,
                                                       OnQuery on_query) {
  std::unique_ptr<TcpListener> listener(new TcpListener(loop, std::move(socket), first_id, std::move(on_query)));
  TcpListener* raw = listener.get();
  POSTERN_RETURN_IF_ERROR(loop.watch(raw->socket_.get(), EPOLLIN, [raw](std::uint32_t) { raw->on_acceptable(); }));
  return listener;
}

void TcpListener::on_acceptable() {
  for (int i = 0; i < kAcceptsPerTick; ++i) {
    SocketAddress from;
    SocketAddress asked;
    Connection connection;
    connection.fd.reset(::accept4(socket_.get(), from.data(), from.capacity(), SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!connection.fd) {
      if (errno == EMFILE || errno == ENFILE) {
        close_oldest(std::nullopt);  // else this would be called again and again
      }
      return;
    }
    socklen_t mark_size = sizeof(connection.client.sandbox);
    if (::getsockname(connection.fd.get(), asked.data(), asked.capacity()) != 0 ||
        ::getsockopt(connection.fd.get(), SOL_SOCKET, SO_MARK, &connection.client.sandbox, &mark_size) != 0) {
      continue;
    }
    const int on = 1;
    ::setsockopt(connection.fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection.client.from = from.endpoint();
    connection.client.asked = asked.endpoint();
    connection.client.connection = next_id_;
    connection.last_query = clock_.now();
    make_room(connection.client.sandbox);
    const std::uint64_t id = next_id_++;
    const int fd = connection.fd.get();
    connections_.emplace(id, std::move(connection));
    if (!loop_.watch(fd, EPOLLIN, [this, id](std::uint32_t events) { on_ready(id, events); })) {
      connections_.erase(id);
      continue;
    }
    watch_idle(id);
  }
}

/// For one more connection of a sandbox: one of its own goes if it has too many.
void TcpListener::make_room(std::uint32_t sandbox) {
  const auto own =
      std::ranges::count_if(connections_, [&](const auto& entry) { return entry.second.client.sandbox == sandbox; });
  if (static_cast<std::size_t>(own) >= kPerSandbox) {
    close_oldest(sandbox);
  } else if (connections_.size() >= kConnectionsMax) {
    close_oldest(std::nullopt);
  }
}

/// Closes the connection that has been idle longest, of one sandbox or of all.
void TcpListener::close_oldest(std::optional<std::uint32_t> sandbox) {
  auto oldest = connections_.end();
  for (auto at = connections_.begin(); at != connections_.end(); ++at) {
    if ((!sandbox || at->second.client.sandbox == *sandbox) &&
        (oldest == connections_.end() || at->second.last_query < oldest->second.last_query)) {
      oldest = at;
    }
  }
  if (oldest != connections_.end()) {
    close(oldest->first);
  }
}

/// Also ends a connection whose last query got no answer: none comes after so long.
void TcpListener::watch_idle(std::uint64_t id) {
  Connection& connection = connections_.at(id);
  connection.timer = loop_.at(connection.last_query + kIdleMs * kNsPerMs, [this, id] {
    if (clock_.now() - connections_.at(id).last_query >= kIdleMs * kNsPerMs) {
      close(id);
    } else {
      watch_idle(id);
    }
  });
}

void TcpListener::close(std::uint64_t id) {
  const auto found = connections_.find(id);
  if (found != connections_.end()) {
    loop_.cancel(found->second.timer);
    loop_.unwatch(found->second.fd.get());
    connections_.erase(found);
  }
}

void TcpListener::on_ready(std::uint64_t id, std::uint32_t events) {
  Connection& connection = connections_.at(id);
  const bool broken = (events & (EPOLLHUP | EPOLLERR)) != 0 || ((events & EPOLLOUT) != 0 && !write(connection)) ||
                      ((events & EPOLLIN) != 0 && !read(connection));
  if (broken) {
    close(id);
  } else {
    take_queries(id);
  }
}

/// False: the connection is broken. The client's end of sending is no break: it may wait for answers.
bool TcpListener::read(Connection& connection) {
  std::array<std::uint8_t, 4096> buffer;
  const ssize_t got = ::recv(connection.fd.get(), buffer.data(), buffer.size(), 0);
  if (got < 0) {
    return errno == EAGAIN || errno == EINTR;
  }
  connection.finished = got == 0;
  connection.in.insert(connection.in.end(), buffer.begin(), buffer.begin() + got);
  return true;
}

/// Hands out whole queries; a message may come in pieces, and several in one segment. Then waits for
/// what the connection can do next, or ends it when nothing is left to do.
void TcpListener::take_queries(std::uint64_t id) {
  Connection& connection = connections_.at(id);
  std::size_t done = 0;
  taking_ = true;  // replies that come from inside on_query_ must not come back here
  while (connection.unanswered < kPipelineMax && connection.in.size() - done >= 2) {
    const auto length = static_cast<std::size_t>(connection.in[done] << 8 | connection.in[done + 1]);
    if (length > kQueryMax) {
      connection.broken = true;
      break;
    }
    if (connection.in.size() - done < 2 + length) {
      break;
    }
    const std::size_t start = done + 2;
    done = start + length;
    connection.last_query = clock_.now();
    ++connection.unanswered;
    on_query_(connection.client, Bytes(connection.in).subspan(start, length));
  }
  taking_ = false;
  connection.in.erase(connection.in.begin(), connection.in.begin() + static_cast<std::ptrdiff_t>(done));
  const bool over = connection.finished && connection.unanswered == 0 && connection.out.empty();
  const bool reading = !connection.finished && connection.unanswered < kPipelineMax;
  const std::uint32_t events =
      (reading ? std::uint32_t{EPOLLIN} : 0u) | (connection.out.empty() ? 0u : std::uint32_t{EPOLLOUT});
  if (connection.broken || over || !loop_.rewatch(connection.fd.get(), events)) {
    close(id);
  }
}

bool TcpListener::write(Connection& connection) {
  while (!connection.out.empty()) {
    const ssize_t sent = ::send(connection.fd.get(), connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      return errno == EAGAIN || errno == EINTR;
    }
    connection.out.erase(connection.out.begin(), connection.out.begin() + sent);
  }
  return true;
}

void TcpListener::reply(const Client& client, Bytes message) {
  const auto found = connections_.find(client.connection);
  if (found == connections_.end()) {
    return;
  }
  Connection& connection = found->second;
  --connection.unanswered;
  const std::array<std::uint8_t, 2> length{static_cast<std::uint8_t>(message.size() >> 8),
                                           static_cast<std::uint8_t>(message.size())};
  connection.out.insert(connection.out.end(), length.begin(), length.end());
  connection.out.insert(connection.out.end(), message.begin(), message.end());
  connection.broken = connection.broken || connection.out.size() > kUnsentMax || !write(connection);
  if (!taking_) {
    take_queries(client.connection);  // some may have waited for a place in the pipeline
  }
}

}  // namespace postern
