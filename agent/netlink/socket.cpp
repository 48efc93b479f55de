// SPDX-License-Identifier: Apache-2.0
#include "agent/netlink/socket.h"

#include <cerrno>
#include <vector>

namespace postern {
namespace {

constexpr std::size_t kAnswerSize = 32768;  // the most that the kernel puts into one message of a dump

}  // namespace

NetlinkRequest::NetlinkRequest(std::uint16_t type, std::uint16_t flags)
    : header_(mnl_nlmsg_put_header(buffer_.data())) {
  header_->nlmsg_type = type;
  header_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
}

Result<NetlinkSocket> NetlinkSocket::open() {
  NetlinkSocket made(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!made.socket_ || mnl_socket_bind(made.socket_.get(), 0, MNL_SOCKET_AUTOPID) != 0) {
    return Error::from_errno("opening rtnetlink", errno);
  }
  // Strict: a dump answers exactly what was asked, other namespaces included (kernel 4.20).
  const int on = 1;
  mnl_socket_setsockopt(made.socket_.get(), NETLINK_GET_STRICT_CHK, const_cast<int*>(&on), sizeof(on));
  return made;
}

Result<> NetlinkSocket::call(NetlinkRequest& request, const Each& each) {
  nlmsghdr* header = request.header();
  const bool dump = (header->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  if (!dump) {
    header->nlmsg_flags |= NLM_F_ACK;
  }
  header->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0) {
    return Error::from_errno("rtnetlink", errno);
  }
  std::vector<char> buffer(kAnswerSize);
  const auto on_message = [](const nlmsghdr* message, void* data) {
    const auto& callback = *static_cast<const Each*>(data);
    if (callback) {
      callback(message);
    }
    return MNL_CB_OK;
  };
  for (int more = MNL_CB_OK; more > MNL_CB_STOP;) {
    const ssize_t got = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    more = got <= 0 ? -1
                    : mnl_cb_run(buffer.data(), static_cast<std::size_t>(got), header->nlmsg_seq,
                                 mnl_socket_get_portid(socket_.get()), on_message, const_cast<Each*>(&each));
    if (more < 0) {
      // libmnl's word for NLM_F_DUMP_INTR; no signal can interrupt a datagram that is there.
      return Error::from_errno("rtnetlink", dump && got > 0 && errno == EINTR ? EAGAIN : errno);
    }
  }
  return {};
}

}  // namespace postern
