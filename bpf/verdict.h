/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The judgement: from the facts about a packet to forward, steer or drop, always with a reason.
 *
 * Runs in the kernel programs, the unit tests and the fuzzer alike: no helpers and no maps of its
 * own. What it must look up it asks for through the egress_*_of functions declared below, which
 * the includer defines over BPF maps or over plain arrays.
 *
 * Order of judgement, from the sandbox (changing it is a security decision):
 *   shape (parse.h), ARP and ND, lockdown, anti-spoofing, port 53 -> steer, reply in a live
 *   inbound flow, never-list, CIDR deny, outbound flow, grant, CIDR allow, drop.
 * A SYN is judged by grants and rules, never by a flow, and no flow begins in its middle. A flow
 * of the sandbox's current generation has already passed the never-list and the CIDR denies: a
 * policy image is immutable, and a change of either raises the generation, upon which the flow is
 * judged again.
 *
 * EGRESS_SUBPROG functions are verified once each, on their own, and not at every call: inlined,
 * the whole passes half a million verifier instructions.
 */
#ifndef POSTERN_BPF_VERDICT_H
#define POSTERN_BPF_VERDICT_H

#include "address.h"
#include "flow.h"
#include "layout.h"
#include "parse.h"
#include "reasons.h"

#ifdef __bpf__
#define EGRESS_SUBPROG __attribute__((noinline))
#else
#define EGRESS_SUBPROG static inline
#endif

/* Look-ups, defined by the includer. 0: no such entry. */
static __always_inline struct egress_flow *egress_flow_of(const struct egress_sandbox *sandbox,
							  const struct egress_flow_key *key);
static __always_inline const struct egress_grant *egress_grant_of(const struct egress_sandbox *sandbox,
								  const struct egress_addr *addr);
static __always_inline const struct egress_cidr_rule *egress_cidr_of(const struct egress_sandbox *sandbox,
								     const struct egress_addr *addr);
static __always_inline const struct egress_name_ok *egress_name_ok_of(const struct egress_sandbox *sandbox, __u32 name,
								      __u32 rule);
static __always_inline const struct egress_port_set *egress_ports_of(__u32 id);
static __always_inline int egress_is_node_addr(const struct egress_addr *addr);
static __always_inline __u64 egress_boot_ns(void);
/* One more ICMP error towards this sandbox within its rate? */
static __always_inline int egress_icmp_budget(const struct egress_sandbox *sandbox, __u64 now_mono_ns);

/* ---- ports ---- */

/* port in network order. ICMP echo of either family is IPPROTO_ICMP, port 0, in a set. */
EGRESS_SUBPROG int egress_ports_allow(__u32 id, __u8 protocol, __be16 port)
{
	const struct egress_port_set *set;
	__u16 number;
	int i;

	if (id == EGRESS_PORTS_NONE)
		return 0;
	if (id == EGRESS_PORTS_ALL)
		return 1;
	set = egress_ports_of(id);
	if (!set)
		return 0;
	number = egress_load_be16(&port);
	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) {
		protocol = IPPROTO_ICMP;
		number = 0;
	}
	for (i = 0; i < EGRESS_PORT_RANGES_MAX; i++) {
		const struct egress_port_range *range = &set->ranges[i];

		if (i >= set->count)
			break;
		if (range->protocol == protocol && range->first <= number && number <= range->last)
			return 1;
	}
	return 0;
}

static __always_inline int egress_cidr_denies(const struct egress_cidr_rule *cidr, const struct egress_flow_key *key)
{
	return cidr && egress_ports_allow(cidr->deny_ports, key->protocol, key->remote_port);
}

/* ---- verdicts ---- */

static __always_inline void egress_drop(struct egress_verdict *verdict, int reason)
{
	verdict->action = EGRESS_DROP;
	verdict->reason = (__u8)reason;
}

static __always_inline void egress_pass(struct egress_verdict *verdict, int reason)
{
	verdict->action = EGRESS_FORWARD;
	verdict->reason = (__u8)reason;
}

