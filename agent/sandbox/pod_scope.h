// SPDX-License-Identifier: Apache-2.0
//
// Which pods of a cluster are in scope, so that the gate is put on them. Pure.
//
// Out of scope is out for good: nothing of Postern touches such a pod. Never in scope are Postern's
// own namespace, kube-system unless it is listed, pods on the node's own network, and pods that
// answer the queries of postern-dns: steered, they would ask themselves.
#pragma once

#include <string>
#include <vector>

#include "agent/cluster_config.h"
#include "agent/kube/objects.h"

namespace postern {

enum class ScopeAnswer {
  kOut,
  kIn,
  kUnknown,  ///< Its namespace has not been told yet.
};

/// Who answers behind the upstream addresses.
struct DnsBackends {
  std::vector<Address> addresses;  ///< The upstreams themselves.
  std::string space;               ///< Of the Service that has one of them; empty: there is none.
  Labels selector;                 ///< Its spec.selector.
};

/// @param space  null: not told yet.
ScopeAnswer scope_of_namespace(const std::string& name,
                               const NamespaceInfo* space,
                               const ScopeConfig& config,
                               const std::string& own_space);

bool is_dns_backend(const PodInfo& pod, const DnsBackends& dns);

/// True if every label of `wanted` is among `labels`; an empty `wanted` selects nothing.
bool selects(const Labels& wanted, const Labels& labels);

}  // namespace postern
