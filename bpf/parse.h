/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From the bytes of a frame to the facts a verdict needs, or to a reason to drop it.
 *
 * Runs in the kernel programs, the unit tests and the fuzzer alike: no helpers, no maps. Reads a
 * fixed set of offsets only, because what would move them is refused: VLAN tags, IPv4 options,
 * fragments of either family, IPv6 extension headers. Nothing that an ordinary TCP or UDP client
 * sends has them.
 *
 * Sources: RFC 826 (ARP), 791, 8200, 9293, 768, 792, 4443, 4861 and 7527 (neighbour discovery).
 */
#ifndef POSTERN_BPF_PARSE_H
#define POSTERN_BPF_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/types.h>
#include <linux/udp.h>

#include "address.h"
#include "layout.h"
#include "reasons.h"

/*
 * Headers as they lie in a frame. The kernel aligns them (NET_IP_ALIGN); natively a frame may begin
 * anywhere.
 */
#ifdef __bpf__
#define EGRESS_ANYWHERE
#else
#define EGRESS_ANYWHERE __attribute__((aligned(1)))
#endif
typedef struct iphdr egress_iphdr EGRESS_ANYWHERE;
typedef struct ipv6hdr egress_ipv6hdr EGRESS_ANYWHERE;
typedef struct tcphdr egress_tcphdr EGRESS_ANYWHERE;
typedef struct udphdr egress_udphdr EGRESS_ANYWHERE;

/* Longest header chain that is read: Ethernet, IPv6, ICMPv6, quoted IPv6, quoted ports. */
#define EGRESS_HEADERS_MAX (14 + 40 + 8 + 40 + 8)

#define EGRESS_TCP_FIN 0x01
#define EGRESS_TCP_SYN 0x02
#define EGRESS_TCP_RST 0x04
#define EGRESS_TCP_ACK 0x10

/* RFC 792 and RFC 4443 type numbers that are looked at. */
#define EGRESS_ICMP4_ECHO_REPLY 0
#define EGRESS_ICMP4_UNREACHABLE 3
#define EGRESS_ICMP4_ECHO 8
#define EGRESS_ICMP4_TIME_EXCEEDED 11
#define EGRESS_ICMP4_PARAMETER 12
#define EGRESS_ICMP6_UNREACHABLE 1
#define EGRESS_ICMP6_PARAMETER 4 /* 1 to 4 are the errors */
#define EGRESS_ICMP6_ECHO 128
#define EGRESS_ICMP6_ECHO_REPLY 129
/* RFC 4861: the neighbour discovery types a sandbox may send are RS, NS and NA; it may receive RA, NS and NA. */
#define EGRESS_ND_ROUTER_SOLICIT 133
#define EGRESS_ND_ROUTER_ADVERT 134
#define EGRESS_ND_SOLICIT 135
#define EGRESS_ND_ADVERT 136
#define EGRESS_ND_OPTION_SOURCE 1
#define EGRESS_ND_OPTION_TARGET 2
#define EGRESS_ND_OPTION_NONCE 14 /* RFC 7527: in duplicate address detection */

/* ARP over Ethernet for IPv4 is 28 bytes; Ethernet pads a frame to 60. */
#define EGRESS_ARP_FRAME_MAX 60

enum egress_kind {
	EGRESS_KIND_IP = 0,
	EGRESS_KIND_ARP = 1,
	EGRESS_KIND_ND = 2,
};

struct egress_packet {
	struct egress_addr src; /* ARP: sender protocol address */
	struct egress_addr dst; /* ARP: target protocol address */
	struct egress_addr nd_target;
	__u32 length; /* of the frame */
	__u16 ethertype; /* host order */
	__be16 src_port; /* TCP, UDP; ICMP echo: the identifier on the side that asks */
	__be16 dst_port;
	__u8 kind; /* enum egress_kind */
	__u8 protocol; /* IPPROTO_* */
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 link_claimed; /* an ND option or ARP names link_addr as the sender's */
	__u8 quotes; /* an ICMP error that quotes the flow `quote` */
	__u8 src_mac[6];
	__u8 dst_mac[6];
	__u8 link_addr[6];
	struct egress_flow_key quote;
};

static __always_inline int egress_is_icmp_error(const struct egress_packet *p)
{
	if (p->protocol == IPPROTO_ICMP)
		return p->icmp_type == EGRESS_ICMP4_UNREACHABLE || p->icmp_type == EGRESS_ICMP4_TIME_EXCEEDED ||
		       p->icmp_type == EGRESS_ICMP4_PARAMETER;
	return p->protocol == IPPROTO_ICMPV6 && p->icmp_type >= EGRESS_ICMP6_UNREACHABLE &&
	       p->icmp_type <= EGRESS_ICMP6_PARAMETER;
}

