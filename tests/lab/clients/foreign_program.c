/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another agent's tc program on an interface: before all others, on both ways, and it accepts every packet.
 *
 * Usage: foreign_program INTERFACE. Prints "attached ID" and stays attached until it is ended. Needs tcx (kernel 6.6).
 */
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

/* linux/bpf.h of kernel 6.6; Debian 12's is of 6.1. */
#define TCX_INGRESS 46
#define TCX_EGRESS 47
#define BEFORE (1u << 3)

int main(int argc, char **argv)
{
	const struct bpf_insn accept_all[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_OK},
		{.code = BPF_JMP | BPF_EXIT},
	};
	const int ifindex = argc == 2 ? (int)if_nametoindex(argv[1]) : 0;
	if (ifindex == 0)
		return 2;
	const int program = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "foreign", "GPL", accept_all, 2, NULL);
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);
	LIBBPF_OPTS(bpf_link_create_opts, before_all, .flags = BEFORE);
	if (program < 0 || bpf_link_create(program, ifindex, TCX_EGRESS, &before_all) < 0 ||
	    bpf_link_create(program, ifindex, TCX_INGRESS, &before_all) < 0 ||
	    bpf_obj_get_info_by_fd(program, &info, &size) != 0) {
		perror("foreign_program");
		return 1;
	}
	printf("attached %u\n", info.id);
	fflush(stdout);
	for (;;)
		pause();
}
