// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/keeper_client.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

namespace postern {

bool poll_again(BootNs deadline) {
  if (SystemClock().now() >= deadline) {
    return false;
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(KeeperClient::kPollMs));
  return true;
}

Result<KeeperClient> KeeperClient::connect(const std::string& path, BootNs deadline) {
  auto socket = connect_unix(path);
  while (!socket && (socket.error().code() == Errc::kNotFound || socket.error().code() == Errc::kClosed) &&
         poll_again(deadline)) {
    socket = connect_unix(path);
  }
  if (!socket) {
    return std::move(socket).error().within(
        "postern-dns does not run: start it first, or name its socket with --dns-socket");
  }
  const timeval limit{kAnswerS, 0};
  if (::setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0) {
    return Error::from_errno("SO_RCVTIMEO", errno);
  }
  return KeeperClient(std::move(*socket));
}

Result<std::optional<Steering>> KeeperClient::ask() const {
  POSTERN_RETURN_IF_ERROR(send_message(socket_.get(), static_cast<std::uint32_t>(DnsMessage::kHelloSetup), "", {}));
  auto reply = receive_message(socket_.get());
  if (!reply) {
    return std::move(reply).error().within("postern-dns does not answer; its log may say why");
  }
  if (static_cast<DnsMessage>(reply->type) == DnsMessage::kNoSteering) {
    return std::optional<Steering>();
  }
  const auto steering = from_body<Steering>(reply->body);
  if (static_cast<DnsMessage>(reply->type) != DnsMessage::kSteering || !steering) {
    return Error(Errc::kInvalid, "postern-dns answers in a form we do not know: are both of the same version?");
  }
  return steering;
}

Result<> KeeperClient::give(const SteeringSockets& made) const {
  std::vector<int> fds;
  std::ranges::transform(made.sockets, std::back_inserter(fds), &Fd::get);
  POSTERN_RETURN_IF_ERROR(
      send_message(socket_.get(), static_cast<std::uint32_t>(DnsMessage::kSteering), to_body(made.steering), fds));
  // It has them once it says so: only then may this process, their other owner, end.
  auto now = ask();
  if (!now) {
    return std::move(now).error();
  }
  if (!*now || (*now)->created_boot_ns != made.steering.created_boot_ns) {
    return Error(Errc::kInvalid,
                 "postern-dns did not take the sockets: it has others by now, or is of another version");
  }
  return {};
}

}  // namespace postern
