/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The gate: the tc programs on the host side of a sandbox's interface, and the one that brings the
 * DNS proxy's answers back.
 *
 * from_sandbox (ingress of the host interface) is the boundary and suffices alone. to_sandbox
 * (egress) opens inbound flows and renews flows. from_steering (ingress of the node's end of the
 * steering link) sends answers to the sandbox they are for.
 * Each fetches, asks verdict.h, records, returns. What goes on leaves with TC_ACT_UNSPEC, which is
 * also TCX_NEXT: TC_ACT_OK would skip the programs of the CNI behind ours.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "record.h"

#define EGRESS_NEXT TC_ACT_UNSPEC

/* What is read of the kernel's own packet; its places come from the running kernel's BTF. */
struct sk_buff___checksum {
	unsigned char *head;
	unsigned char *data;
	__u16 csum_start; /* from head */
	__u16 csum_offset;
	__u8 ip_summed : 2;
} __attribute__((preserve_access_index));

#define EGRESS_CHECKSUM_PARTIAL 3 /* linux/skbuff.h */

extern void *bpf_cast_to_kern_ctx(void *ctx) __weak __ksym; /* kernel 6.2 */

/* Reads the headers as far as they lie in the linear part of the frame. */
EGRESS_SUBPROG int egress_read_linear(struct __sk_buff *skb, int out, struct egress_packet *p)
{
	if (!p)
		return EGRESS_REASON_TRUNCATED;
	return egress_parse((void *)(long)skb->data, (void *)(long)skb->data_end, skb->len, skb->vlan_present, out, p);
}

/*
 * Reads the frame's headers, wherever its sender left them. Pulling copies a TCP segment whose clone
 * waits for its acknowledgement (a microsecond), so it is done only when something is missing, which
 * it never is of what a TCP or UDP socket sends.
 */
static __always_inline int egress_read(struct __sk_buff *skb, int out, struct egress_packet *p)
{
	const __u32 want = skb->len < EGRESS_HEADERS_MAX ? skb->len : EGRESS_HEADERS_MAX;
	int reason = egress_read_linear(skb, out, p);

	if (reason != EGRESS_REASON_TRUNCATED && (!egress_is_icmp_error(p) || p->quotes))
		return reason;
	if ((void *)(long)skb->data + want <= (void *)(long)skb->data_end || bpf_skb_pull_data(skb, want))
		return reason;
	return egress_read_linear(skb, out, p);
}

/* To the DNS proxy: the frame crosses into the steering namespace with the sandbox's id as its source. */
static __always_inline int egress_steer(struct __sk_buff *skb, const struct egress_sandbox *sandbox)
{
	const __u32 zero = 0;
	const struct egress_settings *set = bpf_map_lookup_elem(&settings, &zero);
	__u8 macs[12];

	if (!set || !set->steer_ifindex)
		return TC_ACT_SHOT;
	__builtin_memcpy(macs, set->steer_mac, 6);
	macs[6] = EGRESS_STEER_MAC0;
	macs[7] = EGRESS_STEER_MAC1;
	macs[8] = (__u8)(sandbox->id >> 24);
	macs[9] = (__u8)(sandbox->id >> 16);
	macs[10] = (__u8)(sandbox->id >> 8);
	macs[11] = (__u8)sandbox->id;
	if (bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0))
		return TC_ACT_SHOT;
	return bpf_redirect(set->steer_ifindex, 0);
}

/*
 * Is the checksum that the sandbox left to others where a checksum of this packet belongs?
 *
 * A sender with a packet socket or a virtual network card says where the sum is to be written, and
 * whoever computes it (the node's uplink, after the verdict) writes there: two bytes of the sandbox's
 * choice over the port, the IPv6 address or the next header that was judged. Kernel 6.2 lets a
 * program look at what it said (bpf_cast_to_kern_ctx); before that nothing does.
 */
static __always_inline int egress_checksum_sound(struct __sk_buff *ctx, const struct egress_packet *p)
{
	const struct sk_buff___checksum *skb;
	int offset, start;

	if (!bpf_ksym_exists(bpf_cast_to_kern_ctx))
		return 1;
	skb = bpf_cast_to_kern_ctx(ctx);
	if (BPF_CORE_READ_BITFIELD(skb, ip_summed) != EGRESS_CHECKSUM_PARTIAL)
		return 1;
	start = (int)skb->csum_start - (int)((long)skb->data - (long)skb->head);
	offset = skb->csum_offset;
	if (start != ETH_HLEN + (p->ethertype == ETH_P_IP ? 20 : 40))
		return 0;
	if (p->protocol == IPPROTO_TCP)
		return offset == 16;
	if (p->protocol == IPPROTO_UDP)
		return offset == 6;
	return offset == 2 && (p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6);
}

