// SPDX-License-Identifier: Apache-2.0
#include "cli/name_lookup.h"

#include <ares.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/log.h"

namespace postern {
namespace {

constexpr int kTimeoutMs = 2000;
constexpr int kTriesMax = 3;

struct Channel {
  ares_channel handle = nullptr;

  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() {
    if (handle != nullptr) {
      ares_destroy(handle);
    }
    ares_library_cleanup();
  }
};

Error from_ares(const std::string& step, int status) { return {Errc::kIo, step + ": " + ares_strerror(status)}; }

class Lookup {
 public:
  Lookup(const std::vector<std::string>& names, const LookupOptions& options) : options_(options) {
    for (const std::string& name : names) {
      answers_.push_back({name, NameAnswer::Outcome::kFailed, {}, ""});
    }
  }

  Result<> start() {
    if (const int failed = ares_library_init(ARES_LIB_INIT_ALL); failed != ARES_SUCCESS) {
      return from_ares("c-ares cannot start", failed);
    }
    ares_options wanted{};
    wanted.timeout = kTimeoutMs;
    wanted.tries = kTriesMax;
    std::string dns_alone = "b";
    wanted.lookups = dns_alone.data();
    const int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS;
    if (const int failed = ares_init_options(&channel_.handle, &wanted, mask); failed != ARES_SUCCESS) {
      return from_ares("c-ares cannot start", failed);
    }
    if (options_.server.empty()) {
      return {};
    }
    const auto endpoint = Endpoint::parse(options_.server, 53);
    if (!endpoint) {
      return Error(Errc::kInvalid, "--server: " + endpoint.error().message());
    }
    const int failed = ares_set_servers_ports_csv(channel_.handle, endpoint->to_string().c_str());
    return failed == ARES_SUCCESS ? Result<>() : from_ares("--server " + printable(options_.server), failed);
  }

  std::vector<NameAnswer> run() {
    while (done_ < answers_.size()) {
      while (next_ < answers_.size() && next_ - done_ < options_.at_once) {
        ask(next_++);
      }
      if (done_ < answers_.size()) {
        wait();
      }
    }
    return std::move(answers_);
  }

 private:
  struct Question {
    Lookup* lookup;
    std::size_t index;
  };

  void ask(std::size_t index) {
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_flags = ARES_AI_NOSORT;
    auto question = std::make_unique<Question>(Question{this, index});
    const std::string absolute = answers_[index].name + ".";
    // c-ares calls back exactly once, maybe before this returns, and gives the question back.
    ares_getaddrinfo(channel_.handle, absolute.c_str(), nullptr, &hints, answered, question.release());
  }

  static void answered(void* given, int status, int, ares_addrinfo* found) {
    const std::unique_ptr<Question> question(static_cast<Question*>(given));
    const std::unique_ptr<ares_addrinfo, decltype(&ares_freeaddrinfo)> list(found, ares_freeaddrinfo);
    Lookup& self = *question->lookup;
    NameAnswer& answer = self.answers_[question->index];
    if (status == ARES_SUCCESS) {
      take_addresses(*list, answer);
    } else if (status == ARES_ENOTFOUND) {
      answer.outcome = NameAnswer::Outcome::kNoName;
    } else if (status == ARES_ENODATA) {
      answer.outcome = NameAnswer::Outcome::kNoAddress;
    } else {
      answer.problem = ares_strerror(status);
    }
    ++self.done_;
    if (self.options_.progress) {
      self.options_.progress(self.done_);
    }
  }

  static void take_addresses(const ares_addrinfo& list, NameAnswer& answer) {
    for (const ares_addrinfo_node* node = list.nodes; node != nullptr; node = node->ai_next) {
      if (node->ai_family == AF_INET) {
        const auto* v4 = reinterpret_cast<const sockaddr_in*>(node->ai_addr);
        answer.addresses.push_back(Address::from_v4(reinterpret_cast<const std::uint8_t*>(&v4->sin_addr)));
      } else if (node->ai_family == AF_INET6) {
        const auto* v6 = reinterpret_cast<const sockaddr_in6*>(node->ai_addr);
        answer.addresses.push_back(Address::from_v6(v6->sin6_addr.s6_addr));
      }
    }
    std::ranges::sort(answer.addresses);
    answer.addresses.erase(std::unique(answer.addresses.begin(), answer.addresses.end()), answer.addresses.end());
    answer.outcome = answer.addresses.empty() ? NameAnswer::Outcome::kNoAddress : NameAnswer::Outcome::kFound;
  }

  /// Waits for a socket or a timeout of c-ares, and lets it read, write and ask again.
  void wait() {
    std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
    const int ready = ares_getsock(channel_.handle, sockets.data(), static_cast<int>(sockets.size()));
    std::vector<pollfd> polled;
    for (unsigned i = 0; i < sockets.size(); ++i) {
      const short events = static_cast<short>((ARES_GETSOCK_READABLE(ready, i) ? POLLIN : 0) |
                                              (ARES_GETSOCK_WRITABLE(ready, i) ? POLLOUT : 0));
      if (events != 0) {
        polled.push_back({sockets[i], events, 0});
      }
    }
    timeval most{1, 0};
    timeval left{};
    const timeval* until = ares_timeout(channel_.handle, &most, &left);
    poll(polled.data(), polled.size(), static_cast<int>(until->tv_sec * 1000 + until->tv_usec / 1000 + 1));
    for (const pollfd& each : polled) {
      const bool in = (each.revents & (POLLIN | POLLERR | POLLHUP)) != 0;
      const bool out = (each.revents & POLLOUT) != 0;
      ares_process_fd(channel_.handle, in ? each.fd : ARES_SOCKET_BAD, out ? each.fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(channel_.handle, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // what has timed out
  }

  const LookupOptions& options_;
  std::vector<NameAnswer> answers_;
  std::size_t next_ = 0;
  std::size_t done_ = 0;
  Channel channel_;  // last: its end calls back for what is still open
};

}  // namespace

Result<std::vector<NameAnswer>> look_up_names(const std::vector<std::string>& names, const LookupOptions& options) {
  Lookup lookup(names, options);
  POSTERN_RETURN_IF_ERROR(lookup.start());
  return lookup.run();
}

}  // namespace postern
