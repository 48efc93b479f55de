// SPDX-License-Identifier: Apache-2.0
//
// PolicyWatch: the cluster's policy objects of some kinds, kept in step with the API server.
//
// A kind that the API server does not have is absent, which is no trouble: a user may install it later. While the
// server is away what is known stays known. Limit: kObjectsMax of a kind; more are refused, counted and logged. Thread:
// the loop's.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/kube/api_client.h"
#include "agent/kube/objects.h"
#include "agent/kube/policy_resource.h"
#include "base/event_loop.h"

namespace postern {

class PolicyWatch {
 public:
  static constexpr std::size_t kObjectsMax = 10'000;

  /// They may use this PolicyWatch, but not destroy it.
  struct Callbacks {
    std::function<void(const PolicyResource&, const PolicyObject&)> on_object;  ///< New, or changed.
    std::function<void(const PolicyResource&, const std::string& uid)> on_gone;
    std::function<void()> on_state;  ///< known(), absent() or trouble() may have changed.
  };

  PolicyWatch(EventLoop& loop, ApiClient& client, std::vector<const PolicyResource*> kinds, Callbacks callbacks);
  PolicyWatch(const PolicyWatch&) = delete;
  PolicyWatch& operator=(const PolicyWatch&) = delete;
  ~PolicyWatch();

  /// Begins; returns at once, also when the API server is away.
  void start();

  /// Every kind's first list is in, or the API server has no such kind. Stays true while it is away later.
  bool known() const;
  std::vector<std::string> kinds() const;   ///< Names, as configured.
  std::vector<std::string> absent() const;  ///< Those that the API server does not have.
  /// The first kind's that has one; empty: none.
  std::string trouble() const;
  Errc trouble_code() const;

 private:
  struct Feed;
  const Feed* first_in_trouble() const;

  Callbacks callbacks_;
  std::vector<std::unique_ptr<Feed>> feeds_;
};

}  // namespace postern
