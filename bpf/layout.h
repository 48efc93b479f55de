/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every key, value and event that the kernel programs and the daemons share.
 *
 * The only description of that memory: the kernel programs, the agent, the DNS
 * workers and the tests all include this file, as C for BPF and as C++.
 * Rules: fixed-width types; addresses are 16 bytes in network order, IPv4 in its
 * mapped form (RFC 4291 2.5.5.2); a field in network order has a __be type;
 * padding is named and zero, so that a key compares and hashes by its bytes.
 * Clocks: *_boot_ns is CLOCK_BOOTTIME (bpf_ktime_get_boot_ns), used for what user
 * space writes; *_mono_ns is the coarse monotonic clock (bpf_ktime_get_coarse_ns),
 * used for what the kernel programs alone write.
 */
#ifndef POSTERN_BPF_LAYOUT_H
#define POSTERN_BPF_LAYOUT_H

#include <linux/types.h>

#ifdef __cplusplus
#define EGRESS_ASSERT(cond, text) static_assert(cond, text)
#else
#define EGRESS_ASSERT(cond, text) _Static_assert(cond, text)
#endif

/* Raised by every change of a size or a meaning below. A daemon refuses pinned maps of another one. */
#define EGRESS_LAYOUT_VERSION 2

/* Limits. Each map below names the one that bounds it. */
#define EGRESS_SANDBOXES_MAX 1024        /* sandboxes of one node */
#define EGRESS_POLICIES_MAX 2048         /* policy images alive at once, old and new together */
#define EGRESS_PORT_SETS_MAX 4096        /* distinct port sets of one node */
#define EGRESS_PORT_RANGES_MAX 32        /* ranges of one port set */
#define EGRESS_CIDRS_MAX 262144          /* prefixes of one policy */
#define EGRESS_GRANTS_MAX 8192           /* addresses that lookups of one sandbox hold open */
#define EGRESS_GRANT_SLOTS 4             /* (name, rule) pairs of one granted address */
#define EGRESS_CLOSED_MAX 1024           /* finished flows of one sandbox that wait for their last packets; a power of two */
#define EGRESS_FLOWS_MAX (8192 + EGRESS_CLOSED_MAX) /* flows of one sandbox */
#define EGRESS_NAMES_MAX 262144          /* names that hold a grant or a flow */
#define EGRESS_NAME_OK_MAX 1048576       /* names re-judged for the policy images alive */
#define EGRESS_NODE_ADDRS_MAX 4096       /* addresses of the node itself */
#define EGRESS_SANDBOX_ADDRS 8           /* addresses of one sandbox */
#define EGRESS_LINK_PREFIXES 4           /* prefixes of a sandbox's link that may connect to it */
#define EGRESS_EVENTS_BYTES (1 << 20)    /* the event ring */
#define EGRESS_COUNTERS_MAX 65536        /* (sandbox, reason, direction) sums */

/* 16 bytes, network order; IPv4 is v4-mapped. */
struct egress_addr {
	__be32 word[4];
};
EGRESS_ASSERT(sizeof(struct egress_addr) == 16, "addresses are 16 bytes");

struct egress_prefix {
	struct egress_addr addr;
	__u32 bits; /* 0 to 128, of the 16-byte form: 10.0.0.0/8 is 104 */
};
EGRESS_ASSERT(sizeof(struct egress_prefix) == 20, "no padding");

/* sandboxes: host interface index -> this. Written by posternd alone; one update swaps the policy. */
enum egress_mode {
	EGRESS_MODE_ENFORCE = 0,
	EGRESS_MODE_LOCKDOWN = 1, /* everything is dropped, live flows too */
};

/* Peers on the link's own prefixes may connect (the default of `postern attach`). */
#define EGRESS_INBOUND_LINK 1

struct egress_sandbox {
	__u32 id;             /* never reused */
	__u32 slot;           /* index into flows, grants and sandbox_state; reused after detach */
	__u32 policy;         /* policy id: one immutable image */
	__u32 min_generation; /* flows and grants older than this are judged again */
	__u8 mode;            /* enum egress_mode */
	__u8 inbound;         /* EGRESS_INBOUND_* */
	__u8 addr_count;
	__u8 link_prefix_count;
	__u8 mac[6];            /* of the sandbox */
	__u8 host_mac[6];       /* of the host interface: source of steered answers */
	__u32 flow_age_s_max;   /* no packet renews a flow older than this */
	struct egress_addr addrs[EGRESS_SANDBOX_ADDRS];
	struct egress_prefix link_prefixes[EGRESS_LINK_PREFIXES];
};
EGRESS_ASSERT(sizeof(struct egress_sandbox) == 244, "no padding");

/* sandbox_addrs: address -> host interface index, for the way back of steered answers. Key: struct egress_addr. */