SEC("tc")
int from_sandbox(struct __sk_buff *skb)
{
	const __u32 ifindex = skb->ifindex;
	const struct egress_sandbox *sandbox = bpf_map_lookup_elem(&sandboxes, &ifindex);
	const __u64 now = bpf_ktime_get_coarse_ns();
	struct egress_verdict verdict = {};
	struct egress_flow_key key = {};
	struct egress_flow *flow = 0;
	struct egress_packet p = {};
	int reason = egress_read(skb, 1, &p);

	if (!sandbox) {
		egress_count(0, EGRESS_REASON_NO_SANDBOX, EGRESS_OUT, skb->len);
		return TC_ACT_SHOT;
	}
	if (reason == EGRESS_REASON_NONE && !egress_checksum_sound(skb, &p))
		reason = EGRESS_REASON_BAD_HEADER;
	if (reason == EGRESS_REASON_NONE)
		flow = egress_judge_out(sandbox, &p, &key, now, &verdict);
	else
		egress_drop(&verdict, reason);
	if (flow) {
		egress_record_flow(sandbox, &p, &key, flow, EGRESS_OUT, now);
		return EGRESS_NEXT;
	}
	if (verdict.action == EGRESS_STEER) {
		const int redirected = egress_steer(skb, sandbox);

		if (redirected == TC_ACT_REDIRECT) {
			egress_count(sandbox->id, EGRESS_REASON_DNS_STEERED, EGRESS_OUT, skb->len);
			return redirected;
		}
		egress_drop(&verdict, EGRESS_REASON_STEER_FAILED);
	}
	return egress_record(skb, sandbox, &p, &key, &verdict, EGRESS_OUT) ? EGRESS_NEXT : TC_ACT_SHOT;
}

SEC("tc")
int to_sandbox(struct __sk_buff *skb)
{
	const __u32 ifindex = skb->ifindex;
	const __u32 zero = 0;
	const struct egress_settings *set = bpf_map_lookup_elem(&settings, &zero);
	const struct egress_sandbox *sandbox = bpf_map_lookup_elem(&sandboxes, &ifindex);
	const __u64 now = bpf_ktime_get_coarse_ns();
	struct egress_verdict verdict = {};
	struct egress_flow_key key = {};
	struct egress_flow *flow = 0;
	struct egress_packet p = {};
	int reason;

	if (!sandbox) {
		egress_count(0, EGRESS_REASON_NO_SANDBOX, EGRESS_IN, skb->len);
		return TC_ACT_SHOT;
	}
	/* The kernel sets the incoming interface where a packet enters the node: nobody outside can pose as the proxy. */
	if (set && set->steer_ifindex && skb->ingress_ifindex == set->steer_ifindex &&
	    sandbox->mode != EGRESS_MODE_LOCKDOWN) {
		egress_count(sandbox->id, EGRESS_REASON_DNS_ANSWER, EGRESS_IN, skb->len);
		return EGRESS_NEXT;
	}
	reason = egress_read(skb, 0, &p);
	if (reason == EGRESS_REASON_NONE)
		flow = egress_judge_in(sandbox, &p, &key, now, &verdict);
	else
		egress_drop(&verdict, reason);
	if (flow) {
		egress_record_flow(sandbox, &p, &key, flow, EGRESS_IN, now);
		return EGRESS_NEXT;
	}
	return egress_record(skb, sandbox, &p, &key, &verdict, EGRESS_IN) ? EGRESS_NEXT : TC_ACT_SHOT;
}

SEC("tc")
int from_steering(struct __sk_buff *skb)
{
	const struct egress_sandbox *sandbox;
	struct egress_packet p = {};
	const __u32 *ifindex;
	__u8 macs[12];

	if (egress_read(skb, 0, &p) != EGRESS_REASON_NONE || p.kind != EGRESS_KIND_IP ||
	    egress_load_be16(&p.src_port) != 53)
		goto lost;
	ifindex = bpf_map_lookup_elem(&sandbox_addrs, &p.dst);
	if (!ifindex)
		goto lost;
	sandbox = bpf_map_lookup_elem(&sandboxes, ifindex);
	if (!sandbox)
		goto lost;
	__builtin_memcpy(macs, sandbox->mac, 6);
	__builtin_memcpy(macs + 6, sandbox->host_mac, 6);
	if (bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0))
		goto lost;
	return bpf_redirect(*ifindex, 0);
lost:
	egress_count(0, EGRESS_REASON_STEER_NO_SANDBOX, EGRESS_IN, skb->len);
	return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