static __always_inline void egress_blame(struct egress_verdict *verdict, int reason, __u32 rule, __u32 name)
{
	verdict->reason = (__u8)reason;
	verdict->rule = rule;
	verdict->name = name;
}

static __always_inline void egress_admit(struct egress_verdict *verdict, int reason, int basis, __u32 rule, __u32 name)
{
	verdict->action = EGRESS_OPEN;
	verdict->basis = (__u8)basis;
	egress_blame(verdict, reason, rule, name);
}

/* ---- ARP and neighbour discovery ---- */

/* A frame's link address must be the sandbox's own, and so must any that it claims inside. */
static __always_inline int egress_link_is_own(const struct egress_sandbox *sandbox, const struct egress_packet *p)
{
	return egress_mac_equal(p->src_mac, sandbox->mac) &&
	       (!p->link_claimed || egress_mac_equal(p->link_addr, sandbox->mac));
}

static __always_inline int egress_judge_arp(const struct egress_sandbox *sandbox, const struct egress_packet *p)
{
	if (!egress_link_is_own(sandbox, p))
		return EGRESS_REASON_ARP_DENIED;
	/* 0.0.0.0 asks whether an address is free (RFC 5227 2.1.1). */
	if (p->src.word[3] != 0 && !egress_is_own(sandbox, &p->src))
		return EGRESS_REASON_ARP_DENIED;
	return EGRESS_REASON_NEIGHBOUR;
}

/* Where discovery may be sent: never to an address that a router would pass on. */
static __always_inline int egress_nd_stays_on_link(const struct egress_sandbox *sandbox, const struct egress_addr *dst)
{
	const __u32 w0 = egress_word(dst, 0), w1 = egress_word(dst, 1), w2 = egress_word(dst, 2),
		    w3 = egress_word(dst, 3);

	if (w0 == 0xff020000u && w1 == 0) /* all nodes, all routers, solicited-node */
		return (w2 == 0 && (w3 == 1 || w3 == 2)) || (w2 == 1 && w3 >> 24 == 0xff);
	if (w0 >> 22 == 0xfe80u >> 6)
		return 1;
	return egress_is_node_addr(dst) || egress_on_link(sandbox, dst);
}

static __always_inline int egress_judge_nd(const struct egress_sandbox *sandbox, const struct egress_packet *p)
{
	const int probing = egress_addr_is_zero(&p->src); /* duplicate address detection, RFC 4862 5.4 */

	if (p->icmp_type == EGRESS_ND_ROUTER_ADVERT || !egress_link_is_own(sandbox, p))
		return EGRESS_REASON_ND_DENIED;
	if (!egress_nd_stays_on_link(sandbox, &p->dst))
		return EGRESS_REASON_ND_DENIED;
	if (!probing && !egress_is_own(sandbox, &p->src))
		return EGRESS_REASON_ND_DENIED;
	if (p->icmp_type == EGRESS_ND_ADVERT && (probing || !egress_is_own(sandbox, &p->nd_target)))
		return EGRESS_REASON_ND_DENIED;
	if (p->icmp_type == EGRESS_ND_SOLICIT && probing && !egress_is_own(sandbox, &p->nd_target))
		return EGRESS_REASON_ND_DENIED;
	return EGRESS_REASON_NEIGHBOUR;
}

/* ---- what an address is ---- */

/*
 * Never-list, then CIDR denies: why the sandbox may not talk to this address whatever a name or a
 * flow says. EGRESS_REASON_NONE: go on. A NAT64 address stands for the IPv4 address inside it too.
 */
