// SPDX-License-Identifier: Apache-2.0
//
// Messages with descriptors over a socketpair, well formed and not.
#include "base/channel.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>

namespace postern {
namespace {

struct Pair {
  Fd left;
  Fd right;

  Pair() {
    auto ends = channel_pair();
    REQUIRE(ends);
    left = std::move(ends->first);
    right = std::move(ends->second);
  }
};

std::string contents_of(const Fd& fd) {
  std::string text(64, '\0');
  const ssize_t got = ::pread(fd.get(), text.data(), text.size(), 0);
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return text;
}

Fd file_with(std::string_view text) {
  Fd fd(::memfd_create("test", MFD_CLOEXEC));
  REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  return fd;
}

TEST_CASE("channel: a message arrives whole, with its descriptors", "[base]") {
  const Pair pair;
  const Fd file = file_with("inside");
  REQUIRE(send_message(pair.left.get(), 7, "body", {file.get(), file.get()}));
  const auto message = receive_message(pair.right.get());
  REQUIRE(message);
  CHECK(message->type == 7);
  CHECK(message->body == "body");
  REQUIRE(message->fds.size() == 2);
  CHECK(contents_of(message->fds[1]) == "inside");
  CHECK((::fcntl(message->fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("channel: bodies around the inline limit, and large ones", "[base]") {
  const Pair pair;
  for (const std::size_t size : {std::size_t{0}, kInlineMax - 1, kInlineMax, kInlineMax + 1, std::size_t{5'000'000}}) {
    std::string body(size, 'x');
    for (std::size_t i = 0; i < size; i += 97) {
      body[i] = static_cast<char>(i);
    }
    const Fd file = file_with("f");
    REQUIRE(send_message(pair.left.get(), 1, body, {file.get()}));
    const auto message = receive_message(pair.right.get());
    REQUIRE(message);
    CHECK(message->body == body);
    CHECK(message->fds.size() == 1);
  }
}

TEST_CASE("channel: an empty socket is again, a closed one is closed", "[base]") {
  Pair pair;
  CHECK(receive_message(pair.right.get()).error().code() == Errc::kAgain);
  pair.left.reset();
  CHECK(receive_message(pair.right.get()).error().code() == Errc::kClosed);
  CHECK(send_message(pair.right.get(), 1, "x", {}).error().code() == Errc::kClosed);
}

TEST_CASE("channel: too many descriptors or bytes are refused before they are sent", "[base]") {
  const Pair pair;
  const std::vector<int> many(kFdsMax + 1, pair.left.get());
  CHECK(send_message(pair.left.get(), 1, "", many).error().code() == Errc::kInvalid);
  const std::vector<int> most(kFdsMax, pair.left.get());
  CHECK(send_message(pair.left.get(), 1, "", most));
  CHECK(receive_message(pair.right.get())->fds.size() == kFdsMax);
}

struct RawHeader {
  std::uint32_t magic = 0x50535431;
  std::uint32_t type = 1;
  std::uint32_t body_bytes = 0;
  std::uint32_t flags = 0;
};

/// Sends a header as a hostile peer would write it, with one descriptor if there is one.
Errc refusal_of(const RawHeader& header, std::string_view rest, const Fd& fd = {}) {
  const Pair pair;
  iovec parts[] = {{const_cast<RawHeader*>(&header), sizeof(header)}, {const_cast<char*>(rest.data()), rest.size()}};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (fd) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    const int number = fd.get();
    std::memcpy(CMSG_DATA(rights), &number, sizeof(number));
  }
  REQUIRE(::sendmsg(pair.left.get(), &message, 0) >= 0);
  const auto received = receive_message(pair.right.get());
  return received ? Errc::kIo : received.error().code();
}

TEST_CASE("channel: messages of another form are refused", "[base]") {
  CHECK(refusal_of({.magic = 1}, "") == Errc::kInvalid);
  CHECK(refusal_of({.body_bytes = 5}, "four") == Errc::kInvalid);
  CHECK(refusal_of({.body_bytes = 3}, "four") == Errc::kInvalid);
  CHECK(refusal_of({.body_bytes = 4, .flags = 1}, "") == Errc::kInvalid);  // its memfd is missing
  CHECK(refusal_of({.body_bytes = static_cast<std::uint32_t>(kBodyMax) + 1}, "") == Errc::kInvalid);
  const Pair pair;
  REQUIRE(::send(pair.left.get(), "short", 5, 0) == 5);
  CHECK(receive_message(pair.right.get()).error().code() == Errc::kInvalid);
  const std::string large(sizeof(RawHeader) + kInlineMax + 1, 'x');
  REQUIRE(::send(pair.left.get(), large.data(), large.size(), 0) > 0);
  CHECK(receive_message(pair.right.get()).error().code() == Errc::kInvalid);
}

TEST_CASE("channel: a body in a memfd must be sealed and of the told size", "[base]") {
  CHECK(refusal_of({.body_bytes = 4, .flags = 1}, "", file_with("four")) ==
        Errc::kInvalid);  // the peer could still change it
  Fd sealed(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(::write(sealed.get(), "four", 4) == 4);
  REQUIRE(::fcntl(sealed.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
  CHECK(refusal_of({.body_bytes = 5, .flags = 1}, "", sealed) == Errc::kInvalid);
  CHECK(refusal_of({.body_bytes = 4, .flags = 1}, "", sealed) == Errc::kIo);  // that is: it was taken
}

struct LoopedPair {
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<Channel> left;
  std::unique_ptr<Channel> right;
  std::vector<std::string> received;  // by right
  int closed = 0;                     // of right

  LoopedPair() {
    loop = EventLoop::make().value();
    Pair pair;
    left = Channel::make(
               *loop, std::move(pair.left), [](Message) {}, [] {})
               .value();
    right = Channel::make(
                *loop, std::move(pair.right), [this](Message message) { received.push_back(message.body); },
                [this] { ++closed; })
                .value();
  }
  void turn(int times = 1) const {
    for (int i = 0; i < times; ++i) {
      REQUIRE(loop->run_once(0));
    }
  }
};

TEST_CASE("channel: what does not fit waits, in order, and its descriptors with it", "[base]") {
  LoopedPair pair;
  const std::string body(kInlineMax, 'x');
  for (int i = 0; i < 200; ++i) {
    REQUIRE(pair.left->send(1, std::to_string(i) + body.substr(8), {pair.left->fd()}));
  }
  CHECK(pair.received.empty());
  for (int i = 0; i < 1000 && pair.received.size() < 200; ++i) {
    pair.turn();
  }
  REQUIRE(pair.received.size() == 200);
  for (int i = 0; i < 200; ++i) {
    CHECK(pair.received[static_cast<std::size_t>(i)].starts_with(std::to_string(i) + "x"));
  }
}

TEST_CASE("channel: the owner hears of the end once, from the loop", "[base]") {
  LoopedPair pair;
  pair.left.reset();
  CHECK(pair.closed == 0);
  CHECK(pair.right->send(1, "x").error().code() == Errc::kClosed);
  CHECK(pair.closed == 0);
  pair.turn(3);
  CHECK(pair.closed == 1);
  CHECK_FALSE(pair.right->send(1, "x"));
}

TEST_CASE("channel: a peer that talks nonsense is closed", "[base]") {
  LoopedPair pair;
  REQUIRE(::send(pair.left->fd(), "nonsense", 8, 0) == 8);
  pair.turn(2);
  CHECK(pair.closed == 1);
  CHECK(pair.received.empty());
}

TEST_CASE("channel: may be destroyed inside its own callbacks", "[base]") {
  LoopedPair pair;
  Pair fresh;
  std::unique_ptr<Channel> channel;
  int messages = 0;
  channel = Channel::make(
                *pair.loop, std::move(fresh.right),
                [&](Message) {
                  ++messages;
                  channel.reset();
                },
                [] {})
                .value();
  REQUIRE(send_message(fresh.left.get(), 1, "a", {}));
  REQUIRE(send_message(fresh.left.get(), 1, "b", {}));
  pair.turn(2);
  CHECK(messages == 1);
  CHECK(channel == nullptr);
}

TEST_CASE("channel: a socket path that is too long, and one in use", "[base]") {
  CHECK(listen_unix("/tmp/" + std::string(200, 'x'), 0600).error().code() == Errc::kInvalid);
  const std::string path = "/tmp/postern-unit-" + std::to_string(::getpid()) + ".sock";
  auto listener = listen_unix(path, 0600);
  REQUIRE(listener);
  CHECK(listen_unix(path, 0600).error().code() == Errc::kExists);
  const auto client = connect_unix(path);
  REQUIRE(client);
  const auto server = accept_unix(listener->get());
  REQUIRE(server);
  CHECK(peer_of(server->get())->pid == ::getpid());
  listener->reset();
  const auto again = listen_unix(path, 0600);  // the file of a dead listener is replaced
  CHECK(again);
  ::unlink(path.c_str());
}

}  // namespace
}  // namespace postern