static __always_inline int egress_is_echo_request(const struct egress_packet *p)
{
	return (p->protocol == IPPROTO_ICMP && p->icmp_type == EGRESS_ICMP4_ECHO) ||
	       (p->protocol == IPPROTO_ICMPV6 && p->icmp_type == EGRESS_ICMP6_ECHO);
}

static __always_inline int egress_is_echo_reply(const struct egress_packet *p)
{
	return (p->protocol == IPPROTO_ICMP && p->icmp_type == EGRESS_ICMP4_ECHO_REPLY) ||
	       (p->protocol == IPPROTO_ICMPV6 && p->icmp_type == EGRESS_ICMP6_ECHO_REPLY);
}

/* ARP for IPv4 over Ethernet, RFC 826. Not the kernel's struct arphdr: its header needs libc. */
#define EGRESS_ARP_HARDWARE_ETHERNET 1
#define EGRESS_ARP_REQUEST 1
#define EGRESS_ARP_REPLY 2

struct egress_arp {
	__u8 hardware[2];
	__u8 protocol[2];
	__u8 hardware_length;
	__u8 protocol_length;
	__u8 operation[2];
	__u8 sender_mac[6];
	__u8 sender_ip[4];
	__u8 target_mac[6];
	__u8 target_ip[4];
};
EGRESS_ASSERT(sizeof(struct egress_arp) == 28, "no padding");

static __always_inline int egress_parse_arp(const void *l3, const void *end, struct egress_packet *p)
{
	const struct egress_arp *arp = (const struct egress_arp *)l3;
	__u16 operation;
	__be32 v4;

	if ((const void *)(arp + 1) > end)
		return EGRESS_REASON_TRUNCATED;
	if (p->length > EGRESS_ARP_FRAME_MAX)
		return EGRESS_REASON_ARP_DENIED; /* room for a message behind the body */
	operation = egress_load_be16(arp->operation);
	if (egress_load_be16(arp->hardware) != EGRESS_ARP_HARDWARE_ETHERNET ||
	    egress_load_be16(arp->protocol) != ETH_P_IP || arp->hardware_length != 6 || arp->protocol_length != 4 ||
	    (operation != EGRESS_ARP_REQUEST && operation != EGRESS_ARP_REPLY))
		return EGRESS_REASON_ARP_DENIED;
	p->kind = EGRESS_KIND_ARP;
	p->link_claimed = 1;
	__builtin_memcpy(p->link_addr, arp->sender_mac, 6);
	__builtin_memcpy(&v4, arp->sender_ip, 4);
	egress_addr_from_v4(&p->src, v4);
	__builtin_memcpy(&v4, arp->target_ip, 4);
	egress_addr_from_v4(&p->dst, v4);
	return EGRESS_REASON_NONE;
}

/*
 * Neighbour discovery with no option, or with one of the two a host sends: its own link address,
 * or the nonce of duplicate address detection. l4_length is the IPv6 payload length.
 */
static __always_inline int egress_parse_nd(const __u8 *icmp, const void *end, __u16 l4_length, struct egress_packet *p)
{
	/* RS has 8 bytes before its options, NS and NA have the target too. */
	const int fixed = p->icmp_type == EGRESS_ND_ROUTER_SOLICIT ? 8 : 24;
	const __u8 *option = icmp + fixed;

	if ((const void *)(icmp + fixed) > end)
		return EGRESS_REASON_TRUNCATED;
	if (fixed == 24)
		egress_addr_copy(&p->nd_target, icmp + 8);
	if (l4_length == fixed)
		return EGRESS_REASON_NONE;
	if (l4_length != fixed + 8)
		return EGRESS_REASON_ND_DENIED;
	if ((const void *)(option + 8) > end)
		return EGRESS_REASON_TRUNCATED;
	if (option[1] != 1) /* in units of 8 bytes */
		return EGRESS_REASON_ND_DENIED;
	if (option[0] == EGRESS_ND_OPTION_NONCE && p->icmp_type == EGRESS_ND_SOLICIT)
		return EGRESS_REASON_NONE;
	if (option[0] != (p->icmp_type == EGRESS_ND_ADVERT ? EGRESS_ND_OPTION_TARGET : EGRESS_ND_OPTION_SOURCE))
		return EGRESS_REASON_ND_DENIED;
	p->link_claimed = 1;
	__builtin_memcpy(p->link_addr, option + 2, 6);
	return EGRESS_REASON_NONE;
}

/*
 * The flow that an ICMP error quotes, into p->quote. A packet quoted by an error that goes to the
 * sandbox was sent by it, and the other way round: `out` says which side of the quote is local.
 */
