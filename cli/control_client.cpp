// SPDX-License-Identifier: Apache-2.0
#include "cli/control_client.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <cstdio>

#include "api/control.h"
#include "base/channel.h"

namespace postern {
namespace {

constexpr time_t kReplyTimeoutS = 60;  // a reload waits for the DNS workers

Error explain_connect(const std::string& path, const Error& error) {
  if (error.code() == Errc::kNotFound || error.code() == Errc::kClosed) {
    return {Errc::kNotFound, "posternd is not running: nobody listens on " + path +
                                 ". Start it (systemctl start posternd), or name its socket with --control"};
  }
  if (error.code() == Errc::kDenied) {
    return {Errc::kDenied, "only root may command posternd: run this with sudo"};
  }
  return error;
}

}  // namespace

Result<api::ControlReply> call_posternd(const std::string& socket_path, const api::ControlRequest& request) {
  auto socket = connect_unix(socket_path);
  if (!socket) {
    return explain_connect(socket_path, socket.error());
  }
  const timeval timeout{kReplyTimeoutS, 0};
  ::setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  if (auto sent = send_message(socket->get(), static_cast<std::uint32_t>(ControlMessage::kRequest),
                               request.SerializeAsString(), {});
      !sent) {
    return std::move(sent).error();
  }
  auto message = receive_message(socket->get());
  if (!message) {
    if (message.error().code() == Errc::kAgain) {
      return Error(Errc::kAgain, "posternd did not reply within a minute: its log says what it waits for");
    }
    return Error(Errc::kDenied, "posternd closed the connection: only root may command it (run this with sudo)");
  }
  api::ControlReply reply;
  if (!reply.ParseFromString(message->body)) {
    return Error(Errc::kInvalid, "posternd's reply is not understood: are postern and posternd of the same version?");
  }
  if (!reply.error().empty()) {
    std::string text = reply.error();
    for (const std::string& detail : reply.details()) {
      text += "\n  " + detail;
    }
    return Error(Errc::kInvalid, std::move(text));
  }
  return reply;
}

void print_error(CliContext& context, const Error& error) {
  std::fprintf(stderr, "postern: %s\n", error.message().c_str());
  context.exit_status = 1;
}

}  // namespace postern