static __always_inline int egress_forbidden(const struct egress_sandbox *sandbox, const struct egress_cidr_rule *cidr,
					    const struct egress_flow_key *key, __u32 *rule)
{
	const int never = egress_never(&key->remote);

	if ((never || egress_is_node_addr(&key->remote)) &&
	    !(cidr && egress_ports_allow(cidr->narrow_ports, key->protocol, key->remote_port)))
		return never ? EGRESS_REASON_NEVER_LIST : EGRESS_REASON_NODE_ADDRESS;
	if (egress_cidr_denies(cidr, key)) {
		*rule = cidr->deny_rule;
		return EGRESS_REASON_CIDR_DENIED;
	}
	if (egress_is_nat64(&key->remote)) {
		struct egress_addr inner;
		const struct egress_cidr_rule *inner_cidr;

		egress_addr_from_v4(&inner, key->remote.word[3]);
		if (egress_is_node_addr(&inner))
			return EGRESS_REASON_NODE_ADDRESS;
		inner_cidr = egress_cidr_of(sandbox, &inner);
		if (egress_cidr_denies(inner_cidr, key)) {
			*rule = inner_cidr->deny_rule;
			return EGRESS_REASON_CIDR_DENIED;
		}
	}
	return EGRESS_REASON_NONE;
}

/* May this peer open a connection to the sandbox? */
static __always_inline int egress_inbound_allowed(const struct egress_sandbox *sandbox,
						  const struct egress_cidr_rule *cidr,
						  const struct egress_flow_key *key)
{
	if (cidr && egress_ports_allow(cidr->inbound_ports, key->protocol, key->local_port))
		return 1;
	if (key->protocol != IPPROTO_TCP && key->protocol != IPPROTO_UDP)
		return 0;
	if (sandbox->inbound & EGRESS_INBOUND_LINK && egress_on_link(sandbox, &key->remote))
		return 1;
	/* Probes: TCP from the node itself. */
	return key->protocol == IPPROTO_TCP && egress_is_node_addr(&key->remote);
}

/* ---- flows ---- */

/*
 * A flow of an older generation, under the image of now. EGRESS_REASON_NONE: it may go on and
 * carries the new generation.
 */
EGRESS_SUBPROG int egress_judge_flow_again(const struct egress_sandbox *sandbox, const struct egress_flow_key *key,
					   struct egress_flow *flow)
{
	const struct egress_cidr_rule *cidr;
	__u32 rule;

	if (!sandbox || !key || !flow)
		return EGRESS_REASON_POLICY_CHANGED;
	rule = flow->rule;
	cidr = egress_cidr_of(sandbox, &key->remote);
	if (egress_flow_basis(flow) == EGRESS_BASIS_INBOUND) {
		if (egress_cidr_denies(cidr, key))
			return EGRESS_REASON_CIDR_DENIED;
		if (!egress_inbound_allowed(sandbox, cidr, key))
			return EGRESS_REASON_POLICY_CHANGED;
	} else {
		const int reason = egress_forbidden(sandbox, cidr, key, &rule);

		if (reason != EGRESS_REASON_NONE)
			return reason;
		if (egress_flow_basis(flow) == EGRESS_BASIS_GRANT) {
			const struct egress_name_ok *ok =
				egress_name_ok_of(sandbox, flow->name, flow->name ? 0 : rule);

			if (!ok || !egress_ports_allow(ok->port_set, key->protocol, key->remote_port))
				return EGRESS_REASON_POLICY_CHANGED;
			rule = ok->rule;
		} else {
			if (!cidr || !egress_ports_allow(cidr->allow_ports, key->protocol, key->remote_port))
				return EGRESS_REASON_POLICY_CHANGED;
			rule = cidr->allow_rule;
		}
	}
	flow->rule = rule;
	flow->generation = sandbox->min_generation;
	return EGRESS_REASON_NONE;
}

/* EGRESS_REASON_NONE: the flow is live and allowed by the policy of now. */
static __always_inline int egress_judge_flow(const struct egress_sandbox *sandbox, const struct egress_flow_key *key,
					     struct egress_flow *flow, __u64 now_mono_ns)
{
	if (!egress_flow_alive(sandbox, key, flow, now_mono_ns))
		return EGRESS_REASON_FLOW_EXPIRED;
	if (flow->generation < sandbox->min_generation)
		return egress_judge_flow_again(sandbox, key, flow);
	return EGRESS_REASON_NONE;
}

