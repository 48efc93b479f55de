/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Questions about one address: its family, the never-list, prefixes, whose it is.
 *
 * Runs in the kernel programs and natively: no helpers, no maps. The never-list is compiled in
 * here, so that nothing a daemon writes can open it; the node's own addresses, which change, are
 * in the map node_addrs.
 */
#ifndef POSTERN_BPF_ADDRESS_H
#define POSTERN_BPF_ADDRESS_H

#include <linux/types.h>

#include "layout.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

static __always_inline __u16 egress_load_be16(const void *bytes)
{
	const __u8 *b = (const __u8 *)bytes;

	return (__u16)((__u16)(b[0] << 8) | b[1]);
}

static __always_inline void egress_addr_from_v4(struct egress_addr *out, __be32 v4)
{
	out->word[0] = 0;
	out->word[1] = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	out->word[2] = 0xffff0000u;
#else
	out->word[2] = 0x0000ffffu;
#endif
	out->word[3] = v4;
}

static __always_inline __u32 egress_word(const struct egress_addr *a, int i) /* host order */
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap32(a->word[i]);
#else
	return a->word[i];
#endif
}

static __always_inline int egress_is_v4(const struct egress_addr *a)
{
	return a->word[0] == 0 && a->word[1] == 0 && egress_word(a, 2) == 0xffffu;
}

static __always_inline void egress_addr_copy(struct egress_addr *out, const void *bytes)
{
	__builtin_memcpy(out, bytes, sizeof(*out));
}

static __always_inline int egress_addr_equal(const struct egress_addr *a, const struct egress_addr *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

/* The never-list for an IPv4 address in host order: reachable only by a CIDR rule inside one of these. */
static __always_inline int egress_never_v4(__u32 v4)
{
	return v4 >> 24 == 0 ||               /* 0.0.0.0/8 "this network", RFC 1122 3.2.1.3 */
	       v4 >> 24 == 127 ||             /* loopback */
	       v4 >> 16 == 0xa9fe ||          /* 169.254.0.0/16 link-local: metadata services live here */
	       v4 >> 28 >= 0xe ||             /* 224.0.0.0/3 multicast, reserved, broadcast */
	       v4 == 0xa83f8110u ||           /* 168.63.129.16 platform endpoint of one cloud */
	       v4 == 0x646464c8u;             /* 100.100.100.200 metadata of another */
}

/* 64:ff9b::/96, RFC 6052: DNS64 networks give such addresses for ordinary names. */
static __always_inline int egress_is_nat64(const struct egress_addr *a)
{
	return egress_word(a, 0) == 0x0064ff9bu && a->word[1] == 0 && a->word[2] == 0;
}

/* The never-list for either family, without the node's own addresses. */
static __always_inline int egress_never(const struct egress_addr *a)
{
	const __u32 w0 = egress_word(a, 0), w1 = egress_word(a, 1), w2 = egress_word(a, 2), w3 = egress_word(a, 3);

	if (egress_is_v4(a) || egress_is_nat64(a))
		return egress_never_v4(w3);
	return (w0 == 0 && w1 == 0 && w2 == 0) || /* ::/96 unspecified, loopback, v4-compatible */
	       w0 >> 22 == 0xfe80u >> 6 ||         /* fe80::/10 link-local */
	       w0 >> 22 == 0xfec0u >> 6 ||         /* fec0::/10 site-local, RFC 3879 */
	       w0 >> 24 == 0xff ||                /* ff00::/8 multicast */
	       w0 >> 16 == 0x2002 ||              /* 2002::/16 6to4 carries any IPv4 address */
	       w0 == 0x20010000u ||               /* 2001::/32 Teredo, likewise */
	       (w0 == 0x0064ff9bu && w1 >> 16 == 1) || /* 64:ff9b:1::/48 local NAT64, RFC 8215 */
	       (w2 & 0xfcffffffu) == 0x00005efeu || /* ISATAP, RFC 5214 6.1 */
	       w0 == 0xfd000ec2u ||               /* fd00:ec2::/32 metadata of one cloud */
	       (w0 == 0xfd2000ceu && w1 == 0);    /* fd20:ce::/64 and of another */
}

static __always_inline int egress_in_prefix(const struct egress_addr *a, const struct egress_prefix *prefix)
{
	__u32 bits = prefix->bits;
	int i;

	for (i = 0; i < 4; i++) {
		const __u32 take = bits > 32 ? 32 : bits;
		const __u32 differ = egress_word(a, i) ^ egress_word(&prefix->addr, i);

		if (take == 0)
			return 1;
		if (differ >> (32 - take))
			return 0;
		bits -= take;
	}
	return 1;
}

static __always_inline int egress_on_link(const struct egress_sandbox *sandbox, const struct egress_addr *a)
{
	int i;

	for (i = 0; i < EGRESS_LINK_PREFIXES; i++) {
		if (i >= sandbox->link_prefix_count)
			break;
		if (egress_in_prefix(a, &sandbox->link_prefixes[i]))
			return 1;
	}
	return 0;
}

static __always_inline int egress_is_own(const struct egress_sandbox *sandbox, const struct egress_addr *a)
{
	int i;

	for (i = 0; i < EGRESS_SANDBOX_ADDRS; i++) {
		if (i >= sandbox->addr_count)
			break;
		if (egress_addr_equal(a, &sandbox->addrs[i]))
			return 1;
	}
	return 0;
}

static __always_inline int egress_mac_equal(const __u8 *a, const __u8 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] && a[5] == b[5];
}

static __always_inline int egress_addr_is_zero(const struct egress_addr *a)
{
	return a->word[0] == 0 && a->word[1] == 0 && a->word[2] == 0 && a->word[3] == 0;
}

#endif
