/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps of the gate. Keys and values are layout.h's; who may write each is said there.
 *
 * All are pinned, so that they outlive the daemons; a new build of the same layout takes them over.
 * Per-sandbox and per-policy maps are maps in maps: their number of entries is a quota of one
 * sandbox, and dropping them is one write. Not preallocated, because 250 sandboxes seldom fill them.
 */
#ifndef POSTERN_BPF_MAPS_H
#define POSTERN_BPF_MAPS_H

#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>

#include "layout.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct egress_settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EGRESS_SANDBOXES_MAX);
	__type(key, __u32);
	__type(value, struct egress_sandbox);
} sandboxes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EGRESS_SANDBOXES_MAX * EGRESS_SANDBOX_ADDRS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct egress_addr);
	__type(value, __u32);
} sandbox_addrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EGRESS_SANDBOXES_MAX);
	__type(key, __u32);
	__type(value, struct egress_sandbox_state);
} sandbox_state SEC(".maps");

/* Inner maps state sizes: clang leaves the types behind a map in a map out of the BTF. */
struct flows_of_sandbox {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EGRESS_FLOWS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct egress_flow_key));
	__uint(value_size, sizeof(struct egress_flow));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, EGRESS_SANDBOXES_MAX);
	__type(key, __u32);
	__array(values, struct flows_of_sandbox);
} flows SEC(".maps");

struct closed_of_sandbox {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct egress_closed));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, EGRESS_SANDBOXES_MAX);
	__type(key, __u32);
	__array(values, struct closed_of_sandbox);
} closed SEC(".maps");

struct grants_of_sandbox {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EGRESS_GRANTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct egress_addr));
	__uint(value_size, sizeof(struct egress_grant));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, EGRESS_SANDBOXES_MAX);
	__type(key, __u32);
	__array(values, struct grants_of_sandbox);
} grants SEC(".maps");

struct cidrs_of_policy {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, EGRESS_CIDRS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct egress_cidr_key));
	__uint(value_size, sizeof(struct egress_cidr_rule));
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, EGRESS_POLICIES_MAX);
	__type(key, __u32);
	__array(values, struct cidrs_of_policy);
} cidr_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EGRESS_PORT_SETS_MAX);
	__type(key, __u32);
	__type(value, struct egress_port_set);
} port_sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EGRESS_NAMES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct egress_name);
} names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EGRESS_NAME_OK_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct egress_name_ok_key);
	__type(value, struct egress_name_ok);
} name_ok SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EGRESS_NODE_ADDRS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct egress_addr);
	__type(value, __u32);
} node_addrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EGRESS_EVENTS_BYTES);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, EGRESS_COUNTERS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct egress_counter_key);
	__type(value, struct egress_counter);
} counters SEC(".maps");

#endif