/* Does an ICMP error quote a live flow? basis: only one of this basis, or EGRESS_BASIS_NONE for any. */
static __always_inline int egress_quotes_flow(const struct egress_sandbox *sandbox, const struct egress_packet *p,
					      int basis, __u64 now_mono_ns)
{
	struct egress_flow *flow;

	if (!p->quotes)
		return 0;
	flow = egress_flow_of(sandbox, &p->quote);
	return flow && (basis == EGRESS_BASIS_NONE || egress_flow_basis(flow) == basis) &&
	       egress_judge_flow(sandbox, &p->quote, flow, now_mono_ns) == EGRESS_REASON_NONE;
}

/* ---- grants ---- */

/* The verdict comes in as a drop for NOT_GRANTED; it leaves as EGRESS_OPEN or with the nearest reason. */
static __always_inline void egress_judge_grant(const struct egress_sandbox *sandbox, const struct egress_flow_key *key,
					       struct egress_verdict *verdict)
{
	const struct egress_grant *grant = egress_grant_of(sandbox, &key->remote);
	const __u64 now = egress_boot_ns();
	int i;

	if (!grant)
		return;
	for (i = 0; i < EGRESS_GRANT_SLOTS; i++) {
		const struct egress_grant_slot *slot = &grant->slots[i];
		__u32 ports = slot->port_set;
		__u32 rule = slot->rule;

		if (slot->deadline_boot_ns == 0)
			continue;
		if (slot->deadline_boot_ns <= now) {
			if (verdict->reason == EGRESS_REASON_NOT_GRANTED)
				egress_blame(verdict, EGRESS_REASON_GRANT_EXPIRED, rule, slot->name);
			continue;
		}
		if (slot->generation < sandbox->min_generation) {
			const struct egress_name_ok *ok =
				egress_name_ok_of(sandbox, slot->name, slot->name ? 0 : rule);

			if (!ok) {
				egress_blame(verdict, EGRESS_REASON_POLICY_CHANGED, rule, slot->name);
				continue;
			}
			ports = ok->port_set;
			rule = ok->rule;
		}
		if (egress_ports_allow(ports, key->protocol, key->remote_port)) {
			egress_admit(verdict, EGRESS_REASON_ALLOWED_BY_NAME, EGRESS_BASIS_GRANT, rule, slot->name);
			return;
		}
		egress_blame(verdict, EGRESS_REASON_PORT_DENIED, rule, slot->name);
	}
}

/* ---- the two directions ---- */

/* Can this packet be the first of a flow? Everything else needs one that exists. */
static __always_inline int egress_may_open(const struct egress_packet *p)
{
	if (p->protocol == IPPROTO_TCP)
		return (p->tcp_flags & (EGRESS_TCP_SYN | EGRESS_TCP_ACK)) == EGRESS_TCP_SYN;
	return p->protocol == IPPROTO_UDP || egress_is_echo_request(p);
}

/*
 * Can this packet belong to a flow that exists? A SYN is judged anew; of ICMP only echo has flows:
 * any other type has no identifier, and would pass for an echo flow of identifier 0.
 */
static __always_inline int egress_may_continue(const struct egress_packet *p)
{
	if (p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6)
		return egress_is_echo_request(p) || egress_is_echo_reply(p);
	return p->protocol != IPPROTO_TCP || !egress_may_open(p);
}

/* A SYN that also closes is no SYN: RFC 9293 never sends one. */
static __always_inline int egress_flags_absurd(const struct egress_packet *p)
{
	return p->protocol == IPPROTO_TCP && p->tcp_flags & EGRESS_TCP_SYN &&
	       p->tcp_flags & (EGRESS_TCP_FIN | EGRESS_TCP_RST);
}