/* sandbox_state: slot -> this, per CPU. Written by the kernel programs alone, hence apart from `sandboxes`. */
struct egress_sandbox_state {
	__u64 event_window_mono_ns; /* start of the running second */
	__u64 icmp_window_mono_ns;
	__u32 events_in_window;
	__u32 icmp_in_window;
	__u32 events_lost; /* not sent since the last one that was */
	__u32 pad;
	__u64 flow_packets[2]; /* of known flows, by enum egress_direction */
	__u64 flow_bytes[2];
};
EGRESS_ASSERT(sizeof(struct egress_sandbox_state) == 64, "no padding");

#define EGRESS_EVENTS_PER_S 500      /* of one sandbox and CPU; more are counted, not sent */
#define EGRESS_ICMP_ERRORS_PER_S 100 /* towards one sandbox, per CPU */

/* settings: one entry. */
struct egress_settings {
	__u32 layout_version;
	__u32 steer_ifindex; /* node end of the steering link; 0: none, DNS is dropped */
	__u8 steer_mac[6];   /* of the other end */
	__u8 pad[2];
	__u32 generation; /* of the last accepted policy change */
	__u32 next_sandbox_id;
	__u32 next_policy_id;
	__u32 pad2;
};
EGRESS_ASSERT(sizeof(struct egress_settings) == 32, "no padding");

/* Steered frames carry the sandbox's id in their source address: 02:50 and the id, big endian. */
#define EGRESS_STEER_MAC0 0x02
#define EGRESS_STEER_MAC1 0x50

/* port_sets: id -> ranges. An id is immutable while anything refers to it. */
#define EGRESS_PORTS_NONE 0 /* nothing */
#define EGRESS_PORTS_ALL 1  /* every port of TCP and UDP, and ICMP echo */

struct egress_port_range {
	__u16 first; /* host order; ICMP echo: 0 */
	__u16 last;
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP, or IPPROTO_ICMP for echo of both families */
	__u8 pad;
};
EGRESS_ASSERT(sizeof(struct egress_port_range) == 6, "no padding");

struct egress_port_set {
	__u16 count;
	struct egress_port_range ranges[EGRESS_PORT_RANGES_MAX];
};
EGRESS_ASSERT(sizeof(struct egress_port_set) == 194, "no padding");

/*
 * cidr_rules: policy id -> LPM trie of this. The compiler resolves overlaps: a value holds what
 * all rules that cover the prefix say together, so that one longest match decides.
 */
struct egress_cidr_key {
	__u32 prefix_bits;
	struct egress_addr addr;
};
EGRESS_ASSERT(sizeof(struct egress_cidr_key) == 20, "no padding");

struct egress_cidr_rule { /* *_ports are port set ids, *_rule are rule ids */
	__u32 deny_ports;
	__u32 allow_ports;
	__u32 narrow_ports;  /* of allow rules narrow enough to open a never-listed address */
	__u32 inbound_ports; /* ports of the sandbox that this peer may connect to */
	__u32 deny_rule;
	__u32 allow_rule;
	__u32 inbound_rule;
};
EGRESS_ASSERT(sizeof(struct egress_cidr_rule) == 28, "no padding");

/*
 * grants: sandbox slot -> hash of address -> this. Written by the sandbox's DNS worker alone.
 * A slot belongs to one (name, rule). name 0: to every name that the rule matches.
 */
struct egress_grant_slot {
	__u64 deadline_boot_ns; /* 0: free */
	__u32 generation;       /* of the image that decided it */
	__u32 port_set;
	__u32 rule;
	__u32 name;
};
EGRESS_ASSERT(sizeof(struct egress_grant_slot) == 24, "no padding");

struct egress_grant {
	struct egress_grant_slot slots[EGRESS_GRANT_SLOTS];
};

/* flows: sandbox slot -> hash of this key. */
struct egress_flow_key {
	struct egress_addr local;  /* the sandbox's */
	struct egress_addr remote;
	__be16 local_port;  /* ICMP echo: the identifier */
	__be16 remote_port; /* ICMP echo: 0 */
	__u8 protocol;
	__u8 pad[3];
};
EGRESS_ASSERT(sizeof(struct egress_flow_key) == 40, "no padding");

enum egress_basis { /* why a flow is allowed; decides how a policy change judges it again */
	EGRESS_BASIS_NONE = 0,
	EGRESS_BASIS_GRANT = 1,
	EGRESS_BASIS_CIDR = 2,
	EGRESS_BASIS_INBOUND = 3, /* the other side connected */
};

#define EGRESS_FLOW_ANSWERED 1 /* a packet came from outside */
#define EGRESS_FLOW_FIN_OUT 2
#define EGRESS_FLOW_FIN_IN 4
#define EGRESS_FLOW_RESET 8
#define EGRESS_FLOW_BASIS_SHIFT 24 /* above it: enum egress_basis, which never changes */

/*
 * In order of who writes: packets of one flow are often judged on two CPUs, one for each direction. What both
 * read is written at most once a tick of the clock; what each counts is 64 bytes from what the other does. An
 * element of a hash table has 96 bytes before its value (of kernels 6.1 to 6.18; elsewhere it costs time only).
 */
