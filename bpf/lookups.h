/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The look-ups that verdict.h asks for, over the gate's maps. Each key is copied to the stack: kernel
 * 6.1 takes no pointer that came in as an argument of a subprogram for a key.
 */
#ifndef POSTERN_BPF_LOOKUPS_H
#define POSTERN_BPF_LOOKUPS_H

#include <bpf/bpf_helpers.h>

#include "maps.h"
#include "verdict.h"

static __always_inline struct egress_flow *egress_flow_of(const struct egress_sandbox *sandbox, const struct egress_flow_key *key)
{
	const struct egress_flow_key own_key = *key;
	const __u32 slot = sandbox->slot;
	void *own = bpf_map_lookup_elem(&flows, &slot);

	return own ? bpf_map_lookup_elem(own, &own_key) : 0;
}

static __always_inline const struct egress_grant *egress_grant_of(const struct egress_sandbox *sandbox,
								  const struct egress_addr *addr)
{
	const struct egress_addr key = *addr;
	const __u32 slot = sandbox->slot;
	void *own = bpf_map_lookup_elem(&grants, &slot);

	return own ? bpf_map_lookup_elem(own, &key) : 0;
}

static __always_inline const struct egress_cidr_rule *egress_cidr_of(const struct egress_sandbox *sandbox,
								     const struct egress_addr *addr)
{
	struct egress_cidr_key key = {.prefix_bits = 128, .addr = *addr};
	const __u32 policy = sandbox->policy;
	void *own = bpf_map_lookup_elem(&cidr_rules, &policy);

	return own ? bpf_map_lookup_elem(own, &key) : 0;
}

static __always_inline const struct egress_port_set *egress_ports_of(__u32 id)
{
	return bpf_map_lookup_elem(&port_sets, &id);
}

static __always_inline const struct egress_name_ok *egress_name_ok_of(const struct egress_sandbox *sandbox, __u32 name, __u32 rule)
{
	const struct egress_name_ok_key key = {.policy = sandbox->policy, .name = name, .rule = rule};

	return bpf_map_lookup_elem(&name_ok, &key);
}

static __always_inline int egress_is_node_addr(const struct egress_addr *addr)
{
	const struct egress_addr key = *addr;

	return bpf_map_lookup_elem(&node_addrs, &key) != 0;
}

static __always_inline __u64 egress_boot_ns(void)
{
	return bpf_ktime_get_boot_ns();
}

/* At most `per_s` in the second that began at *window: fixed windows, on this CPU's copy. */
static __always_inline int egress_within_rate(__u64 *window, __u32 *count, __u64 now_mono_ns, __u32 per_s)
{
	if (now_mono_ns - *window >= EGRESS_S) {
		*window = now_mono_ns;
		*count = 0;
	}
	if (*count >= per_s)
		return 0;
	*count += 1;
	return 1;
}

static __always_inline struct egress_sandbox_state *egress_state_of(const struct egress_sandbox *sandbox)
{
	const __u32 slot = sandbox->slot;

	return bpf_map_lookup_elem(&sandbox_state, &slot);
}

static __always_inline int egress_icmp_budget(const struct egress_sandbox *sandbox, __u64 now_mono_ns)
{
	struct egress_sandbox_state *state = egress_state_of(sandbox);

	return state && egress_within_rate(&state->icmp_window_mono_ns, &state->icmp_in_window, now_mono_ns,
					   EGRESS_ICMP_ERRORS_PER_S);
}

#endif
