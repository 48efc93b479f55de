// SPDX-License-Identifier: Apache-2.0
//
// Messages with descriptors between the processes of one node, over a SOCK_SEQPACKET unix socket.
//
// A message is a type, a body and up to kFdsMax descriptors. A body over kInlineMax travels in a
// sealed memfd, so that no message is too large for the socket. Bodies are opaque here; their
// shapes are api/'s. The peer is authenticated by its credentials (peer_of), never by content.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/event_loop.h"
#include "base/fd.h"
#include "base/result.h"

namespace postern {

struct Message {
  std::uint32_t type = 0;
  std::string body;
  std::vector<Fd> fds;
};

inline constexpr std::size_t kFdsMax = 250;           // the kernel's SCM_MAX_FD is 253; one may carry the body
inline constexpr std::size_t kInlineMax = 32u << 10;  // well under the default socket buffer
inline constexpr std::size_t kBodyMax = 64u << 20;    // refuse more from any peer

/// Sends one message. @return again when the socket is full and non-blocking; the message is then untouched.
Result<> send_message(int socket, std::uint32_t type, std::string_view body, const std::vector<int>& fds);

/// Receives one message. @return again when there is none on a non-blocking socket; closed at the
/// end; invalid for a message that is not of this form (close the connection then).
Result<Message> receive_message(int socket);

struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

/// Who connected, by SO_PEERCRED.
Result<Peer> peer_of(int socket);

/// A listening socket at `path`, mode `mode`. A stale socket file is replaced; a live one is "exists".
Result<Fd> listen_unix(const std::string& path, mode_t mode);
/// @return not found or closed when nobody listens there.
Result<Fd> connect_unix(const std::string& path);
/// The next connection, non-blocking, close-on-exec.
Result<Fd> accept_unix(int listener);
/// Two connected ends, non-blocking.
Result<std::pair<Fd, Fd>> channel_pair();

/// One end of a connection on an EventLoop: sends without blocking, queues what does not fit.
///
/// Limits: kQueueMax messages wait; one more closes the channel, as a peer that does not read is as
/// good as gone. Thread: the loop's. A Channel may be destroyed inside its own callbacks.
class Channel {
 public:
  using OnMessage = std::function<void(Message)>;
  using OnClosed = std::function<void()>;

  static constexpr std::size_t kQueueMax = 65536;
  static constexpr int kDrainMax = 64;  // messages taken before other descriptors get their turn

  /// Watches the socket. Callbacks come from the loop, never from inside make or send.
  static Result<std::unique_ptr<Channel>> make(EventLoop& loop, Fd socket, OnMessage on_message, OnClosed on_closed);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel();

  /// Sends or queues. Descriptors are duplicated if the message has to wait. @return closed, full.
  Result<> send(std::uint32_t type, std::string_view body, const std::vector<int>& fds = {});
  int fd() const { return socket_.get(); }

 private:
  Channel(EventLoop& loop, Fd socket, OnMessage on_message, OnClosed on_closed);
  void on_ready(std::uint32_t events);
  void flush();
  void close_later();

  EventLoop& loop_;
  Fd socket_;
  OnMessage on_message_;
  OnClosed on_closed_;
  std::deque<Message> queue_;
  bool closing_ = false;
  EventLoop::TimerId close_timer_ = 0;
  std::shared_ptr<bool> alive_;
};

}  // namespace postern