static __always_inline void egress_parse_quote(const __u8 *quoted, const void *end, int out, struct egress_packet *p)
{
	struct egress_flow_key *key = &p->quote;
	struct egress_addr src, dst;
	__be16 src_port, dst_port;
	const __u8 *ports;

	if (p->ethertype == ETH_P_IP) {
		__be32 v4;

		if ((const void *)(quoted + 20 + 8) > end || quoted[0] != 0x45)
			return;
		__builtin_memcpy(&v4, quoted + 12, 4);
		egress_addr_from_v4(&src, v4);
		__builtin_memcpy(&v4, quoted + 16, 4);
		egress_addr_from_v4(&dst, v4);
		key->protocol = quoted[9];
		ports = quoted + 20;
	} else {
		if ((const void *)(quoted + 40 + 8) > end || quoted[0] >> 4 != 6)
			return;
		egress_addr_copy(&src, quoted + 8);
		egress_addr_copy(&dst, quoted + 24);
		key->protocol = quoted[6];
		ports = quoted + 40;
	}
	if (key->protocol == IPPROTO_TCP || key->protocol == IPPROTO_UDP) {
		__builtin_memcpy(&src_port, ports, 2);
		__builtin_memcpy(&dst_port, ports + 2, 2);
	} else if (key->protocol == p->protocol) {
		__builtin_memcpy(&src_port, ports + 4, 2); /* echo: the identifier is the asking side's port */
		dst_port = 0;
	} else {
		return;
	}
	key->local = out ? dst : src;
	key->remote = out ? src : dst;
	key->local_port = out ? dst_port : src_port;
	key->remote_port = out ? src_port : dst_port;
	p->quotes = 1;
}

