/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one list of reasons: every verdict on a packet and every answer to a DNS question carries one.
 *
 * X(identifier, number, label). The label is the log text, the metric label and the words of the
 * flow log. Numbers are stored in counters and events: never reuse one. 1 to 19 forward a packet,
 * 20 to 99 drop it; 100 to 119 answer a question with data, 120 to 199 deny or fail it.
 * `tests/` has a row for each; a reason without one fails the suite.
 */
#ifndef POSTERN_BPF_REASONS_H
#define POSTERN_BPF_REASONS_H

#define EGRESS_REASONS(X)                                                           \
	X(NONE, 0, "none")                                                          \
	/* forwarded */                                                             \
	X(ALLOWED_BY_NAME, 1, "allowed by name")                                    \
	X(ALLOWED_BY_CIDR, 2, "allowed by CIDR")                                    \
	X(KNOWN_FLOW, 3, "known flow")                                              \
	X(INBOUND_REPLY, 4, "reply to inbound")                                     \
	X(NEIGHBOUR, 5, "neighbour discovery")                                      \
	X(DNS_STEERED, 6, "DNS to the proxy")                                       \
	X(DNS_ANSWER, 7, "DNS from the proxy")                                      \
	X(INBOUND_ALLOWED, 8, "allowed inbound")                                    \
	X(ICMP_RELATED, 9, "ICMP error of a flow")                                  \
	/* dropped: what the packet is */                                           \
	X(NO_SANDBOX, 20, "interface without a sandbox")                            \
	X(TRUNCATED, 21, "truncated packet")                                        \
	X(ETHERTYPE, 22, "EtherType not allowed")                                   \
	X(VLAN, 23, "VLAN tag")                                                     \
	X(IP_OPTIONS, 24, "IPv4 options")                                           \
	X(FRAGMENT, 25, "fragment")                                                 \
	X(EXTENSION_HEADER, 26, "IPv6 extension header")                            \
	X(PROTOCOL, 27, "protocol not allowed")                                     \
	X(BAD_HEADER, 28, "malformed header")                                       \
	X(ARP_DENIED, 29, "ARP not of the sandbox")                                 \
	X(ND_DENIED, 30, "neighbour discovery not of the sandbox")                  \
	X(ICMP_DENIED, 31, "ICMP not allowed")                                      \
	X(ICMP_RATE, 32, "ICMP error rate")                                         \
	/* dropped: who sends it */                                                 \
	X(LOCKDOWN, 40, "lockdown")                                                 \
	X(SPOOFED_MAC, 41, "source MAC not of the sandbox")                         \
	X(SPOOFED_ADDRESS, 42, "source address not of the sandbox")                 \
	/* dropped: where it goes */                                                \
	X(STEER_FAILED, 50, "DNS proxy not reachable")                              \
	X(STEER_NO_SANDBOX, 51, "DNS answer to no sandbox")                         \
	X(NEVER_LIST, 52, "address never allowed")                                  \
	X(NODE_ADDRESS, 53, "address of the node")                                  \
	X(CIDR_DENIED, 54, "denied by CIDR")                                        \
	X(NO_FLOW, 55, "no connection known")                                       \
	X(FLOW_EXPIRED, 56, "connection timed out")                                 \
	X(NOT_GRANTED, 57, "no allowed lookup gave this address")                   \
	X(GRANT_EXPIRED, 58, "lookup expired")                                      \
	X(PORT_DENIED, 59, "port not allowed")                                      \
	X(POLICY_CHANGED, 60, "no longer allowed by policy")                        \
	X(FLOW_QUOTA, 61, "too many connections")                                   \
	X(INBOUND_DENIED, 62, "inbound not allowed")                                \
	/* DNS: answered with data */                                               \
	X(DNS_ALLOWED, 100, "name allowed")                                         \
	X(DNS_CACHED, 101, "name allowed, from cache")                              \
	X(DNS_NO_DATA, 102, "name allowed, upstream has no such record")            \
	/* DNS: denied or failed */                                                 \
	X(DNS_NAME_DENIED, 120, "name not allowed")                                 \
	X(DNS_TYPE_DENIED, 121, "record type not allowed")                          \
	X(DNS_CLASS_DENIED, 122, "class not allowed")                               \
	X(DNS_MALFORMED, 123, "malformed query")                                    \
	X(DNS_NOT_IMPLEMENTED, 124, "operation not implemented")                    \
	X(DNS_BAD_VERSION, 125, "EDNS version not implemented")                     \
	X(DNS_NO_SANDBOX, 126, "query from no known sandbox")                       \
	X(DNS_NO_POLICY, 127, "policy not loaded yet")                              \
	X(DNS_UPSTREAM_TIMEOUT, 128, "upstream did not answer")                     \
	X(DNS_UPSTREAM_FAILED, 129, "upstream failed")                              \
	X(DNS_ADDRESS_DENIED, 130, "every address in the answer is forbidden")      \
	X(DNS_GRANT_FAILED, 131, "no room for another address")                     \
	X(DNS_LIMIT, 132, "too many queries at once")

#define EGRESS_REASON_ENUM(identifier, number, label) EGRESS_REASON_##identifier = (number),
enum egress_reason { EGRESS_REASONS(EGRESS_REASON_ENUM) };
#undef EGRESS_REASON_ENUM

#define EGRESS_REASON_FIRST_DROP 20
#define EGRESS_REASON_FIRST_DNS 100
#define EGRESS_REASON_FIRST_DNS_DENIED 120

#ifdef __cplusplus
/* The label of a reason; "unknown reason" for a number that is not in the list. Any thread. */
constexpr const char *egress_reason_label(unsigned reason)
{
#define EGRESS_REASON_CASE(identifier, number, label) \
	if (reason == (number))                       \
		return label;
	EGRESS_REASONS(EGRESS_REASON_CASE)
#undef EGRESS_REASON_CASE
	return "unknown reason";
}
#endif

#endif
