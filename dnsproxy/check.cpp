// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/check.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>

#include "api/dns_feed.h"
#include "base/channel.h"

namespace postern {

Result<> check_keeper(const std::string& socket_path, bool with_sockets) {
  auto socket = connect_unix(socket_path);
  if (!socket) {
    return std::move(socket).error().within("nobody answers on " + socket_path);
  }
  const timeval limit{kCheckS, 0};
  if (::setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0) {
    return Error::from_errno("SO_RCVTIMEO", errno);
  }
  POSTERN_RETURN_IF_ERROR(send_message(socket->get(), static_cast<std::uint32_t>(DnsMessage::kHelloSetup), "", {}));
  const auto reply = receive_message(socket->get());
  if (!reply) {
    return Error(Errc::kAgain, "the postern-dns on " + socket_path + " takes the question and does not answer");
  }
  if (with_sockets && static_cast<DnsMessage>(reply->type) != DnsMessage::kSteering) {
    return Error(Errc::kNotFound, "it has no sockets yet, so sandboxes resolve no name: postern-setup gives them");
  }
  return {};
}

}  // namespace postern
