// SPDX-License-Identifier: Apache-2.0
//
// What `postern explain` is told: the policy's word, and what lookups have opened beside it.
//
// Thread: posternd's loop. Reads the kernel's grants, a bpf(2) call or two for one address.
#pragma once

#include "agent/datapath/gate.h"
#include "agent/sandbox/sandbox.h"
#include "api/control.pb.h"
#include "policies/explain.h"

namespace postern {

/// May this sandbox reach the target, now?
void explain_target(
    Gate& gate, const Sandbox& sandbox, const PolicyImage& image, const Target& target, api::ExplainReply& reply);

/// Every rule the sandbox is under, in the order in which they are asked, and what became less than it was written.
void explain_all(const Sandbox& sandbox, const PolicyImage& image, api::ExplainReply& reply);

}  // namespace postern
