/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A flow's life: when it is still alive, what a packet does to it, how it begins.
 *
 * Runs in the kernel programs and natively: no helpers, no maps. Only packets from outside renew
 * a flow; the sandbox alone can keep nothing open.
 */
#ifndef POSTERN_BPF_FLOW_H
#define POSTERN_BPF_FLOW_H

#include "layout.h"
#include "parse.h"

#define EGRESS_S 1000000000ull

/*
 * How long a flow lives without a packet from outside. The sandbox's own packets renew nothing.
 * TCP idle: RFC 5382 REQ-5 wants at least 2 h 4 min. UDP idle: RFC 4787 REQ-5 wants at least 2 min.
 * Unanswered: the sandbox talks and nobody answers, so the address may have changed hands; TCP gets
 * long enough to survive an outage of the path.
 */
#define EGRESS_TCP_SYN_NS (30 * EGRESS_S)
#define EGRESS_TCP_IDLE_NS (130 * 60 * EGRESS_S)
#define EGRESS_TCP_UNANSWERED_NS (5 * 60 * EGRESS_S)
#define EGRESS_TCP_CLOSING_NS (60 * EGRESS_S)
#define EGRESS_UDP_FIRST_NS (30 * EGRESS_S)
#define EGRESS_UDP_IDLE_NS (3 * 60 * EGRESS_S)
#define EGRESS_UDP_UNANSWERED_NS (60 * EGRESS_S)

/* Another CPU may have noted a packet after `now` was read: no time has passed then, rather than all of it. */
static __always_inline __u64 egress_since(__u64 then, __u64 now)
{
	return (__s64)(now - then) < 0 ? 0 : now - then;
}

/* Both sides have said that they are done, or one that it broke off. */
static __always_inline int egress_flow_over(__u32 state)
{
	const __u32 both = EGRESS_FLOW_FIN_IN | EGRESS_FLOW_FIN_OUT;

	return state & EGRESS_FLOW_RESET || (state & both) == both;
}

static __always_inline int egress_flow_basis(const struct egress_flow *flow)
{
	return (int)(flow->state >> EGRESS_FLOW_BASIS_SHIFT);
}

static __always_inline int egress_flow_alive(const struct egress_sandbox *sandbox, const struct egress_flow_key *key,
					     const struct egress_flow *flow, __u64 now)
{
	const __u64 last_in = flow->last_in_mono_ns; /* once: another CPU may renew it */
	const __u64 first_unanswered = flow->unanswered_mono_ns;
	const __u64 idle = egress_since(last_in, now);
	const __u64 unanswered = egress_since(last_in, first_unanswered) ? egress_since(first_unanswered, now) : 0;
	const __u32 state = flow->state;

	if (sandbox->flow_age_s_max && egress_since(flow->opened_mono_ns, now) > sandbox->flow_age_s_max * EGRESS_S)
		return 0;
	if (key->protocol == IPPROTO_TCP) {
		if (egress_flow_over(state))
			return idle <= EGRESS_TCP_CLOSING_NS;
		if (!(state & EGRESS_FLOW_ANSWERED))
			return idle <= EGRESS_TCP_SYN_NS;
		return idle <= EGRESS_TCP_IDLE_NS && unanswered <= EGRESS_TCP_UNANSWERED_NS;
	}
	if (!(state & EGRESS_FLOW_ANSWERED))
		return idle <= EGRESS_UDP_FIRST_NS;
	return idle <= EGRESS_UDP_IDLE_NS && unanswered <= EGRESS_UDP_UNANSWERED_NS;
}

enum egress_action {
	EGRESS_DROP = 0, /* zero, so that a forgotten assignment is safe */
	EGRESS_FORWARD = 1,
	EGRESS_STEER = 2,
	EGRESS_OPEN = 3, /* forward, and begin a flow with the verdict's basis */
};

struct egress_verdict {
	__u8 action; /* enum egress_action */
	__u8 reason; /* enum egress_reason */
	__u8 basis;  /* enum egress_basis */
	__u8 pad;
	__u32 rule;
	__u32 name;
};

/*
 * Notes a packet in its live flow. Two CPUs may do so at once: state bits are set atomically, the
 * rest is a time or a sum that loses at most one packet's worth.
 * Returns 1 when it is the packet upon which the flow is over.
 */
static __always_inline int egress_flow_note(struct egress_flow *flow, const struct egress_packet *p, int out,
					    __u64 now_mono_ns)
{
	__u32 bits = 0;
	__u32 before;

	if (out) {
		if (!egress_since(flow->last_in_mono_ns, flow->unanswered_mono_ns) &&
		    egress_since(flow->last_in_mono_ns, now_mono_ns))
			flow->unanswered_mono_ns = now_mono_ns;
		flow->packets_out++;
		flow->bytes_out += p->length;
	} else {
		if (flow->last_in_mono_ns != now_mono_ns) /* the clock ticks seldom */
			flow->last_in_mono_ns = now_mono_ns;
		flow->packets_in++;
		flow->bytes_in += p->length;
		bits |= EGRESS_FLOW_ANSWERED;
	}
	if (p->protocol == IPPROTO_TCP) {
		if (p->tcp_flags & EGRESS_TCP_FIN)
			bits |= out ? EGRESS_FLOW_FIN_OUT : EGRESS_FLOW_FIN_IN;
		if (p->tcp_flags & EGRESS_TCP_RST)
			bits |= EGRESS_FLOW_RESET;
	}
	if ((flow->state & bits) == bits)
		return 0;
	before = __sync_fetch_and_or(&flow->state, bits);
	return !egress_flow_over(before) && egress_flow_over(before | bits);
}

/* The flow that an EGRESS_OPEN verdict begins. */
static __always_inline void egress_flow_begin(struct egress_flow *flow, const struct egress_packet *p,
					      const struct egress_verdict *verdict, __u32 generation, __u64 now_mono_ns)
{
	__builtin_memset(flow, 0, sizeof(*flow));
	flow->opened_mono_ns = now_mono_ns;
	flow->last_in_mono_ns = now_mono_ns;
	flow->unanswered_mono_ns = now_mono_ns;
	flow->generation = generation;
	flow->rule = verdict->rule;
	flow->name = verdict->name;
	flow->state = (__u32)verdict->basis << EGRESS_FLOW_BASIS_SHIFT;
	if (verdict->basis == EGRESS_BASIS_INBOUND) {
		flow->state |= EGRESS_FLOW_ANSWERED;
		flow->packets_in = 1;
		flow->bytes_in = p->length;
	} else {
		flow->packets_out = 1;
		flow->bytes_out = p->length;
	}
}

#endif
