// SPDX-License-Identifier: Apache-2.0
#include "base/channel.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace postern {
namespace {

constexpr std::uint32_t kMagic = 0x50535431;  // "PST1"
constexpr std::uint32_t kBodyInMemfd = 1;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

struct Header {
  std::uint32_t magic = kMagic;
  std::uint32_t type = 0;
  std::uint32_t body_bytes = 0;
  std::uint32_t flags = 0;
};

Result<Fd> memfd_of(std::string_view body) {
  Fd fd(::memfd_create("postern-message", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) {
    return Error::from_errno("memfd_create", errno);
  }
  std::size_t done = 0;
  while (done < body.size()) {
    const ssize_t wrote = ::write(fd.get(), body.data() + done, body.size() - done);
    if (wrote <= 0) {
      return Error::from_errno("writing a message", errno);
    }
    done += static_cast<std::size_t>(wrote);
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) {
    return Error::from_errno("sealing a message", errno);
  }
  return fd;
}

/// Reads the body from a memfd of the peer, who must have sealed it: else it could change under us.
Result<std::string> body_of(int fd, std::size_t bytes) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  // Its end instead of fstat(2): that is a call with a path in it since glibc 2.33, and postern-dns has none.
  if (seals < 0 || (seals & kSeals) != kSeals || ::lseek(fd, 0, SEEK_END) != static_cast<off_t>(bytes)) {
    return Error(Errc::kInvalid, "a message whose body is not sealed");
  }
  std::string body(bytes, '\0');
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t got = ::pread(fd, body.data() + done, bytes - done, static_cast<off_t>(done));
    if (got <= 0) {
      return Error::from_errno("reading a message", errno);
    }
    done += static_cast<std::size_t>(got);
  }
  return body;
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Error(Errc::kInvalid,
                 "socket path " + path + " is longer than " + std::to_string(sizeof(address.sun_path) - 1) + " bytes");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<Fd> seqpacket_socket(int flags) {
  Fd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
  if (!fd) {
    return Error::from_errno("socket", errno);
  }
  return fd;
}

}  // namespace

Result<> send_message(int socket, std::uint32_t type, std::string_view body, const std::vector<int>& fds) {
  if (fds.size() > kFdsMax || body.size() > kBodyMax) {
    return Error(Errc::kInvalid, "a message over the limits of a channel");
  }
  Header header{.type = type, .body_bytes = static_cast<std::uint32_t>(body.size())};
  std::vector<int> all = fds;
  Fd memfd;
  if (body.size() > kInlineMax) {
    auto made = memfd_of(body);
    if (!made) {
      return std::move(made).error();
    }
    memfd = std::move(*made);
    header.flags = kBodyInMemfd;
    all.push_back(memfd.get());
    body = {};
  }
  std::array<iovec, 2> parts{{{&header, sizeof(header)}, {const_cast<char*>(body.data()), body.size()}}};
  std::array<char, CMSG_SPACE(sizeof(int) * (kFdsMax + 1))> control{};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  if (!all.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * all.size());
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * all.size());
    std::memcpy(CMSG_DATA(rights), all.data(), sizeof(int) * all.size());
  }
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    // Descriptors in flight have a limit too (unix(7)); it ends when the peer reads.
    return errno == ETOOMANYREFS ? Error(Errc::kAgain, "sending a message", errno)
                                 : Error::from_errno("sending a message", errno);
  }
  return {};
}

Result<Message> receive_message(int socket) {
  Header header{};
  std::string body(kInlineMax, '\0');
  std::array<iovec, 2> parts{{{&header, sizeof(header)}, {body.data(), body.size()}}};
  std::array<char, CMSG_SPACE(sizeof(int) * (kFdsMax + 1))> control{};
  msghdr raw{};
  raw.msg_iov = parts.data();
  raw.msg_iovlen = parts.size();
  raw.msg_control = control.data();
  raw.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(socket, &raw, MSG_CMSG_CLOEXEC);
  if (got < 0) {
    return Error::from_errno("receiving a message", errno);
  }
  Message message;
  for (cmsghdr* part = CMSG_FIRSTHDR(&raw); part != nullptr; part = CMSG_NXTHDR(&raw, part)) {
    if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
      const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
        message.fds.emplace_back(fd);
      }
    }
  }
  if (got == 0) {
    return Error(Errc::kClosed, "the peer closed the connection");
  }
  if (static_cast<std::size_t>(got) < sizeof(header) || header.magic != kMagic ||
      (raw.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || header.body_bytes > kBodyMax) {
    return Error(Errc::kInvalid, "not a message of this version");
  }
  message.type = header.type;
  if ((header.flags & kBodyInMemfd) == 0) {
    body.resize(static_cast<std::size_t>(got) - sizeof(header));
    if (body.size() != header.body_bytes) {
      return Error(Errc::kInvalid, "a message that is not as long as it says");
    }
    message.body = std::move(body);
    return message;
  }
  if (message.fds.empty()) {
    return Error(Errc::kInvalid, "a message without its body");
  }
  auto large = body_of(message.fds.back().get(), header.body_bytes);
  if (!large) {
    return std::move(large).error();
  }
  message.fds.pop_back();
  message.body = std::move(*large);
  return message;
}

Result<Peer> peer_of(int socket) {
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return Error::from_errno("SO_PEERCRED", errno);
  }
  return Peer{credentials.pid, credentials.uid, credentials.gid};
}

