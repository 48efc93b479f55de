/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a verdict leaves behind: exact counters, a sampled event, the flow it begins or ends.
 *
 * A known flow's packets are counted in the per-CPU state of the sandbox, which costs an array
 * look-up; every other verdict in the counters map, by reason.
 */
#ifndef POSTERN_BPF_RECORD_H
#define POSTERN_BPF_RECORD_H

#include <bpf/bpf_helpers.h>

#include "lookups.h"

EGRESS_SUBPROG int egress_count(__u32 sandbox, __u8 reason, __u8 direction, __u32 length)
{
	const struct egress_counter_key key = {.sandbox = sandbox, .reason = reason, .direction = direction};
	const struct egress_counter first = {.packets = 0, .bytes = 0};
	struct egress_counter *counter = bpf_map_lookup_elem(&counters, &key);

	if (!counter) {
		bpf_map_update_elem(&counters, &key, &first, BPF_NOEXIST);
		counter = bpf_map_lookup_elem(&counters, &key);
		if (!counter)
			return 0;
	}
	counter->packets += 1;
	counter->bytes += length;
	return 0;
}

/* One event, within the sandbox's rate; what is not sent is counted in the next one that is. */
EGRESS_SUBPROG int egress_emit(struct __sk_buff *skb, const struct egress_sandbox *sandbox,
			       const struct egress_packet *p, const struct egress_verdict *verdict, __u8 direction)
{
	struct egress_sandbox_state *state;
	struct egress_event *event;

	if (!sandbox || !p || !verdict)
		return 0;
	state = egress_state_of(sandbox);
	if (!state)
		return 0;
	if (!egress_within_rate(&state->event_window_mono_ns, &state->events_in_window, bpf_ktime_get_coarse_ns(),
				EGRESS_EVENTS_PER_S)) {
		state->events_lost += 1;
		return 0;
	}
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		state->events_lost += 1;
		return 0;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->time_boot_ns = bpf_ktime_get_boot_ns();
	event->sandbox = sandbox->id;
	event->ifindex = skb->ifindex;
	event->policy = sandbox->policy;
	event->rule = verdict->rule;
	event->name = verdict->name;
	event->length = p->length;
	event->src = p->src;
	event->dst = p->dst;
	event->src_port = p->src_port;
	event->dst_port = p->dst_port;
	event->ethertype = p->ethertype;
	__builtin_memcpy(event->src_mac, p->src_mac, 6);
	__builtin_memcpy(event->dst_mac, p->dst_mac, 6);
	event->reason = verdict->reason;
	event->direction = direction;
	event->protocol = p->protocol;
	event->tcp_flags = p->tcp_flags;
	event->icmp_type = p->icmp_type;
	event->icmp_code = p->icmp_code;
	event->lost = state->events_lost;
	state->events_lost = 0;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* Begins the flow of an EGRESS_OPEN verdict; when the sandbox has too many, the packet is dropped instead. */
EGRESS_SUBPROG int egress_open(const struct egress_sandbox *sandbox, const struct egress_packet *p,
			       const struct egress_flow_key *key, struct egress_verdict *verdict)
{
	struct egress_flow_key own_key; /* see lookups.h */
	struct egress_flow flow;
	__u32 slot;
	void *own;

	if (!sandbox || !p || !key || !verdict)
		return 0;
	own_key = *key;
	slot = sandbox->slot;
	own = bpf_map_lookup_elem(&flows, &slot);
	egress_flow_begin(&flow, p, verdict, sandbox->min_generation, bpf_ktime_get_coarse_ns());
	if (!own || bpf_map_update_elem(own, &own_key, &flow, BPF_ANY)) {
		verdict->action = EGRESS_DROP;
		verdict->reason = EGRESS_REASON_FLOW_QUOTA;
	}
	return 0;
}

/*
 * A finished flow stays where it is for its last packets, retransmitted ones among them, until
 * EGRESS_CLOSED_MAX more of the same sandbox have finished: they do not use its quota up. One that was opened
 * anew meanwhile has another number, or none, and stays. Two CPUs that write to one place at once lose a key:
 * its flow is swept when it has timed out.
 */
EGRESS_SUBPROG int egress_close(const struct egress_sandbox *sandbox, const struct egress_flow_key *key,
				struct egress_flow *flow)
{
	const __u32 zero = 0;
	struct egress_flow_key oldest;
	struct egress_closed *last;
	__u32 slot, number;
	void *own, *ring;

	if (!sandbox || !key || !flow)
		return 0;
	slot = sandbox->slot;
	own = bpf_map_lookup_elem(&flows, &slot);
	ring = bpf_map_lookup_elem(&closed, &slot);
	last = ring ? bpf_map_lookup_elem(ring, &zero) : 0;
	if (!own || !last)
		return 0;
	number = __sync_fetch_and_add(&last->next, 1);
	flow->closed = number;
	oldest = last->keys[number & (EGRESS_CLOSED_MAX - 1)];
	last->keys[number & (EGRESS_CLOSED_MAX - 1)] = *key;
	flow = bpf_map_lookup_elem(own, &oldest);
	if (flow && egress_flow_over(flow->state) && flow->closed == number - EGRESS_CLOSED_MAX)
		bpf_map_delete_elem(own, &oldest);
	return 0;
}

/* A packet that a live flow lets pass. */
static __always_inline void egress_record_flow(const struct egress_sandbox *sandbox, const struct egress_packet *p,
					       const struct egress_flow_key *key, struct egress_flow *flow,
					       __u8 direction, __u64 now_mono_ns)
{
	struct egress_sandbox_state *state = egress_state_of(sandbox);

	if (egress_flow_note(flow, p, direction == EGRESS_OUT, now_mono_ns))
		egress_close(sandbox, key, flow);
	if (state) {
		state->flow_packets[direction & 1] += 1;
		state->flow_bytes[direction & 1] += p->length;
	}
}

/*
 * What every kernel sends by itself, all the time, on each interface that it has: neighbour discovery, and reports of
 * the multicast groups it listens to (MLDv2, RFC 3810 5.2: to ff02::16, behind a hop-by-hop header; dropped, and no
 * address needs them to be found). The first thing that a user sees in the flow log would be something that nobody
 * tried. So these make no event; the counters have them, under the same reasons as ever.
 */
static __always_inline int egress_is_routine(const struct egress_packet *p, const struct egress_verdict *verdict)
{
	return verdict->reason == EGRESS_REASON_NEIGHBOUR ||
	       (verdict->reason == EGRESS_REASON_EXTENSION_HEADER && p->protocol == IPPROTO_HOPOPTS &&
		egress_word(&p->dst, 0) == 0xff020000u && p->dst.word[1] == 0 && p->dst.word[2] == 0 &&
		egress_word(&p->dst, 3) == 0x16u);
}

/* Any other verdict: opens its flow, counts, tells. Returns 1 when the packet may go on. */
static __always_inline int egress_record(struct __sk_buff *skb, const struct egress_sandbox *sandbox,
					 const struct egress_packet *p, const struct egress_flow_key *key,
					 struct egress_verdict *verdict, __u8 direction)
{
	if (verdict->action == EGRESS_OPEN)
		egress_open(sandbox, p, key, verdict);
	egress_count(sandbox->id, verdict->reason, direction, p->length);
	if (!egress_is_routine(p, verdict))
		egress_emit(skb, sandbox, p, verdict, direction);
	return verdict->action != EGRESS_DROP;
}

#endif
