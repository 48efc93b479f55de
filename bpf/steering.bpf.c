/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * In the steering namespace: from the source address of a steered frame to a mark.
 *
 * from_sandbox wrote the sandbox's id there. As a mark it reaches the DNS worker with each datagram
 * (SO_RCVMARK) and each connection (net.ipv4.tcp_fwmark_accept), and picks the worker.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "layout.h"

SEC("tc")
int steer_mark(struct __sk_buff *skb)
{
	const struct ethhdr *eth = (const struct ethhdr *)(long)skb->data;
	const __u8 *mac;

	if ((const void *)(eth + 1) > (const void *)(long)skb->data_end)
		return TC_ACT_SHOT;
	mac = eth->h_source;
	if (mac[0] != EGRESS_STEER_MAC0 || mac[1] != EGRESS_STEER_MAC1)
		return TC_ACT_SHOT;
	skb->mark = (__u32)mac[2] << 24 | (__u32)mac[3] << 16 | (__u32)mac[4] << 8 | mac[5];
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
