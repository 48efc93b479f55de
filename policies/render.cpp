// SPDX-License-Identifier: Apache-2.0
#include "policies/render.h"

#include <algorithm>
#include <array>
#include <utility>

#include "policies/never_list.h"
#include "policies/render_job.h"

namespace postern {
namespace {

constexpr std::array<std::pair<std::string_view, RenderTarget>, 5> kTargets{{{"native", RenderTarget::kNative},
                                                                             {"cilium", RenderTarget::kCilium},
                                                                             {"aws", RenderTarget::kAws},
                                                                             {"gke", RenderTarget::kGke},
                                                                             {"netpol", RenderTarget::kNetworkPolicy}}};

std::string place_of(const Origin& origin) {
  return origin.place.line > 0 ? " (" + origin.place.to_string() + ")" : "";
}

bool only_dns(const PortSet& ports) { return !ports.is_all() && dns_ports().covers(ports); }

/// Peers that are all addresses become ranges; the others need a cluster to know who they are.
void settle_peers(RenderJob& job) {
  Policy& policy = job.policy;
  for (const PeerRule& peer : std::exchange(policy.peers, {})) {
    const bool all = peer.who == PeerRule::Who::kAll;
    const bool world = peer.who == PeerRule::Who::kWorld;
    const bool allow = peer.action == PeerRule::Action::kAllow;
    if (all || (world && (!allow || job.options.target == RenderTarget::kCilium))) {
      auto& rules = allow                                    ? policy.allow_cidrs
                    : peer.action == PeerRule::Action::kDeny ? policy.deny_cidrs
                                                             : policy.pass_cidrs;
      for (const char* whole : {"0.0.0.0/0", "::/0"}) {
        rules.push_back({Prefix::parse(whole).value(), {}, peer.ports, peer.origin, peer.order, world});
      }
      if (world && job.options.target != RenderTarget::kCilium) {
        job.lose(peer.to_string(), "the whole cluster is denied with it, since a range of addresses stands in its place");
      }
    } else if (!allow) {
      job.error = "denies " + peer.to_string() + place_of(peer.origin) +
                  ", and which addresses these are only a cluster knows: deny their cidrs instead";
    } else if (only_dns(peer.ports)) {
      job.note("The way to " + peer.to_string() + " on port 53 is not carried over: what is written here has its own.");
    } else {
      job.lose(peer.to_string() + " " + peer.ports.to_string(),
               "which addresses these are only a cluster knows, so they stay closed: add their cidrs");
    }
  }
}

/// What stands behind a Pass may have been skipped by it.
void settle_passes(RenderJob& job) {
  Policy& policy = job.policy;
  if (policy.pass_cidrs.empty()) {
    return;
  }
  const RuleOrder first = std::ranges::min(policy.pass_cidrs, {}, &CidrRule::order).order;
  const auto behind = [&](const auto& rule, const std::string& text) {
    if (rule.order < first) {
      return false;
    }
    job.lose(text, "it stands behind a Pass, which is only in the kind it was written in");
    return true;
  };
  std::erase_if(policy.allow_names, [&](const NameRule& rule) { return behind(rule, rule.pattern.text()); });
  std::erase_if(policy.allow_cidrs, [&](const CidrRule& rule) { return behind(rule, rule.prefix.to_string()); });
  policy.pass_cidrs.clear();
}

void tell_order(RenderJob& job) {
  for (const CidrRule& allow : job.policy.allow_cidrs) {
    const auto cuts = [&](const CidrRule& deny) {
      return allow.order < deny.order && (deny.prefix.contains(allow.prefix) || allow.prefix.contains(deny.prefix));
    };
    if (std::ranges::any_of(job.policy.deny_cidrs, cuts)) {
      job.lose(allow.prefix.to_string(), "it was asked before a denial that overlaps it; here denials are asked first");
    }
  }
}

/// Ranges that mean no pods and nodes, in a kind whose ranges mean them too.
void keep_cluster_out(RenderJob& job) {
  static const std::vector<Prefix> inside = {Prefix::parse("10.0.0.0/8").value(),
                                             Prefix::parse("172.16.0.0/12").value(),
                                             Prefix::parse("192.168.0.0/16").value(),
                                             Prefix::parse("100.64.0.0/10").value(), Prefix::parse("fc00::/7").value()};
  if (job.options.target == RenderTarget::kCilium) {
    return;
  }
  for (CidrRule& rule : job.policy.allow_cidrs) {
    if (!std::exchange(rule.outside_cluster, false)) {
      continue;
    }
    for (const Prefix& space : inside) {
      if (rule.prefix.bits < space.bits && rule.prefix.contains(space)) {
        rule.except.push_back(space);
        job.lose(space.to_string() + " of " + rule.prefix.to_string(),
                 "it may hold pods and nodes, which the source does not mean: name the ranges outside the cluster");
      }
    }
    if (!opens_never_listed(rule.prefix)) {
      job.note("The source's " + rule.prefix.to_string() +
               " means no pods and nodes, here it means every address: cut out what the cluster uses of it.");
    }
  }
}

/// A rule of nothing but lookups adds nothing where the same names are opened.
void drop_covered_lookups(Policy& policy) {
  std::vector<NamePattern> opened;
  for (const NameRule& rule : policy.allow_names) {
    if (!rule.ports.empty()) {
      opened.push_back(rule.pattern);
    }
  }
  std::erase_if(policy.allow_names, [&](const NameRule& rule) {
    return rule.ports.empty() &&
           std::ranges::any_of(opened, [&](const NamePattern& other) { return other.covers(rule.pattern); });
  });
}

/// Baseline rules of AWS and upstream are for pods that no policy of their namespace selects; native ones for all.
void settle_baseline(RenderJob& job) {
  Policy& policy = job.policy;
  const bool asked_less = policy.family == Family::kAws || policy.family == Family::kUpstream;
  if (job.options.target != RenderTarget::kNative || !asked_less || policy.tier != Tier::kBaseline) {
    return;
  }
  const char* why = "the source allows it only to pods that no policy of their namespace selects, a native one to all";
  for (const NameRule& rule : std::exchange(policy.allow_names, {})) {
    job.lose(rule.pattern.text(), why);
  }
  for (const CidrRule& rule : std::exchange(policy.allow_cidrs, {})) {
    job.lose(rule.prefix.to_string(), why);
  }
}

/// A native "*" means addresses. Elsewhere it means port 53 too, which without a rule for names is every lookup.
void keep_lookups_shut(RenderJob& job) {
  const bool native = job.options.target == RenderTarget::kNative || job.policy.family != Family::kNative;
  if (native || !job.policy.allow_names.empty()) {
    return;
  }
  for (CidrRule& rule : job.policy.allow_cidrs) {
    if (rule.ports.is_all()) {
      rule.ports = PortSet::all_ranges().without(dns_ports());
      job.lose("port 53 of " + rule.prefix.to_string() + " and protocols other than TCP and UDP",
               "there port 53 opens every lookup: allow it by name, in dns.allow");
    }
  }
}

void tell_options(RenderJob& job) {
  if (job.options.target == RenderTarget::kNative) {
    return;
  }
  const Policy& policy = job.policy;
  if (policy.inbound) {
    job.lose("spec.inbound", "who may connect to the pod is not written: policies of ingress are apart");
  }
  if (!policy.dns.denial_text.empty()) {
    job.lose("dns.text", "no such answer to a denied lookup there");
  }
  if (!policy.allow_names.empty() && policy.dns.private_allowed.empty()) {
    job.note(
        "This kind opens whatever address an allowed name resolves to, private ones too; Postern takes those out of "
        "the answer.");
  }
}

Result<> write(RenderJob& job) {
  switch (job.options.target) {
    case RenderTarget::kNative:
      write_native(job);
      break;
    case RenderTarget::kCilium:
      write_cilium(job);
      break;
    case RenderTarget::kAws:
      write_aws(job);
      break;
    case RenderTarget::kGke:
      write_gke(job);
      break;
    case RenderTarget::kNetworkPolicy:
      write_network_policy(job);
      break;
  }
  return job.error.empty() ? Result<>() : Error(Errc::kInvalid, job.policy.key() + " " + job.error);
}

}  // namespace

std::optional<RenderTarget> target_of(std::string_view word) {
  const auto found = std::ranges::find(kTargets, word, &std::pair<std::string_view, RenderTarget>::first);
  return found == kTargets.end() ? std::nullopt : std::optional(found->second);
}

void RenderJob::lose(const std::string& what, const std::string& why) {
  const auto known = std::ranges::find(lost, why, &std::pair<std::string, std::vector<std::string>>::first);
  auto& list = known != lost.end() ? known->second : lost.emplace_back(why, std::vector<std::string>()).second;
  if (std::ranges::find(list, what) == list.end()) {
    list.push_back(what);
  }
}

void RenderJob::note(std::string sentence) {
  if (std::ranges::find(notes, sentence) == notes.end()) {
    notes.push_back(std::move(sentence));
  }
}

std::vector<std::string> RenderJob::losses() const {
  std::vector<std::string> sentences;
  for (const auto& [why, list] : lost) {
    std::string sentence;
    for (const std::string& what : list) {
      sentence += (sentence.empty() ? "" : ", ") + what;
    }
    sentences.push_back(sentence + ": " + why);
  }
  return sentences;
}

Result<Rendered> render(const Policy& policy, const RenderOptions& options) {
  RenderJob job{policy, options};
  settle_peers(job);
  settle_passes(job);
  settle_baseline(job);
  tell_order(job);
  keep_cluster_out(job);
  drop_covered_lookups(job.policy);
  keep_lookups_shut(job);
  tell_options(job);
  if (job.error.empty()) {
    POSTERN_RETURN_IF_ERROR(write(job));
  } else {
    return Error(Errc::kInvalid, policy.key() + " " + job.error);
  }
  Rendered rendered{"", job.losses(), std::move(job.notes)};
  std::vector<std::string> head{policy.kind + " " + (policy.space.empty() ? "" : policy.space + "/") + policy.name +
                                (policy.place.file.empty() ? "" : " of " + policy.place.file) +
                                ", written by `postern allowlist`."};
  for (const std::string& loss : rendered.losses) {
    head.push_back("loss: " + loss);
  }
  for (const std::string& note : rendered.notes) {
    head.push_back("note: " + note);
  }
  rendered.yaml = to_yaml(job.documents, head);
  return rendered;
}

Result<> check_together(const std::vector<Policy>& policies) {
  const Policy* first = nullptr;
  for (const Policy& policy : policies) {
    if (policy.stands_alone && policies.size() > 1) {
      return Error(Errc::kInvalid, policy.key() +
                                       " holds beside all other policies; written here it would be joined "
                                       "with them, and open more: write it alone");
    }
    if (policy.family == Family::kNetworkPolicy) {
      continue;  // joined with whichever family is there
    }
    first = first == nullptr ? &policy : first;
    if (first->family != policy.family) {
      return Error(Errc::kInvalid, first->key() + " and " + policy.key() + " are of different families, " +
                                       std::string(name_of(first->family)) + " and " +
                                       std::string(name_of(policy.family)) +
                                       ": what both allow is open, and written in one kind what either allows would "
                                       "be. Write them apart, and use one of them");
    }
    for (const Policy& other : policies) {
      if (&other != &policy && other.tier == policy.tier && !policy.pass_cidrs.empty() &&
          other.priority >= policy.priority && (!other.allow_cidrs.empty() || !other.allow_names.empty())) {
        return Error(Errc::kInvalid, policy.key() + " passes over rules of " + other.key() +
                                         ", and only the kind they are written in has Pass: write them apart");
      }
    }
  }
  return {};
}

std::vector<std::string> names_to_resolve(const Policy& policy, const RenderOptions& options) {
  std::vector<std::string> names;
  for (const NameRule& rule : policy.allow_names) {
    if (!rule.ports.empty()) {
      std::ranges::move(hosts_of(rule, options), std::back_inserter(names));
    }
  }
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace postern
