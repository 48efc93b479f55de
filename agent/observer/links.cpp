// SPDX-License-Identifier: Apache-2.0
#include "agent/observer/links.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>

#include "api/control.h"
#include "api/dns_feed.h"
#include "api/observer_feed.pb.h"
#include "base/log.h"

namespace postern {

void Retry::now() {
  const auto done = attempt_();
  if (done) {
    last_error_.clear();
    return;
  }
  if (done.error().message() != last_error_) {
    last_error_ = done.error().message();
    spdlog::warn("waiting for {}: {}", peer_, last_error_);
  }
  later();
}

void Retry::later() {
  loop_.cancel(timer_);
  timer_ = loop_.after_ms(delay_ms_, [this] { now(); });
  delay_ms_ = std::min(delay_ms_ * 2, kRetryMsMax);
}

AgentLink::AgentLink(EventLoop& loop, std::string path, Handlers handlers)
    : loop_(loop),
      path_(std::move(path)),
      handlers_(std::move(handlers)),
      retry_(loop, "posternd", [this] { return connect(); }) {}

Result<> AgentLink::connect() {
  channel_.reset();
  auto socket = connect_unix(path_);
  if (!socket) {
    return std::move(socket).error();
  }
  auto channel = Channel::make(
      loop_, std::move(*socket), [this](Message message) { on_message(std::move(message)); },
      [this] {
        spdlog::warn("posternd closed the connection; the flow log goes on with what it told");
        retry_.later();  // connect() replaces the channel
      });
  if (!channel) {
    return std::move(channel).error();
  }
  channel_ = std::move(*channel);
  return channel_->send(static_cast<std::uint32_t>(ControlMessage::kHelloObserver), "");
}

void AgentLink::on_message(Message message) {
  switch (static_cast<ControlMessage>(message.type)) {
    case ControlMessage::kObserverMaps:
      if (message.fds.size() != kObserverMapCount) {
        spdlog::error("posternd sent {} maps, not {}: are both of the same version?", message.fds.size(),
                      kObserverMapCount);
        return;
      }
      spdlog::info("connected to posternd");
      retry_.settled();
      handlers_.on_maps(std::move(message.fds));
      return;
    case ControlMessage::kObserverUpdate: {
      api::ObserverUpdate update;
      if (update.ParseFromString(message.body)) {
        handlers_.on_update(update);
      }
      return;
    }
    default:
      return;
  }
}

DnsEventLink::DnsEventLink(EventLoop& loop, std::string path, Handlers handlers)
    : loop_(loop),
      path_(std::move(path)),
      handlers_(std::move(handlers)),
      retry_(loop, "postern-dns", [this] { return connect(); }) {}

DnsEventLink::~DnsEventLink() { loop_.unwatch(socket_.get()); }

Result<> DnsEventLink::connect() {
  auto socket = connect_unix(path_);
  if (!socket) {
    return std::move(socket).error();
  }
  POSTERN_RETURN_IF_ERROR(send_message(socket->get(), static_cast<std::uint32_t>(DnsMessage::kHelloObserver), "", {}));
  if (::fcntl(socket->get(), F_SETFL, O_NONBLOCK) != 0) {
    return Error::from_errno("O_NONBLOCK", errno);
  }
  POSTERN_RETURN_IF_ERROR(loop_.watch(socket->get(), EPOLLIN, [this](std::uint32_t) { on_ready(); }));
  socket_ = std::move(*socket);
  spdlog::info("connected to postern-dns");
  handlers_.on_connected(true);
  return {};
}

void DnsEventLink::on_ready() {
  for (int i = 0; i < kDrainMax; ++i) {
    egress_dns_event event{};
    const ssize_t got = ::recv(socket_.get(), &event, sizeof(event), MSG_TRUNC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    if (got <= 0) {
      spdlog::warn("postern-dns closed the connection; questions are not seen until it is back");
      loop_.unwatch(socket_.get());
      socket_.reset();
      handlers_.on_connected(false);
      retry_.later();
      return;
    }
    if (got == static_cast<ssize_t>(sizeof(event))) {
      retry_.settled();
      handlers_.on_event(event);
    }
  }
}

}  // namespace postern