/* Who sends it, and is it for the proxy? 1: judged; 0: go on. */
EGRESS_SUBPROG int egress_judge_sender(const struct egress_sandbox *sandbox, const struct egress_packet *p,
				       struct egress_verdict *verdict)
{
	if (!sandbox || !p || !verdict)
		return 1;
	if (p->kind != EGRESS_KIND_IP) {
		const int reason =
			p->kind == EGRESS_KIND_ARP ? egress_judge_arp(sandbox, p) : egress_judge_nd(sandbox, p);

		if (reason == EGRESS_REASON_NEIGHBOUR)
			egress_pass(verdict, reason);
		else
			egress_drop(verdict, reason);
		return 1;
	}
	if (sandbox->mode == EGRESS_MODE_LOCKDOWN) {
		egress_drop(verdict, EGRESS_REASON_LOCKDOWN);
		return 1;
	}
	if (!egress_mac_equal(p->src_mac, sandbox->mac)) {
		egress_drop(verdict, EGRESS_REASON_SPOOFED_MAC);
		return 1;
	}
	if (!egress_is_own(sandbox, &p->src)) {
		egress_drop(verdict, EGRESS_REASON_SPOOFED_ADDRESS);
		return 1;
	}
	if (egress_flags_absurd(p)) {
		egress_drop(verdict, EGRESS_REASON_BAD_HEADER);
		return 1;
	}
	if ((p->protocol == IPPROTO_UDP || p->protocol == IPPROTO_TCP) && egress_load_be16(&p->dst_port) == 53) {
		verdict->action = EGRESS_STEER;
		verdict->reason = EGRESS_REASON_DNS_STEERED;
		return 1;
	}
	return 0;
}

/*
 * No flow lets the packet out: may it open one? flow_reason: why a flow that it belongs to did not,
 * or EGRESS_REASON_NONE when there is none.
 */
EGRESS_SUBPROG int egress_judge_first(const struct egress_sandbox *sandbox, const struct egress_packet *p,
				      const struct egress_flow_key *key, int flow_reason,
				      struct egress_verdict *verdict)
{
	const struct egress_cidr_rule *cidr;
	int reason;

	if (!sandbox || !p || !key || !verdict)
		return 0;
	cidr = egress_cidr_of(sandbox, &key->remote);
	reason = egress_forbidden(sandbox, cidr, key, &verdict->rule);
	if (reason != EGRESS_REASON_NONE) {
		egress_drop(verdict, reason);
		return 0;
	}
	if (!egress_may_open(p)) {
		if (p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6)
			egress_drop(verdict, EGRESS_REASON_ICMP_DENIED);
		else
			egress_drop(verdict, flow_reason ? flow_reason : EGRESS_REASON_NO_FLOW);
		return 0;
	}
	egress_drop(verdict, EGRESS_REASON_NOT_GRANTED);
	egress_judge_grant(sandbox, key, verdict);
	if (verdict->action == EGRESS_OPEN || !cidr)
		return 0;
	if (egress_ports_allow(cidr->allow_ports, key->protocol, key->remote_port))
		egress_admit(verdict, EGRESS_REASON_ALLOWED_BY_CIDR, EGRESS_BASIS_CIDR, cidr->allow_rule, 0);
	else if (cidr->allow_ports != EGRESS_PORTS_NONE && verdict->reason == EGRESS_REASON_NOT_GRANTED)
		egress_blame(verdict, EGRESS_REASON_PORT_DENIED, cidr->allow_rule, 0);
	return 0;
}

/*
 * Judges a packet from the sandbox that parse.h found well shaped. *verdict and *key must be zero.
 * Returns the live flow that lets it pass, which the caller notes it in; 0: there is none.
 */
static __always_inline struct egress_flow *egress_judge_out(const struct egress_sandbox *sandbox,
							    const struct egress_packet *p, struct egress_flow_key *key,
							    __u64 now_mono_ns, struct egress_verdict *verdict)
{
	struct egress_flow *flow;
	int flow_reason = EGRESS_REASON_NONE;

	if (egress_judge_sender(sandbox, p, verdict))
		return 0;
	egress_flow_key_of(p, 1, key);
	flow = egress_may_continue(p) ? egress_flow_of(sandbox, key) : 0;
	if (flow) {
		flow_reason = egress_judge_flow(sandbox, key, flow, now_mono_ns);
		if (flow_reason == EGRESS_REASON_NONE) {
			egress_pass(verdict, egress_flow_basis(flow) == EGRESS_BASIS_INBOUND ? EGRESS_REASON_INBOUND_REPLY :
										    EGRESS_REASON_KNOWN_FLOW);
			return flow;
		}
		egress_blame(verdict, flow_reason, flow->rule, flow->name);
	}
	/* An ICMP error goes out only about a packet that somebody outside sent in a flow he was let open. */
	if (egress_is_icmp_error(p) && egress_addr_equal(&p->quote.remote, &key->remote) &&
	    egress_quotes_flow(sandbox, p, EGRESS_BASIS_INBOUND, now_mono_ns)) {
		egress_pass(verdict, EGRESS_REASON_ICMP_RELATED);
		return 0;
	}
	egress_judge_first(sandbox, p, key, flow_reason, verdict);
	return 0;
}

