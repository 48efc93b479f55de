// SPDX-License-Identifier: Apache-2.0
//
// From a policy to its image. CIDR rules nest or are disjoint, so sorting them puts every prefix
// behind those that contain it, and one pass with a stack resolves all overlaps.
#include <algorithm>
#include <map>

#include "policies/image.h"
#include "policies/never_list.h"

namespace postern {
namespace {

std::uint64_t hash_of(std::string_view text, std::uint64_t hash = 14695981039346656037ull) {
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;  // FNV-1a
  }
  return hash;
}

std::uint32_t fold(std::uint64_t hash) { return static_cast<std::uint32_t>(hash ^ (hash >> 32)) & 0x7fffffffu; }

constexpr std::uint8_t kZeroV4[4] = {};

std::string content_of(const Rule& rule) {
  std::string text = std::string(verb_of(rule.kind)) + "|" + rule.target + "|" + rule.ports.to_string();
  for (const Prefix& hole : rule.except) {
    text += "|" + hole.to_string();
  }
  return text;
}

class Compiler {
 public:
  Compiler(const Policy& policy, const Inventory& inventory, Diagnostics& diagnostics)
      : policy_(policy), inventory_(inventory), diagnostics_(diagnostics), image_(std::make_shared<PolicyImage>()) {}

  std::shared_ptr<const PolicyImage> run() {
    image_->name = policy_.name;
    image_->space = policy_.space;
    image_->dns = policy_.dns;
    add_names();
    add_cidrs(RuleKind::kDenyCidr, policy_.deny_cidrs);
    add_cidrs(RuleKind::kAllowCidr, policy_.allow_cidrs);
    add_inbound();
    resolve_cidrs();
    make_groups();
    image_->names.freeze();
    check_matches();
    fingerprint();
    return diagnostics_.failed() ? nullptr : image_;
  }

 private:
  /// Index of the rule; rules with equal content are one, with the first origin.
  std::size_t add_rule(Rule rule) {
    const std::string content = content_of(rule);
    if (const auto known = by_content_.find(content); known != by_content_.end()) {
      return known->second;
    }
    rule.id = fold(hash_of(content));
    // Two rules of one policy with one id would be told apart by nothing: step on, always in the same order.
    while (rule.id == 0 || ids_.contains(rule.id)) {
      rule.id = (rule.id + 1) & 0x7fffffffu;
    }
    ids_[rule.id] = image_->rules.size();
    by_content_[content] = image_->rules.size();
    image_->rules.push_back(std::move(rule));
    return image_->rules.size() - 1;
  }

  void add_names() {
    for (const NameRule& name : policy_.allow_names) {
      const auto kind = name.ports.empty() ? RuleKind::kLookupOnly : RuleKind::kAllowName;
      const std::size_t before = image_->rules.size();
      const std::size_t index = add_rule({0, kind, name.pattern.text(), name.ports, {}, name.origin});
      if (index == before) {
        image_->names.add(name.pattern, static_cast<std::uint32_t>(index));
      }
    }
  }

  void add_cidrs(RuleKind kind, const std::vector<CidrRule>& cidrs) {
    for (const CidrRule& cidr : cidrs) {
      const std::size_t index = add_rule({0, kind, cidr.prefix.to_string(), cidr.ports, cidr.except, cidr.origin});
      at_prefix_[cidr.prefix].push_back({index, cidr.prefix});
      for (const Prefix& hole : cidr.except) {
        at_prefix_[hole];  // what holds inside the hole differs, so it needs an entry
      }
      if (kind == RuleKind::kAllowCidr) {
        warn_never_listed(cidr);
      }
    }
  }

  void warn_never_listed(const CidrRule& cidr) {
    if (cidr.prefix.family_bits() == 0) {
      return;  // "the whole internet" is understood not to mean it
    }
    for (const Prefix& entry : never_list()) {
      if (cidr.prefix != entry && cidr.prefix.contains(entry)) {
        diagnostics_.warn(cidr.origin.place, "",
                          cidr.prefix.to_string() + " does not open " + entry.to_string() +
                              " inside it, which is never allowed: give a rule of its own to what you need there");
      }
    }
  }

  /// A match carries at most NameMatch::kRulesMax rules; a name that more of them speak of would lose ports silently.
  void check_matches() {
    for (const Rule& rule : image_->rules) {
      if (rule.kind != RuleKind::kAllowName && rule.kind != RuleKind::kLookupOnly) {
        continue;
      }
      std::string sample;
      for (const char c : rule.target) {
        sample += c == '*' ? std::string("any-label") : std::string(1, c);
      }
      const auto name = DnsName::from_text(sample);
      if (name && image_->names.match(name->wire()).more) {
        diagnostics_.error(rule.origin.place, "",
                           "more than " + std::to_string(NameMatch::kRulesMax) + " rules match " + rule.target +
                               ": join those with the same name into one rule with all its ports, and leave out names that a "
                               "wildcard with the same ports covers");
        return;
      }
    }
  }

