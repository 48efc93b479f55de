// SPDX-License-Identifier: Apache-2.0
//
// A peer's bytes, and a descriptor or two, as a message. One that is taken can be sent on and arrives
// as it was.
#include "base/channel.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <cstring>

#include "tests/fuzz/fuzz.h"

namespace {

using namespace postern;

/// Sends the bytes raw, with a memfd that holds the tail of them, sealed or not.
void send_raw(int socket, std::span<const std::uint8_t> bytes, bool with_fd, bool sealed) {
  iovec part{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  Fd memfd;
  if (with_fd) {
    memfd.reset(::memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    const auto tail = bytes.subspan(std::min<std::size_t>(bytes.size(), 16));
    FUZZ_REQUIRE(::write(memfd.get(), tail.data(), tail.size()) == static_cast<ssize_t>(tail.size()));
    if (sealed) {
      FUZZ_REQUIRE(::fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
    }
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    const int number = memfd.get();
    std::memcpy(CMSG_DATA(rights), &number, sizeof(number));
  }
  FUZZ_REQUIRE(::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  testing::Input input(data, size);
  const std::uint8_t mode = input.u8();
  const auto bytes = input.rest();
  if (bytes.size() > 100'000) {
    return 0;
  }
  auto ends = channel_pair();
  FUZZ_REQUIRE(ends);
  send_raw(ends->first.get(), bytes, (mode & 1) != 0, (mode & 2) != 0);
  const auto message = receive_message(ends->second.get());
  if (!message) {
    return 0;
  }
  std::vector<int> fds;
  for (const Fd& fd : message->fds) {
    fds.push_back(fd.get());
  }
  FUZZ_REQUIRE(send_message(ends->second.get(), message->type, message->body, fds));
  const auto again = receive_message(ends->first.get());
  FUZZ_REQUIRE(again && again->type == message->type && again->body == message->body &&
               again->fds.size() == fds.size());
  return 0;
}
