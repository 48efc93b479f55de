// SPDX-License-Identifier: Apache-2.0
//
// Resolver: from a sandbox's question to its answer. No I/O and no clock: questions, upstream
// answers and times come in as arguments; replies, upstream questions, grants and events go out
// through the seams below. The same code runs under the worker, a unit test and a fuzzer.
//
// The order in it is a contract: the policy decides before anything goes upstream, and an answer
// leaves only after the kernel holds a grant for every address in it.
// Limits: kFlightsMax questions upstream, kWaitingPerSandbox questions of one sandbox unanswered and
// as many held back for its next policy, kHeldMs of that; kAddressesMax addresses an answer,
// kFailuresMax failures remembered, kEventsPerS events of one sandbox. Thread: the worker's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/ip.h"
#include "bpf/reasons.h"
#include "dnsproxy/answer_cache.h"
#include "dnsproxy/grant_book.h"
#include "dnsproxy/query.h"
#include "dnsproxy/reply.h"
#include "dnsproxy/sandbox_view.h"

namespace postern {

/// Who asked, and how to answer.
struct Client {
  std::uint32_t sandbox = 0;
  Endpoint from;
  Endpoint asked;                ///< The address the sandbox sent to; the reply leaves with it.
  std::uint32_t scope = 0;       ///< Interface index of a link-local address; else 0.
  std::uint64_t connection = 0;  ///< TCP connection; 0 for UDP.
};

class ReplySink {
 public:
  virtual ~ReplySink() = default;
  /// Sends a whole message to the client. The bytes are the caller's again after the call.
  virtual void reply(const Client& client, Bytes message) = 0;
};

/// Why an upstream gave no usable answer.
enum class UpstreamFailure { kTimeout, kFailed };

class UpstreamPort {
 public:
  virtual ~UpstreamPort() = default;
  /// Asks; exactly one Resolver::on_answer or on_failure with this ticket follows, not from inside the call.
  virtual void ask(std::uint64_t ticket, const Question& question) = 0;
};

class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void event(const egress_dns_event& event) = 0;
};

class Resolver {
 public:
  static constexpr std::size_t kFlightsMax = 4096;
  static constexpr std::size_t kWaitingPerSandbox = 512;
  static constexpr std::size_t kHeldMax = 4096;
  static constexpr std::uint64_t kHeldMs = 4500;  ///< Before the 5 s after which a stub gives up.
  static constexpr std::size_t kFailuresMax = 1024;
  static constexpr std::uint64_t kFailureMs = 1000;  ///< RFC 9520 3.2: at least a second.
  static constexpr std::size_t kAddressesMax = 64;
  static constexpr std::uint32_t kEventsPerS = 500;

  struct Seams {
    ReplySink& replies;
    UpstreamPort& upstream;
    EventSink& events;
    GrantBook& grants;
  };

  explicit Resolver(Seams seams) : seams_(seams) {}

  /// Replaces what is known of a sandbox. What was held back for its staged policy is answered when
  /// that has become its policy.
  void set_sandbox(SandboxView view, BootNs now);
  void remove_sandbox(std::uint32_t sandbox);
  void set_grant_s_min(std::uint32_t seconds) { grant_s_min_ = seconds; }

  void on_query(const Client& client, Bytes message, BootNs now);
  void on_answer(std::uint64_t ticket, Answer answer, BootNs now);
  void on_failure(std::uint64_t ticket, UpstreamFailure failure, BootNs now);
  /// Fails what has been held back for too long: the swap it waits for may never come.
  void expire_held(BootNs now);

  /// Forgets what upstreams said and are about to say; who waits still gets it. For new upstreams.
  void forget_answers();

 private:
  struct Sandbox {
    SandboxView view;
    std::size_t waiting = 0;
    std::size_t held = 0;
    std::uint64_t events_window_s = 0;
    std::uint32_t events_in_window = 0;
    std::uint32_t events_lost = 0;
  };
  struct Waiter {
    Client client;
    Query query;
    BootNs asked;
  };
  struct Flight {
    std::uint64_t ticket = 0;
    bool forgotten = false;  // its answer is for those who wait only
    std::vector<Waiter> waiters;
  };
  struct Held {
    Waiter waiter;
    std::shared_ptr<const Answer> answer;
    bool cached = false;
    BootNs since;
  };
  struct Failure {
    UpstreamFailure why = UpstreamFailure::kFailed;
    BootNs until;
  };
  /// What one question led to, for the event.
  struct Outcome {
    std::uint8_t reason = EGRESS_REASON_NONE;
    std::uint8_t rcode = 0;
    std::uint32_t rule = 0;
    std::uint32_t ttl_s = 0;
    std::vector<Address> addresses;
  };

  void refuse(const Client& client, const Query& query, QueryVerdict verdict, Sandbox& sandbox, BootNs now);
  void decide(Sandbox& sandbox, const Client& client, const Query& query, BootNs now);
  void answer_pointer(Sandbox& sandbox, const Waiter& waiter, const Address& address, BootNs now);
  void forward(Sandbox& sandbox, Waiter waiter, BootNs now);
  bool failed_lately(Sandbox& sandbox, const Waiter& waiter, const Question& question, BootNs now);
  void hold(Sandbox& sandbox, Waiter waiter, const std::shared_ptr<const Answer>& answer, bool cached, BootNs now);
  void deliver(Waiter waiter, const std::shared_ptr<const Answer>& answer, bool cached, BootNs now);
  void respond(
      Sandbox& sandbox, const Waiter& waiter, const Answer& answer, const NameMatch& match, bool cached, BootNs now);
  bool grant(const Sandbox& sandbox,
             const Waiter& waiter,
             const AnswerView& view,
             const NameMatch& match,
             Outcome& outcome,
             BootNs now);
  void deny(Sandbox& sandbox, const Waiter& waiter, const NameMatch& match, std::uint8_t reason, BootNs now);
  void fail(Sandbox& sandbox, const Waiter& waiter, std::uint8_t reason, BootNs now);
  void tell(Sandbox& sandbox, const Waiter& waiter, const Outcome& outcome, BootNs now);
  Flight finish_flight(std::uint64_t ticket, Question& question);
  Sandbox* find(std::uint32_t id);

  Seams seams_;
  AnswerCache cache_;
  std::uint32_t grant_s_min_ = 30;
  std::unordered_map<std::uint32_t, Sandbox> sandboxes_;
  std::unordered_map<Question, Flight, QuestionHash> flights_;
  std::unordered_map<std::uint64_t, Question> tickets_;
  std::uint64_t next_ticket_ = 1;
  std::vector<Held> held_;
  std::unordered_map<Question, Failure, QuestionHash> failures_;
  Sandbox stranger_;  // counts the events of sandboxes that we do not know
  std::vector<std::uint8_t> buffer_ = std::vector<std::uint8_t>(kMessageMax);
};

}  // namespace postern