  void add_inbound() {
    if (!policy_.inbound) {
      image_->inbound_link = true;
      add_pods({policy_.place, "default inbound: pods of the cluster"});
      return;
    }
    image_->inbound_link = policy_.inbound->from_link;
    if (policy_.inbound->from_pods) {
      add_pods({policy_.place, "inbound from: pods"});
    }
    add_cidrs(RuleKind::kInbound, policy_.inbound->cidrs);
  }

  void add_pods(const Origin& origin) {
    for (const Prefix& pods : inventory_.pods) {
      add_cidrs(RuleKind::kInbound, {{pods, {}, PortSet::all(), origin}});
    }
  }

  struct Cover {
    std::size_t rule;
    Prefix prefix;
  };

  CidrVerdict verdict_of(const Prefix& at, const std::vector<const std::vector<Cover>*>& stack) {
    CidrVerdict verdict;
    // Outermost first, so that the last rule to speak is the most specific.
    for (const auto* covers : stack) {
      for (const Cover& cover : *covers) {
        const Rule& rule = image_->rules[cover.rule];
        if (std::ranges::any_of(rule.except, [&](const Prefix& hole) { return hole.contains(at); })) {
          continue;
        }
        if (rule.kind == RuleKind::kDenyCidr) {
          verdict.deny.add(rule.ports);
          verdict.deny_rule = rule.id;
        } else if (rule.kind == RuleKind::kInbound) {
          verdict.inbound.add(rule.ports);
          verdict.inbound_rule = rule.id;
        } else {
          verdict.allow.add(rule.ports);
          verdict.allow_rule = rule.id;
          if (opens_never_listed(cover.prefix)) {
            verdict.narrow.add(rule.ports);
          }
        }
      }
    }
    return verdict;
  }

  void resolve_cidrs() {
    // The kernel's table has both families in one: without an entry of its own the whole of IPv4
    // would find ::/0, whose bits it lies under.
    if (std::ranges::any_of(at_prefix_, [](const auto& entry) { return entry.first.bits < 96; })) {
      at_prefix_[Prefix{masked(Address::from_v4(kZeroV4), 96), 96}];
    }
    resolve_family(true);
    resolve_family(false);
    std::ranges::sort(image_->cidrs, {}, &CidrEntry::prefix);
  }

  void resolve_family(bool v4) {
    std::vector<Prefix> open;
    std::vector<const std::vector<Cover>*> stack;
    for (const auto& [prefix, covers] : at_prefix_) {
      if (prefix.is_v4() != v4) {
        continue;
      }
      while (!open.empty() && !open.back().contains(prefix)) {
        open.pop_back();
        stack.pop_back();
      }
      open.push_back(prefix);
      stack.push_back(&covers);
      image_->cidrs.push_back({prefix, verdict_of(prefix, stack)});
      check_ranges(prefix, image_->cidrs.back().verdict);
    }
  }

  void check_ranges(const Prefix& prefix, const CidrVerdict& verdict) {
    for (const PortSet* set : {&verdict.deny, &verdict.allow, &verdict.narrow, &verdict.inbound}) {
      if (set->ranges().size() > PortSet::kRangesMax) {
        diagnostics_.error(policy_.place, "",
                           "rules that cover " + prefix.to_string() + " open more than " +
                               std::to_string(PortSet::kRangesMax) +
                               " port ranges together: join neighbouring ports into ranges");
        return;
      }
    }
  }

  void make_groups() {
    std::map<PortSet, std::vector<std::uint32_t>> by_ports;
    for (const Rule& rule : image_->rules) {
      if (rule.kind == RuleKind::kAllowName) {
        by_ports[rule.ports].push_back(rule.id);
      }
    }
    for (auto& [ports, members] : by_ports) {
      std::ranges::sort(members);
      std::uint64_t hash = hash_of(ports.to_string());
      for (const std::uint32_t id : members) {
        hash = hash_of(std::to_string(id), hash);
      }
      image_->groups.push_back({fold(hash) | 0x80000000u, ports, std::move(members)});
    }
  }

  void fingerprint() {
    std::vector<std::string> parts;
    for (const Rule& rule : image_->rules) {
      parts.push_back(content_of(rule));
    }
    std::ranges::sort(parts);
    parts.push_back(image_->inbound_link ? "link" : "");
    parts.push_back(std::to_string(image_->dns.grace_s) + "|" + image_->dns.denial_text);
    for (const Prefix& prefix : image_->dns.private_allowed) {
      parts.push_back(prefix.to_string());
    }
    std::uint64_t hash = hash_of(image_->name);
    for (const std::string& part : parts) {
      hash = hash_of(part + "\n", hash);
    }
    image_->fingerprint = hash;
  }

  const Policy& policy_;
  const Inventory& inventory_;
  Diagnostics& diagnostics_;
  std::shared_ptr<PolicyImage> image_;
  std::map<std::string, std::size_t> by_content_;
  std::map<std::uint32_t, std::size_t> ids_;
  std::map<Prefix, std::vector<Cover>> at_prefix_;  // ordered: a prefix comes before those inside it
};

}  // namespace

std::shared_ptr<const PolicyImage> compile(const Policy& policy, const Inventory& inventory, Diagnostics& diagnostics) {
  return Compiler(policy, inventory, diagnostics).run();
}

}  // namespace postern
