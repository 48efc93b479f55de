/* SPDX-License-Identifier: Apache-2.0 */
/* The layout and the reasons are C: this file is what compiles them as such, with all warnings. */
#include "bpf/layout.h"
#include "bpf/reasons.h"

EGRESS_ASSERT(EGRESS_REASON_FIRST_DROP < EGRESS_REASON_FIRST_DNS, "packets' reasons come before DNS");
EGRESS_ASSERT(sizeof(struct egress_grant) == EGRESS_GRANT_SLOTS * sizeof(struct egress_grant_slot), "no padding");
