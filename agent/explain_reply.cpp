// SPDX-License-Identifier: Apache-2.0
#include "agent/explain_reply.h"

#include "base/clock.h"
#include "policies/never_list.h"

namespace postern {
namespace {

void add_rule(const Rule& rule, api::ExplainReply& reply) {
  auto& added = *reply.add_rules();
  added.set_text(rule.to_string());
  added.set_origin(rule.origin.to_string());
  added.set_owner(rule.owner->title);
  added.set_layer(layer_of(rule));
}

constexpr const char* kLockedDown = "the sandbox is in lockdown: nothing of it passes (`postern sandbox mode` ends it)";

/// What lookups have opened beside the rules: the policy alone does not know.
void explain_grants(
    Gate& gate, const Sandbox& sandbox, const PolicyImage& image, const Target& target, api::ExplainReply& reply) {
  const CidrVerdict* cidr = image.find_cidr(*target.address);
  const bool denied =
      cidr != nullptr && (target.port == 0 ? !cidr->deny.empty() : cidr->deny.contains(target.protocol, target.port));
  if (denied || is_never_allowed(*target.address)) {
    return;  // no lookup opens these
  }
  const auto grants = gate.grants_of(sandbox.slot);
  const auto grant = grants ? grants->lookup(to_kernel(*target.address))
                            : Result<std::optional<egress_grant>>(std::optional<egress_grant>());
  if (!grant || !*grant) {
    return;
  }
  const BootNs now = SystemClock().now();
  for (const egress_grant_slot& slot : (*grant)->slots) {
    const Rule* rule = image.find_rule(slot.rule);
    if (slot.deadline_boot_ns <= now.ns || rule == nullptr ||
        !(target.port == 0 || rule->ports.contains(target.protocol, target.port))) {
      continue;
    }
    const auto name = gate.names().lookup(slot.name);
    const std::string learnt =
        name && *name ? text_of({(*name)->wire, (*name)->length}) : "a name that matches this rule";
    add_rule(*rule, reply);
    reply.add_notes("A lookup of " + learnt + " opened it for another " +
                    std::to_string((BootNs{slot.deadline_boot_ns} - now) / kNsPerS) + " s.");
    if (!reply.allowed()) {
      reply.set_allowed(true);
      reply.set_verdict(target.to_string() + " is allowed now, because this sandbox looked up " + learnt);
    }
  }
}

}  // namespace

void explain_target(
    Gate& gate, const Sandbox& sandbox, const PolicyImage& image, const Target& target, api::ExplainReply& reply) {
  const Explanation explained = explain(image, sandbox.search, target);
  reply.set_policy(image.name);
  reply.set_allowed(explained.allowed);
  reply.set_verdict(explained.verdict);
  for (const Rule* rule : explained.rules) {
    add_rule(*rule, reply);
  }
  for (const std::string& note : explained.notes) {
    reply.add_notes(note);
  }
  if (target.address) {
    explain_grants(gate, sandbox, image, target, reply);
  }
  if (sandbox.mode == SandboxMode::kLockdown) {
    reply.add_notes("Without the lockdown: " + reply.verdict());
    reply.set_allowed(false);
    reply.set_verdict(kLockedDown);
  }
}

void explain_all(const Sandbox& sandbox, const PolicyImage& image, api::ExplainReply& reply) {
  reply.set_policy(image.name);
  reply.set_verdict("sandbox " + std::to_string(sandbox.id) + " behind " + sandbox.interface + " is under " +
                    (image.name.empty() ? "no policy" : image.name) + "; what no rule allows is denied");
  for (const Rule* rule : rules_in_order(image)) {
    add_rule(*rule, reply);
  }
  for (const std::string& note : image.narrowed) {
    reply.add_notes(note);
  }
  if (sandbox.mode == SandboxMode::kLockdown) {
    reply.add_notes(kLockedDown);
  }
}

}  // namespace postern