/* l4 with l4_length bytes by the IP header; the frame may hold fewer of them in its linear part. */
static __always_inline int egress_parse_l4(const __u8 *l4, const void *end, __u32 l4_length, __u8 hop_limit, int out,
					   struct egress_packet *p)
{
	if (p->protocol == IPPROTO_TCP) {
		const egress_tcphdr *tcp = (const egress_tcphdr *)l4;

		if (l4_length < sizeof(*tcp) || (const void *)(tcp + 1) > end)
			return EGRESS_REASON_TRUNCATED;
		if (l4[12] >> 4 < 5) /* data offset, RFC 9293 3.1 */
			return EGRESS_REASON_BAD_HEADER;
		p->src_port = tcp->source;
		p->dst_port = tcp->dest;
		p->tcp_flags = l4[13];
		return EGRESS_REASON_NONE;
	}
	if (p->protocol == IPPROTO_UDP) {
		const egress_udphdr *udp = (const egress_udphdr *)l4;

		if (l4_length < sizeof(*udp) || (const void *)(udp + 1) > end)
			return EGRESS_REASON_TRUNCATED;
		if (egress_load_be16(&udp->len) < sizeof(*udp) || egress_load_be16(&udp->len) > l4_length)
			return EGRESS_REASON_BAD_HEADER;
		p->src_port = udp->source;
		p->dst_port = udp->dest;
		return EGRESS_REASON_NONE;
	}
	if (p->protocol == (p->ethertype == ETH_P_IP ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
		__be16 identifier;

		if (l4_length < 8 || (const void *)(l4 + 8) > end)
			return EGRESS_REASON_TRUNCATED;
		p->icmp_type = l4[0];
		p->icmp_code = l4[1];
		__builtin_memcpy(&identifier, l4 + 4, 2);
		if (egress_is_echo_request(p))
			p->src_port = identifier;
		else if (egress_is_echo_reply(p))
			p->dst_port = identifier;
		if (p->protocol == IPPROTO_ICMPV6 && p->icmp_type >= EGRESS_ND_ROUTER_SOLICIT &&
		    p->icmp_type <= EGRESS_ND_ADVERT) {
			p->kind = EGRESS_KIND_ND;
			if (hop_limit != 255 || p->icmp_code != 0) /* RFC 4861 7.1: it must come from the link */
				return EGRESS_REASON_ND_DENIED;
			if (p->icmp_type == EGRESS_ND_ROUTER_ADVERT)
				return EGRESS_REASON_NONE;
			return egress_parse_nd(l4, end, (__u16)l4_length, p);
		}
		if (egress_is_icmp_error(p))
			egress_parse_quote(l4 + 8, end, out, p);
		return EGRESS_REASON_NONE;
	}
	return EGRESS_REASON_PROTOCOL;
}

static __always_inline int egress_parse_v4(const void *l3, const void *end, int out, struct egress_packet *p)
{
	const egress_iphdr *ip = (const egress_iphdr *)l3;
	const __u8 *bytes = (const __u8 *)l3;
	__u32 total;

	if ((const void *)(ip + 1) > end)
		return EGRESS_REASON_TRUNCATED;
	if (bytes[0] >> 4 != 4)
		return EGRESS_REASON_BAD_HEADER;
	if ((bytes[0] & 0x0f) != 5)
		return (bytes[0] & 0x0f) < 5 ? EGRESS_REASON_BAD_HEADER : EGRESS_REASON_IP_OPTIONS;
	egress_addr_from_v4(&p->src, ip->saddr);
	egress_addr_from_v4(&p->dst, ip->daddr);
	p->protocol = ip->protocol;
	total = egress_load_be16(&ip->tot_len);
	if (total < sizeof(*ip) || total + ETH_HLEN > p->length)
		return EGRESS_REASON_BAD_HEADER;
	if (egress_load_be16(&ip->frag_off) & 0xbfff) /* more fragments, an offset, or the evil bit (RFC 3514) */
		return EGRESS_REASON_FRAGMENT;
	return egress_parse_l4((const __u8 *)(ip + 1), end, total - (__u32)sizeof(*ip), 0, out, p);
}

static __always_inline int egress_parse_v6(const void *l3, const void *end, int out, struct egress_packet *p)
{
	const egress_ipv6hdr *ip = (const egress_ipv6hdr *)l3;
	const __u8 *bytes = (const __u8 *)l3;
	__u32 payload;

	if ((const void *)(ip + 1) > end)
		return EGRESS_REASON_TRUNCATED;
	if (bytes[0] >> 4 != 6)
		return EGRESS_REASON_BAD_HEADER;
	egress_addr_copy(&p->src, &ip->saddr);
	egress_addr_copy(&p->dst, &ip->daddr);
	p->protocol = ip->nexthdr;
	/* A mapped address in an IPv6 header would pass for its IPv4 twin; it is never on the wire (RFC 4291 2.5.5.2). */
	if (egress_is_v4(&p->src) || egress_is_v4(&p->dst))
		return EGRESS_REASON_BAD_HEADER;
	payload = egress_load_be16(&ip->payload_len);
	if (payload + sizeof(*ip) + ETH_HLEN > p->length)
		return EGRESS_REASON_BAD_HEADER;
	switch (ip->nexthdr) {
	case IPPROTO_FRAGMENT:
		return EGRESS_REASON_FRAGMENT;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
	case 139: /* HIP, RFC 7401 */
	case 140: /* Shim6, RFC 5533 */
	case IPPROTO_NONE:
		return EGRESS_REASON_EXTENSION_HEADER;
	default:
		return egress_parse_l4((const __u8 *)(ip + 1), end, payload, ip->hop_limit, out, p);
	}
}

/*
 * Reads the frame at [data, end), of which `length` bytes exist in all (the rest of it is not
 * linear); out: it comes from the sandbox. Returns EGRESS_REASON_NONE, or why the frame is to be dropped; *p then holds what was
 * read before that, for the event.
 */
static __always_inline int egress_parse(const void *data, const void *end, __u32 length, int vlan, int out,
					struct egress_packet *p)
{
	const struct ethhdr *eth = (const struct ethhdr *)data;

	__builtin_memset(p, 0, sizeof(*p));
	p->length = length;
	if ((const void *)(eth + 1) > end)
		return EGRESS_REASON_TRUNCATED;
	__builtin_memcpy(p->src_mac, eth->h_source, 6);
	__builtin_memcpy(p->dst_mac, eth->h_dest, 6);
	p->ethertype = egress_load_be16(&eth->h_proto);
	if (vlan)
		return EGRESS_REASON_VLAN;
	if (p->ethertype == ETH_P_IP)
		return egress_parse_v4(eth + 1, end, out, p);
	if (p->ethertype == ETH_P_IPV6)
		return egress_parse_v6(eth + 1, end, out, p);
	if (p->ethertype == ETH_P_ARP)
		return egress_parse_arp(eth + 1, end, p);
	if (p->ethertype == ETH_P_8021Q || p->ethertype == ETH_P_8021AD)
		return EGRESS_REASON_VLAN;
	return EGRESS_REASON_ETHERTYPE;
}

/* The flow of a packet from (out) or to the sandbox. */
static __always_inline void egress_flow_key_of(const struct egress_packet *p, int out, struct egress_flow_key *key)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->local = out ? p->src : p->dst;
	key->remote = out ? p->dst : p->src;
	key->local_port = out ? p->src_port : p->dst_port;
	key->remote_port = out ? p->dst_port : p->src_port;
	key->protocol = p->protocol;
}

#endif