Result<Fd> connect_unix(const std::string& path) {
  auto address = address_of(path);
  if (!address) {
    return std::move(address).error();
  }
  auto fd = seqpacket_socket(0);
  if (!fd) {
    return fd;
  }
  if (::connect(fd->get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0) {
    return Error::from_errno("connecting to " + path, errno);
  }
  return fd;
}

Result<Fd> listen_unix(const std::string& path, mode_t mode) {
  auto address = address_of(path);
  if (!address) {
    return std::move(address).error();
  }
  if (connect_unix(path)) {
    return Error(Errc::kExists, "somebody already listens on " + path);
  }
  ::unlink(path.c_str());
  auto fd = seqpacket_socket(SOCK_NONBLOCK);
  if (!fd) {
    return fd;
  }
  // The mode before bind, so that there is no moment at which others may connect.
  ::fchmod(fd->get(), mode);
  const mode_t old_mask = ::umask(0777 & ~mode);
  const int bound = ::bind(fd->get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address));
  const int bind_errno = errno;
  ::umask(old_mask);
  if (bound != 0) {
    return Error::from_errno("binding " + path, bind_errno);
  }
  if (::listen(fd->get(), 16) != 0) {
    return Error::from_errno("listening on " + path, errno);
  }
  return fd;
}

Result<Fd> accept_unix(int listener) {
  Fd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) {
    return Error::from_errno("accept", errno);
  }
  return fd;
}

Result<std::pair<Fd, Fd>> channel_pair() {
  std::array<int, 2> ends{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return Error::from_errno("socketpair", errno);
  }
  return std::pair{Fd(ends[0]), Fd(ends[1])};
}

Channel::Channel(EventLoop& loop, Fd socket, OnMessage on_message, OnClosed on_closed)
    : loop_(loop),
      socket_(std::move(socket)),
      on_message_(std::move(on_message)),
      on_closed_(std::move(on_closed)),
      alive_(std::make_shared<bool>(true)) {}

Channel::~Channel() {
  *alive_ = false;
  loop_.unwatch(socket_.get());
  loop_.cancel(close_timer_);
}

Result<std::unique_ptr<Channel>> Channel::make(EventLoop& loop, Fd socket, OnMessage on_message, OnClosed on_closed) {
  if (::fcntl(socket.get(), F_SETFL, O_NONBLOCK) != 0) {
    return Error::from_errno("O_NONBLOCK", errno);
  }
  std::unique_ptr<Channel> channel(new Channel(loop, std::move(socket), std::move(on_message), std::move(on_closed)));
  Channel* raw = channel.get();
  POSTERN_RETURN_IF_ERROR(
      loop.watch(raw->socket_.get(), EPOLLIN, [raw](std::uint32_t events) { raw->on_ready(events); }));
  return channel;
}

Result<> Channel::send(std::uint32_t type, std::string_view body, const std::vector<int>& fds) {
  if (closing_) {
    return Error(Errc::kClosed, "the peer closed the connection");
  }
  if (queue_.empty()) {
    auto sent = send_message(socket_.get(), type, body, fds);
    if (sent || sent.error().code() != Errc::kAgain) {
      if (!sent && sent.error().code() == Errc::kClosed) {
        close_later();
      }
      return sent;
    }
    POSTERN_RETURN_IF_ERROR(loop_.rewatch(socket_.get(), EPOLLIN | EPOLLOUT));
  }
  if (queue_.size() >= kQueueMax) {
    close_later();
    return Error(Errc::kFull, "the peer does not read its messages");
  }
  Message message{type, std::string(body), {}};
  for (const int fd : fds) {
    Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!copy) {
      return Error::from_errno("duplicating a descriptor", errno);
    }
    message.fds.push_back(std::move(copy));
  }
  queue_.push_back(std::move(message));
  return {};
}

void Channel::flush() {
  while (!queue_.empty()) {
    const Message& first = queue_.front();
    std::vector<int> fds;
    for (const Fd& fd : first.fds) {
      fds.push_back(fd.get());
    }
    const auto sent = send_message(socket_.get(), first.type, first.body, fds);
    if (!sent) {
      if (sent.error().code() != Errc::kAgain) {
        close_later();
      }
      return;
    }
    queue_.pop_front();
  }
  if (!loop_.rewatch(socket_.get(), EPOLLIN)) {
    close_later();
  }
}

/// The owner hears of the end from the loop, not from inside a call it made.
void Channel::close_later() {
  if (!closing_) {
    closing_ = true;
    loop_.unwatch(socket_.get());
    close_timer_ = loop_.after_ms(0, [this] {
      const auto on_closed = std::move(on_closed_);  // it may destroy us, and must outlive that
      on_closed();
    });
  }
}

void Channel::on_ready(std::uint32_t events) {
  const auto alive = alive_;
  const auto on_message = on_message_;  // it may destroy us, and must outlive that
  if ((events & EPOLLOUT) != 0) {
    flush();
  }
  for (int i = 0; i < kDrainMax && *alive && !closing_ && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0; ++i) {
    auto message = receive_message(socket_.get());
    if (message) {
      on_message(std::move(*message));
      continue;
    }
    if (message.error().code() != Errc::kAgain) {
      close_later();
    }
    return;
  }
}

}  // namespace postern
