// SPDX-License-Identifier: Apache-2.0
#include "agent/control_server.h"

#include <unistd.h>

#include <algorithm>

#include "base/log.h"

namespace postern {

Result<std::unique_ptr<ControlServer>> ControlServer::make(EventLoop& loop, const std::string& path, uid_t observer_uid) {
  auto listener = listen_unix(path, 0666);
  if (!listener) {
    const bool live = listener.error().code() == Errc::kExists;
    return std::move(listener).error().within(live ? "another posternd runs: stop it first, or give this one a run_dir of its own"
                                                   : "opening the control socket");
  }
  return std::unique_ptr<ControlServer>(new ControlServer(loop, std::move(*listener), path, observer_uid));
}

ControlServer::ControlServer(EventLoop& loop, Fd listener, std::string path, uid_t observer_uid)
    : loop_(loop), listener_(std::move(listener)), path_(std::move(path)), observer_uid_(observer_uid) {}

ControlServer::~ControlServer() {
  loop_.unwatch(listener_.get());
  ::unlink(path_.c_str());
}

void ControlServer::serve(OnRequest on_request, OnObserver on_observer) {
  on_request_ = std::move(on_request);
  on_observer_ = std::move(on_observer);
  if (auto watched = loop_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { on_connection(); }); !watched) {
    spdlog::error("serving the control socket: {}", watched.error().message());
  }
}

void ControlServer::on_connection() {
  auto socket = accept_unix(listener_.get());
  if (!socket) {
    return;
  }
  const auto peer = peer_of(socket->get());
  if (!peer || (peer->uid != 0 && peer->uid != observer_uid_) || connections_.size() >= kPeersMax) {
    spdlog::warn("refused a control connection of process {}, user {}", peer ? peer->pid : 0, peer ? peer->uid : 0);
    return;
  }
  const std::uint64_t id = next_connection_++;
  auto channel = Channel::make(
      loop_, std::move(*socket), [this, id](const Message& message) { on_message(id, message); },
      [this, id] { connections_.erase(id); });
  if (channel) {
    connections_.emplace(id, Connection{peer->uid, std::move(*channel), false, false});
  }
}

void ControlServer::on_message(std::uint64_t id, const Message& message) {
  Connection& connection = connections_.at(id);
  switch (static_cast<ControlMessage>(message.type)) {
    case ControlMessage::kHelloObserver:
      if (!connection.observer) {
        connection.observer = true;
        on_observer_(id);
      }
      return;
    case ControlMessage::kRequest:
      // A second command before the reply to the first, or one of a user who may only observe.
      if (connection.uid != 0 || connection.busy || message.body.size() > kRequestMax) {
        connections_.erase(id);
        return;
      }
      connection.busy = true;
      on_request(id, message.body);
      return;
    default:
      return;
  }
}

void ControlServer::on_request(std::uint64_t id, const std::string& body) {
  const Respond respond = [this, id](const api::ControlReply& reply) {
    const auto found = connections_.find(id);
    if (found != connections_.end()) {
      found->second.busy = false;
      static_cast<void>(found->second.channel->send(static_cast<std::uint32_t>(ControlMessage::kReply), reply.SerializeAsString()));
    }
  };
  api::ControlRequest request;
  if (!request.ParseFromString(body)) {
    api::ControlReply reply;
    reply.set_error("posternd does not understand this command: are postern and posternd of the same version?");
    respond(reply);
    return;
  }
  on_request_(request, respond);
}

void ControlServer::send_observer(std::uint64_t observer, ControlMessage type, const std::string& body, const std::vector<int>& fds) {
  const auto found = connections_.find(observer);
  if (found != connections_.end()) {
    static_cast<void>(found->second.channel->send(static_cast<std::uint32_t>(type), body, fds));
  }
}

void ControlServer::tell_observers(const std::string& update) {
  for (const auto& [id, connection] : connections_) {
    if (connection.observer) {
      static_cast<void>(connection.channel->send(static_cast<std::uint32_t>(ControlMessage::kObserverUpdate), update));
    }
  }
}

bool ControlServer::observed() const {
  return std::ranges::any_of(connections_, [](const auto& entry) { return entry.second.observer; });
}

}  // namespace postern
