// SPDX-License-Identifier: Apache-2.0
#include "agent/setup/steering_setup.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "agent/netlink/links.h"
#include "agent/setup/keeper_client.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/privileges.h"

namespace postern {
namespace {

constexpr std::uint64_t kLookMs = 1000;  // while staying: is the link there, is postern-dns back

std::uint32_t workers_of(const SetupOptions& options) {
  const auto cpus = static_cast<std::uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  return options.workers != 0 ? options.workers : std::min(cpus, kWorkersMax);
}

/// It has sockets: they are of use only as long as their link is there.
Result<> check_link(const Steering& steering) {
  const auto link = find_link(steering.node_ifindex);
  if (!link || !is_steering_link(*link)) {
    return Error(
        Errc::kNotFound,
        "postern-dns has sockets, but the link to them was removed: stop postern-dns and posternd (which keeps "
        "duplicates), start postern-dns, run this again, then start posternd");
  }
  spdlog::info("nothing to do: postern-dns has its sockets already, {} worker(s) behind {}", steering.workers,
               link->name);
  return {};
}

bool has_steering_link(const std::string& name) {
  const auto link = find_link(name);
  return link && is_steering_link(*link);
}

/// What somebody has to hold: nothing, if postern-dns had sockets before.
Result<SteeringSockets> hand_over(const SetupOptions& options, const KeeperClient& keeper, BootNs deadline) {
  for (;;) {
    const auto steering = keeper.ask();
    if (!steering) {
      return steering.error();
    }
    if (*steering) {
      POSTERN_RETURN_IF_ERROR(check_link(**steering));
      return SteeringSockets{};
    }
    // After a restart of postern-dns whoever kept its sockets hands them on; if nobody did, the kernel
    // is about to remove the link whose last socket was closed.
    if (!has_steering_link(options.link_name)) {
      auto made = make_steering({options.link_name, options.sysctls, workers_of(options)});
      if (!made) {
        return std::move(made).error();
      }
      POSTERN_RETURN_IF_ERROR(keeper.give(*made));
      made->link.leave();
      spdlog::info("postern-dns has sockets for {} worker(s), behind {}", made->steering.workers, options.link_name);
      return made;
    }
    if (!poll_again(deadline)) {
      return Error(Errc::kExists,
                   options.link_name +
                       " is there, but nobody gives postern-dns the sockets behind it: start posternd, which "
                       "keeps duplicates, or stop whoever holds them (ss -lpn), then run this again");
    }
  }
}

/// Stays beside a postern-dns that has its sockets. Needs no capability: what it keeps it has.
class Stay {
 public:
  Stay(EventLoop& loop, const SetupOptions& options, KeeperClient keeper, SteeringSockets kept)
      : loop_(loop), options_(options), keeper_(std::move(keeper)), kept_(std::move(kept)) {}
  ~Stay() { let_go(); }

  Result<> run() {
    POSTERN_RETURN_IF_ERROR(loop_.on_signals({SIGTERM, SIGINT}, [this](int) { loop_.stop(); }));
    POSTERN_RETURN_IF_ERROR(attend());
    look();
    POSTERN_RETURN_IF_ERROR(loop_.run());
    return std::move(outcome_);
  }

 private:
  /// The keeper sends nothing unasked: what comes is its end.
  Result<> attend() {
    return loop_.watch(keeper_->fd(), EPOLLIN, [this](std::uint32_t) {
      spdlog::warn("postern-dns is gone; waiting for the next one on {}", options_.dns_socket);
      let_go();
    });
  }

  void let_go() {
    if (keeper_) {
      loop_.unwatch(keeper_->fd());
      keeper_.reset();
    }
  }

  void look() {
    auto looked = has_steering_link(options_.link_name) ? keep_up() : link_gone();
    if (!looked) {
      outcome_ = std::move(looked);
      loop_.stop();
      return;
    }
    loop_.after_ms(kLookMs, [this] { look(); });
  }

  Result<> link_gone() const {
    return Error(Errc::kNotFound, options_.link_name +
                                      " is gone, so what was made for postern-dns is of no use any more; started "
                                      "again, this makes it anew");
  }

  Result<> keep_up() {
    if (keeper_) {
      return {};
    }
    auto keeper = KeeperClient::connect(options_.dns_socket, SystemClock().now());
    if (!keeper) {
      return {};  // not yet
    }
    const auto steering = keeper->ask();
    if (!steering) {
      return {};
    }
    if (!*steering) {
      if (kept_.sockets.empty()) {
        return {};  // posternd keeps duplicates too, and if it does not the link goes
      }
      if (const auto given = keeper->give(kept_); !given) {
        spdlog::info("{}", given.error().message());  // posternd was faster; the next look finds that it is good
        return {};
      }
    }
    if (*steering && (*steering)->created_boot_ns != kept_.steering.created_boot_ns) {
      kept_.sockets.clear();  // of a namespace that somebody has replaced
    }
    spdlog::info("a new postern-dns has the sockets of its predecessor");
    keeper_ = std::move(*keeper);
    return attend();
  }

  EventLoop& loop_;
  const SetupOptions& options_;
  std::optional<KeeperClient> keeper_;
  SteeringSockets kept_;
  Result<> outcome_;
};

}  // namespace

Result<> set_up_steering(const SetupOptions& options) {
  const BootNs deadline = SystemClock().now() + options.wait_s * kNsPerS;
  auto keeper = KeeperClient::connect(options.dns_socket, deadline);
  if (!keeper) {
    return std::move(keeper).error();
  }
  auto made = hand_over(options, *keeper, deadline);
  return made ? Result<>() : Result<>(std::move(made).error());
}

Result<> set_up_and_stay(const SetupOptions& options) {
  const BootNs deadline = SystemClock().now() + options.wait_s * kNsPerS;
  auto loop = EventLoop::make();
  if (!loop) {
    return std::move(loop).error();
  }
  auto keeper = KeeperClient::connect(options.dns_socket, deadline);
  if (!keeper) {
    return std::move(keeper).error();
  }
  auto made = hand_over(options, *keeper, deadline);
  if (!made) {
    return std::move(made).error();
  }
  POSTERN_RETURN_IF_ERROR(drop_capabilities());
  return Stay(**loop, options, std::move(*keeper), std::move(*made)).run();
}

}  // namespace postern
