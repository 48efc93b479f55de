// SPDX-License-Identifier: Apache-2.0
#include "agent/observer/hubble_words.h"

#include "bpf/reasons.h"

namespace postern {

Outcome outcome_of(unsigned reason) {
  const auto dropped = [](flow::DropReason drop) { return Outcome{flow::DROPPED, drop}; };
  switch (reason) {
    case EGRESS_REASON_ALLOWED_BY_NAME:
    case EGRESS_REASON_ALLOWED_BY_CIDR:
    case EGRESS_REASON_KNOWN_FLOW:
    case EGRESS_REASON_INBOUND_REPLY:
    case EGRESS_REASON_NEIGHBOUR:
    case EGRESS_REASON_INBOUND_ALLOWED:
    case EGRESS_REASON_ICMP_RELATED:
    case EGRESS_REASON_DNS_ALLOWED:
    case EGRESS_REASON_DNS_CACHED:
    case EGRESS_REASON_DNS_NO_DATA:
      return {flow::FORWARDED};
    case EGRESS_REASON_DNS_STEERED:
    case EGRESS_REASON_DNS_ANSWER:
      return {flow::REDIRECTED};
    case EGRESS_REASON_DNS_UPSTREAM_TIMEOUT:
    case EGRESS_REASON_DNS_UPSTREAM_FAILED:
      return {flow::ERROR};

    case EGRESS_REASON_NOT_GRANTED:
    case EGRESS_REASON_GRANT_EXPIRED:
    case EGRESS_REASON_PORT_DENIED:
    case EGRESS_REASON_POLICY_CHANGED:
    case EGRESS_REASON_INBOUND_DENIED:
    case EGRESS_REASON_ICMP_DENIED:
    case EGRESS_REASON_DNS_NAME_DENIED:
    case EGRESS_REASON_DNS_TYPE_DENIED:
    case EGRESS_REASON_DNS_CLASS_DENIED:
    case EGRESS_REASON_DNS_ADDRESS_DENIED:
      return dropped(flow::POLICY_DENIED);
    case EGRESS_REASON_LOCKDOWN:
    case EGRESS_REASON_NEVER_LIST:
    case EGRESS_REASON_NODE_ADDRESS:
    case EGRESS_REASON_CIDR_DENIED:
      return dropped(flow::POLICY_DENY);
    case EGRESS_REASON_NO_SANDBOX:
    case EGRESS_REASON_STEER_NO_SANDBOX:
    case EGRESS_REASON_DNS_NO_SANDBOX:
      return dropped(flow::NO_MATCHING_LOCAL_CONTAINER_FOUND);
    case EGRESS_REASON_TRUNCATED:
      return dropped(flow::CT_TRUNCATED_OR_INVALID_HEADER);
    case EGRESS_REASON_ETHERTYPE:
      return dropped(flow::UNSUPPORTED_L3_PROTOCOL);
    case EGRESS_REASON_VLAN:
      return dropped(flow::VLAN_FILTERED);
    case EGRESS_REASON_IP_OPTIONS:
    case EGRESS_REASON_BAD_HEADER:
    case EGRESS_REASON_DNS_MALFORMED:
    case EGRESS_REASON_DNS_BAD_VERSION:
      return dropped(flow::INVALID_PACKET_DROPPED);
    case EGRESS_REASON_FRAGMENT:
      return dropped(flow::IP_FRAGMENTATION_NOT_SUPPORTED);
    case EGRESS_REASON_EXTENSION_HEADER:
      return dropped(flow::INVALID_IPV6_EXTENSION_HEADER);
    case EGRESS_REASON_PROTOCOL:
      return dropped(flow::UNKNOWN_L4_PROTOCOL);
    case EGRESS_REASON_ARP_DENIED:
    case EGRESS_REASON_SPOOFED_ADDRESS:
      return dropped(flow::INVALID_SOURCE_IP);
    case EGRESS_REASON_SPOOFED_MAC:
      return dropped(flow::INVALID_SOURCE_MAC);
    case EGRESS_REASON_ND_DENIED:
      return dropped(flow::FORBIDDEN_ICMPV6_MESSAGE);
    case EGRESS_REASON_ICMP_RATE:
    case EGRESS_REASON_DNS_LIMIT:
      return dropped(flow::DROP_RATE_LIMITED);
    case EGRESS_REASON_STEER_FAILED:
      return dropped(flow::LOCAL_HOST_IS_UNREACHABLE);
    case EGRESS_REASON_NO_FLOW:
    case EGRESS_REASON_FLOW_EXPIRED:
      return dropped(flow::UNKNOWN_CONNECTION_TRACKING_STATE);
    case EGRESS_REASON_FLOW_QUOTA:
    case EGRESS_REASON_DNS_GRANT_FAILED:
      return dropped(flow::CT_MAP_INSERTION_FAILED);
    case EGRESS_REASON_DNS_NOT_IMPLEMENTED:
      return dropped(flow::PROXY_REDIRECTION_NOT_SUPPORTED_FOR_PROTOCOL);
    case EGRESS_REASON_DNS_NO_POLICY:
      return dropped(flow::NO_CONFIGURATION_AVAILABLE_TO_PERFORM_POLICY_DECISION);
    default:
      return {};
  }
}

}  // namespace postern
