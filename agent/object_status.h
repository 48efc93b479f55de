// SPDX-License-Identifier: Apache-2.0
//
// ObjectStatus: tells the authors of policy objects what became of them.
//
// Postern's own kinds get the condition Accepted; to those of others an Event is added when they are refused. Every
// node judges every object and comes to the same end, so each waits for a drawn moment, and writes only what nobody has
// written by then: of a thousand nodes a few ask. A node says one thing about one state of an object once, so that
// nodes of two versions cannot write against each other without end.
// Limits: kTriesMax, ApiClient::kWritesMax at once. Thread: posternd's loop.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "agent/kube/api_client.h"
#include "agent/policy_objects.h"
#include "base/event_loop.h"

namespace postern {

class ObjectStatus {
 public:
  static constexpr std::uint64_t kSpreadMs = 1'000;
  static constexpr std::uint64_t kRetryMs = 2'000;
  static constexpr int kTriesMax = 5;
  static constexpr std::size_t kMessageMax = 1'000;  ///< Bytes of a condition's message.

  ObjectStatus(EventLoop& loop, ApiClient& client, const PolicyObjects& objects, std::string node);
  ObjectStatus(const ObjectStatus&) = delete;
  ObjectStatus& operator=(const ObjectStatus&) = delete;
  ~ObjectStatus();

  /// What the policies now in force say of all objects.
  void tell(const std::vector<PolicyObjects::Verdict>& verdicts);

  /// The condition that an object should have, except since when.
  static ObjectCondition condition_of(const PolicyObjects::Verdict& verdict);

 private:
  struct Wish {
    const PolicyResource* resource = nullptr;
    ObjectCondition wanted;
    int tries = 0;
    EventLoop::TimerId timer = 0;  // until it is written
    ApiClient::RequestId request = 0;
  };

  void write_later(const std::string& uid, std::uint64_t after_ms);
  void write(const std::string& uid);
  void on_written(const std::string& uid, const ApiReply& reply);

  EventLoop& loop_;
  ApiClient& client_;
  const PolicyObjects& objects_;
  std::string node_;
  std::minstd_rand random_;
  std::map<std::string, Wish> wishes_;  // by uid
};

/// The body of a patch of an object's status.
std::string status_patch(const PolicyObject& object, const ObjectCondition& wanted, std::int64_t unix_s);

}  // namespace postern
