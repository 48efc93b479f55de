// SPDX-License-Identifier: Apache-2.0
#include "agent/observer/api_server.h"

#include <grpc/support/log.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <cstring>

#include "base/log.h"

namespace postern {
namespace {

/// The service that `hubble status` asks about.
constexpr const char* kHealthName = "hubble.server.Observer";

Result<Fd> stream_socket(const std::string& path, sockaddr_un& address) {
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return Error(Errc::kInvalid,
                 "the socket path \"" + printable(path) + "\" is empty or longer than a unix socket's may be");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) {
    return Error::from_errno("socket", errno);
  }
  return fd;
}

void log_of_grpc(gpr_log_func_args* args) {
  const auto level = args->severity == GPR_LOG_SEVERITY_ERROR ? spdlog::level::warn : spdlog::level::debug;
  spdlog::log(level, "gRPC: {}", printable(args->message));
}

}  // namespace

Result<Fd> listen_stream(const std::string& path, mode_t mode) {
  sockaddr_un address{};
  const auto* raw = reinterpret_cast<const sockaddr*>(&address);
  auto probe = stream_socket(path, address);
  if (!probe) {
    return probe;
  }
  if (::connect(probe->get(), raw, sizeof(address)) == 0 || errno == EAGAIN) {
    return Error(Errc::kExists, "somebody already listens on " + path);
  }
  ::unlink(path.c_str());
  auto fd = stream_socket(path, address);
  if (!fd) {
    return fd;
  }
  // The mode before bind, so that there is no moment at which others may connect.
  const mode_t old_mask = ::umask(0777 & ~mode);
  const int bound = ::bind(fd->get(), raw, sizeof(address));
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

Result<std::unique_ptr<ApiServer>> ApiServer::make(EventLoop& loop, Fd listener, FlowHub& hub, std::size_t flows_max) {
  auto queue = LoopQueue::make(loop);
  if (!queue) {
    return std::move(queue).error();
  }
  std::unique_ptr<ApiServer> server(new ApiServer(loop, std::move(listener), hub, std::move(*queue), flows_max));
  POSTERN_RETURN_IF_ERROR(server->start());
  return server;
}

Result<> ApiServer::start() {
  gpr_set_log_function(log_of_grpc);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.RegisterService(&service_);
  builder.SetMaxReceiveMessageSize(kMessageMax);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsMax);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) {
    return Error(Errc::kIo, "starting gRPC failed");
  }
  server_->GetHealthCheckService()->SetServingStatus(kHealthName, true);
  return listen();
}

Result<> ApiServer::listen() {
  return loop_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { on_connection(); });
}

void ApiServer::on_connection() {
  Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (socket) {
    grpc::AddInsecureChannelFromFd(server_.get(), socket.release());
    return;
  }
  if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
    spdlog::warn("no room for another client: {}", std::strerror(errno));
    loop_.unwatch(listener_.get());
    pause_ = loop_.after_ms(kPauseMs, [this] { static_cast<void>(listen()); });
  }
}

ApiServer::~ApiServer() {
  loop_.cancel(pause_);
  loop_.unwatch(listener_.get());
  // In this order: what waits for the loop is answered, who follows is ended, then gRPC can stop.
  queue_->close();
  hub_.close();
  if (server_ != nullptr) {
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  }
}

}  // namespace postern
