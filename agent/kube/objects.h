// SPDX-License-Identifier: Apache-2.0
//
// What Postern keeps of a pod, a namespace and a policy object: plain data, read by reader.h, handed out by
// ClusterWatch and PolicyWatch.
//
// Names and labels are a tenant's text: they go through printable() before a person sees them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/ip.h"

namespace postern {

using Labels = std::map<std::string, std::string>;

struct PodInfo {
  std::string uid;    ///< Never used twice; a pod made again under its old name has another.
  std::string space;  ///< Its namespace.
  std::string name;
  Labels labels;
  std::vector<Address> addresses;  ///< status.podIPs; empty until the sandbox has its network.
  bool host_network = false;       ///< It has the node's own network: no interface to gate.
  bool finished = false;           ///< Phase Succeeded or Failed: its addresses may be another pod's by now.
  bool deleting = false;           ///< metadata.deletionTimestamp is set; it still runs.
  std::string static_uid;          ///< A static pod's: the uid by which kubelet and the runtime know it; else empty.
  std::int64_t started_unix_s =
      0;                   ///< status.startTime, by this node's clock: before its network was made. 0: not told.
  std::string dns_policy;  ///< spec.dnsPolicy: ClusterFirst, Default, None, ClusterFirstWithHostNet.
  std::vector<std::string> searches;  ///< spec.dnsConfig.searches, as written.

  friend bool operator==(const PodInfo&, const PodInfo&) = default;
};

struct NamespaceInfo {
  std::string name;
  Labels labels;  ///< As they are; API servers before 1.21 do not add kubernetes.io/metadata.name.

  friend bool operator==(const NamespaceInfo&, const NamespaceInfo&) = default;
};

/// Postern's own condition of an object: what some node said of it last.
struct ObjectCondition {
  std::string status;  ///< "True", "False"; empty: nobody said anything yet.
  std::string reason;
  std::string message;
  std::int64_t generation = 0;  ///< observedGeneration.
  std::string since;            ///< lastTransitionTime, as written.

  friend bool operator==(const ObjectCondition&, const ObjectCondition&) = default;
};

/// A policy or template, of whatever kind. What it says is for the policy readers, which are as strict about it as
/// about a file: it is kept as text.
struct PolicyObject {
  std::string uid;
  std::string space;  ///< Empty for kinds of the whole cluster.
  std::string name;
  std::int64_t generation = 0;  ///< Counts the changes of its spec.
  std::string version;          ///< metadata.resourceVersion, for a write that must not undo another's.
  std::string text;             ///< JSON: {"metadata": {name, namespace, ownerReferences}, "spec": ...}.
  bool too_large = false;       ///< Longer than kPolicyBytesMax: the text is not kept.
  ObjectCondition accepted;     ///< status.conditions of type Accepted.

  friend bool operator==(const PolicyObject&, const PolicyObject&) = default;
};

/// An object that policies may speak of: a pod of any node, a node, a Service, an EndpointSlice. Kept as the text of the
/// fields that the reader of inventories looks at, so that all else about it may change without anybody noticing.
struct ClusterObject {
  std::string uid;
  std::string text;  ///< JSON, without kind and version.

  friend bool operator==(const ClusterObject&, const ClusterObject&) = default;
};

}  // namespace postern