/* A packet towards the sandbox that belongs to no live flow. */
EGRESS_SUBPROG int egress_judge_unsolicited(const struct egress_sandbox *sandbox, const struct egress_packet *p,
					    const struct egress_flow_key *key, struct egress_verdict *verdict)
{
	const struct egress_cidr_rule *cidr;

	if (!sandbox || !p || !key || !verdict)
		return 0;
	if (verdict->reason == EGRESS_REASON_NONE) /* else: why the flow that it belongs to keeps it out */
		egress_drop(verdict, EGRESS_REASON_INBOUND_DENIED);
	if (!egress_may_open(p) || !egress_is_own(sandbox, &p->dst))
		return 0;
	cidr = egress_cidr_of(sandbox, &key->remote);
	if (egress_cidr_denies(cidr, key))
		egress_blame(verdict, EGRESS_REASON_CIDR_DENIED, cidr->deny_rule, 0);
	else if (egress_inbound_allowed(sandbox, cidr, key))
		egress_admit(verdict, EGRESS_REASON_INBOUND_ALLOWED, EGRESS_BASIS_INBOUND,
			     cidr ? cidr->inbound_rule : 0, 0);
	return 0;
}

/*
 * Judges a packet towards the sandbox that parse.h found well shaped; answers of the DNS proxy do
 * not come here. *verdict and *key must be zero. Returns as egress_judge_out.
 */
static __always_inline struct egress_flow *egress_judge_in(const struct egress_sandbox *sandbox,
							   const struct egress_packet *p, struct egress_flow_key *key,
							   __u64 now_mono_ns, struct egress_verdict *verdict)
{
	struct egress_flow *flow;

	if (p->kind != EGRESS_KIND_IP) {
		if (p->kind == EGRESS_KIND_ND && p->icmp_type == EGRESS_ND_ROUTER_SOLICIT)
			egress_drop(verdict, EGRESS_REASON_ND_DENIED);
		else
			egress_pass(verdict, EGRESS_REASON_NEIGHBOUR);
		return 0;
	}
	if (sandbox->mode == EGRESS_MODE_LOCKDOWN) {
		egress_drop(verdict, EGRESS_REASON_LOCKDOWN);
		return 0;
	}
	if (egress_flags_absurd(p)) {
		egress_drop(verdict, EGRESS_REASON_BAD_HEADER);
		return 0;
	}
	egress_flow_key_of(p, 0, key);
	flow = egress_may_continue(p) ? egress_flow_of(sandbox, key) : 0;
	if (flow) {
		const int reason = egress_judge_flow(sandbox, key, flow, now_mono_ns);

		if (reason == EGRESS_REASON_NONE) {
			egress_pass(verdict, EGRESS_REASON_KNOWN_FLOW);
			return flow;
		}
		egress_blame(verdict, reason, flow->rule, flow->name);
		if (!egress_may_open(p))
			return 0;
	}
	if (egress_is_icmp_error(p)) {
		/* Any router on the path may send it, so its source proves nothing; the quote must name a live flow. */
		if (!egress_quotes_flow(sandbox, p, EGRESS_BASIS_NONE, now_mono_ns))
			egress_drop(verdict, EGRESS_REASON_ICMP_DENIED);
		else if (egress_icmp_budget(sandbox, now_mono_ns))
			egress_pass(verdict, EGRESS_REASON_ICMP_RELATED);
		else
			egress_drop(verdict, EGRESS_REASON_ICMP_RATE);
		return 0;
	}
	egress_judge_unsolicited(sandbox, p, key, verdict);
	return 0;
}

#endif