struct egress_flow {
	__u64 opened_mono_ns;
	__u64 last_in_mono_ns;    /* last packet from outside, or opened */
	__u64 unanswered_mono_ns; /* first packet out since then; not after it: none */
	__u32 generation;
	__u32 state; /* EGRESS_FLOW_*; 32 bits because two CPUs set bits atomically */

	__u64 packets_out;
	__u64 bytes_out;
	__u32 rule;
	__u32 name;
	__u32 closed; /* its number in struct egress_closed, once it is over */
	__u32 pad[9];

	__u64 packets_in;
	__u64 bytes_in;
};
EGRESS_ASSERT(sizeof(struct egress_flow) == 112, "no padding");

/*
 * closed: sandbox slot -> array of one of this. The flows that finished last; each stays in `flows`
 * until its place here is taken by a later one. Written by the kernel programs alone.
 */
struct egress_closed {
	__u32 next; /* number of the next one; its place is this modulo EGRESS_CLOSED_MAX */
	__u32 pad;
	struct egress_flow_key keys[EGRESS_CLOSED_MAX]; /* all zero: none */
};
EGRESS_ASSERT(sizeof(struct egress_closed) == 8 + EGRESS_CLOSED_MAX * 40, "no padding");
EGRESS_ASSERT((EGRESS_CLOSED_MAX & (EGRESS_CLOSED_MAX - 1)) == 0, "a mask bounds the place");

/*
 * name_ok: (policy id, name, rule) -> ports a name may still use under a newer image. Filled by
 * posternd before a sandbox moves to the policy. rule is 0 unless name is 0.
 */
struct egress_name_ok_key {
	__u32 policy;
	__u32 name;
	__u32 rule;
};
EGRESS_ASSERT(sizeof(struct egress_name_ok_key) == 12, "no padding");

struct egress_name_ok {
	__u32 port_set;
	__u32 rule; /* that allows the name now */
};
EGRESS_ASSERT(sizeof(struct egress_name_ok) == 8, "no padding");

/*
 * names: name id -> wire form (RFC 1035 3.1), lower case. Written by the DNS workers, each under
 * its own number in the top byte of the id; an id is never used for another name. posternd deletes
 * what no grant and no flow refers to, once it is a minute old.
 */
struct egress_name {
	__u64 created_boot_ns;
	__u8 length; /* 1 to 255 */
	__u8 wire[255];
};
EGRESS_ASSERT(sizeof(struct egress_name) == 264, "no padding");

/* counters: this -> packets and bytes, per CPU. Sums are exact; events are a sample. */
struct egress_counter_key {
	__u32 sandbox; /* id; 0: none known */
	__u8 reason;
	__u8 direction;
	__u8 pad[2];
};
EGRESS_ASSERT(sizeof(struct egress_counter_key) == 8, "no padding");

struct egress_counter {
	__u64 packets;
	__u64 bytes;
};

enum egress_direction {
	EGRESS_OUT = 0, /* from the sandbox */
	EGRESS_IN = 1,  /* to the sandbox */
};

/* events: ring buffer of this; zeroed before it is filled. */
struct egress_event {
	__u64 time_boot_ns;
	__u32 sandbox;
	__u32 ifindex;
	__u32 policy;
	__u32 rule; /* 0: none */
	__u32 name; /* 0: none known */
	__u32 length;
	struct egress_addr src;
	struct egress_addr dst;
	__be16 src_port;
	__be16 dst_port;
	__u16 ethertype; /* host order */
	__u8 src_mac[6];
	__u8 dst_mac[6];
	__u8 reason;
	__u8 direction;
	__u8 protocol;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u32 lost; /* events of this sandbox and CPU that were not sent since the last one that was */
	__u8 pad[4];
};
EGRESS_ASSERT(sizeof(struct egress_event) == 96, "no padding");

/*
 * DNS events: the workers' datagrams to the observer. Not of the kernel, but of the same kind: a
 * fixed record about one sandbox, with a reason of reasons.h.
 */
#define EGRESS_DNS_EVENT_ADDRS 8

struct egress_dns_event {
	__u64 time_boot_ns;
	__u32 sandbox;
	__u32 policy;
	__u32 rule;
	__u32 latency_us; /* question to answer */
	__u32 ttl_s;
	__u32 lost; /* events of this worker that were not sent since the last one that was */
	struct egress_addr client;
	struct egress_addr server; /* that the sandbox asked */
	struct egress_addr addrs[EGRESS_DNS_EVENT_ADDRS];
	__be16 client_port;
	__u16 qtype;
	__u8 reason;
	__u8 rcode;
	__u8 protocol; /* IPPROTO_UDP or IPPROTO_TCP */
	__u8 answer;   /* 0: the question, 1: the answer */
	__u8 addr_count;    /* in addrs; more_addrs were cut off */
	__u8 more_addrs;
	__u8 name_length;
	__u8 wire[255]; /* question, case as asked */
	__u8 pad[6];
};
EGRESS_ASSERT(sizeof(struct egress_dns_event) == 464, "no padding");

#endif
