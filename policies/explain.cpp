// SPDX-License-Identifier: Apache-2.0
#include "policies/explain.h"

#include <algorithm>
#include <tuple>

#include "base/log.h"
#include "policies/never_list.h"

namespace postern {
namespace {

bool speaks_of(const Rule& rule, const Address& address) {
  return !rule.is_name() && rule.kind != RuleKind::kClosed && rule.prefix.contains(address) &&
         std::ranges::none_of(rule.except, [&](const Prefix& hole) { return hole.contains(address); });
}

bool on_port(const PortSet& ports, const Target& target) {
  return target.port == 0 ? !ports.empty() : ports.contains(target.protocol, target.port);
}

/// Without a port the question is whether anything is left that denials do not take away.
bool is_denied(const CidrVerdict& cidr, const Target& target) {
  return target.port == 0 ? !cidr.deny.empty() && (cidr.allow.empty() || cidr.deny.covers(cidr.allow))
                          : on_port(cidr.deny, target);
}

/// Rules of a kind that speak of the address on the target's port, the longest prefix first.
std::vector<const Rule*> rules_for(const PolicyImage& image, RuleKind kind, const Target& target) {
  std::vector<const Rule*> found;
  for (const Rule& rule : image.rules) {
    if (rule.kind == kind && speaks_of(rule, *target.address) && on_port(rule.ports, target)) {
      found.push_back(&rule);
    }
  }
  std::ranges::sort(found, std::greater<>(), [](const Rule* rule) { return rule->prefix.bits; });
  return found;
}

Explanation explain_name(const PolicyImage& image, const SearchList& search, const Target& target) {
  Explanation result;
  const Wire wire = target.name.wire();
  const NameMatch match = image.names.match(wire);
  const NameAnswer answer = answer_for(wire, match, search);
  const std::string name = target.name.text();
  if (answer != NameAnswer::kAllow) {
    result.verdict = name + " is denied: no rule of policy " + image.name + " names it";
    result.notes.push_back(
        answer == NameAnswer::kNxDomain
            ? "A lookup is answered NXDOMAIN, because it is a single label or lies under a search suffix."
            : "A lookup is answered with no data (NOERROR and an SOA).");
    if (match.ancestor) {
      result.notes.push_back("A name below it is allowed; \"*.x\" does not include x itself.");
    }
    return result;
  }
  PortSet ports;
  for (std::uint8_t i = 0; i < match.count; ++i) {
    result.rules.push_back(&image.rules[match.rules[i]]);
    ports.add(image.rules[match.rules[i]].ports);
  }
  result.allowed = on_port(ports, target);
  if (ports.empty()) {
    result.allowed = target.port == 0;
    result.verdict = name + " resolves, but its addresses are not opened (dns.allow)";
  } else if (result.allowed) {
    result.verdict = target.to_string() + " is allowed: it resolves, and its addresses open " + ports.to_string();
  } else {
    result.verdict =
        target.to_string() + " is denied: the name resolves, but its addresses open only " + ports.to_string();
  }
  return result;
}

Explanation explain_address(const PolicyImage& image, const Target& target) {
  Explanation result;
  const std::string text = target.to_string();
  const CidrVerdict* cidr = image.find_cidr(*target.address);
  if (is_never_allowed(*target.address) && (cidr == nullptr || !on_port(cidr->narrow, target))) {
    result.verdict = text + " is denied: the address is never allowed (loopback, link-local, multicast or metadata)";
    result.notes.push_back(
        "Only a CIDR rule that lies wholly inside such a range opens it, as 169.254.170.23/32 does.");
    return result;
  }
  if (cidr != nullptr && is_denied(*cidr, target)) {
    result.verdict = text + " is denied by a CIDR rule";
    result.rules = rules_for(image, RuleKind::kDenyCidr, target);
    return result;
  }
  if (cidr != nullptr && on_port(cidr->allow, target)) {
    result.allowed = true;
    result.verdict = text + " is allowed by a CIDR rule";
    result.rules = rules_for(image, RuleKind::kAllowCidr, target);
    if (!cidr->deny.empty() && target.port == 0) {
      result.notes.push_back("Not on every port: " + cidr->deny.to_string() + " is denied there.");
    }
    return result;
  }
  result.verdict = text + " is denied: no CIDR rule of policy " + image.name + " allows it";
  if (cidr != nullptr && !cidr->allow.empty()) {
    result.verdict = text + " is denied: CIDR rules open only " + cidr->allow.to_string() + " there";
    Target any_port = target;
    any_port.port = 0;
    result.rules = rules_for(image, RuleKind::kAllowCidr, any_port);
  }
  result.notes.push_back("It opens for a while when a lookup of an allowed name returns it.");
  return result;
}

}  // namespace

Result<Target> Target::parse(std::string_view text) {
  Target target;
  std::string_view rest = text;
  if (const auto slash = rest.rfind('/'); slash != std::string_view::npos) {
    const std::string_view protocol = rest.substr(slash + 1);
    if (protocol != "tcp" && protocol != "udp") {
      return Error(Errc::kInvalid,
                   "\"" + printable(text) + "\": write a name or an address, with or without :PORT or :PORT/udp");
    }
    target.protocol = protocol == "udp" ? kProtocolUdp : kProtocolTcp;
    rest.remove_suffix(rest.size() - slash);
  }
  if (auto endpoint = Endpoint::parse(rest, 0)) {
    target.address = endpoint->address;
    target.port = endpoint->port;
    return target;
  }
  if (const auto colon = rest.rfind(':'); colon != std::string_view::npos) {
    PortSet port;
    const std::string_view digits = rest.substr(colon + 1);
    if (digits == "echo" || !port.add(digits) || port.ranges().size() != 1 ||
        port.ranges()[0].first != port.ranges()[0].last) {
      return Error(Errc::kInvalid, "\"" + printable(text) + "\" has no port from 1 to 65535");
    }
    target.port = port.ranges()[0].first;
    rest.remove_suffix(rest.size() - colon);
  }
  auto name = DnsName::from_text(rest);
  if (!name) {
    return std::move(name).error();
  }
  target.name = *name;
  return target;
}

std::string Target::to_string() const {
  std::string text = address ? address->to_string() : name.text();
  if (port != 0) {
    text = address ? Endpoint{*address, port}.to_string() : text + ":" + std::to_string(port);
    text += protocol == kProtocolUdp ? "/udp" : "";
  }
  return text;
}

Explanation explain(const PolicyImage& image, const SearchList& search, const Target& target) {
  return target.address ? explain_address(image, target) : explain_name(image, search, target);
}

std::vector<const Rule*> rules_in_order(const PolicyImage& image) {
  // As a reader asks: what is closed, what is open by address, what by name, what only resolves, who may come in.
  const auto order = [](RuleKind kind) {
    switch (kind) {
      case RuleKind::kDenyCidr:
        return 0;
      case RuleKind::kPassCidr:
        return 1;
      case RuleKind::kAllowCidr:
        return 2;
      case RuleKind::kAllowName:
        return 3;
      case RuleKind::kLookupOnly:
        return 4;
      case RuleKind::kInbound:
        return 5;
      case RuleKind::kClosed:
        return 6;
    }
    return 7;
  };
  std::vector<const Rule*> rules;
  for (const Rule& rule : image.rules) {
    rules.push_back(&rule);
  }
  std::ranges::stable_sort(rules, {}, [&](const Rule* rule) {
    return std::tuple(rule->owner->family, rule->owner->tier, order(rule->kind), std::string_view(rule->owner->title));
  });
  return rules;
}

std::string layer_of(const Rule& rule) {
  const RuleOwner& owner = *rule.owner;
  const bool tiers =
      owner.family == Family::kNative || owner.family == Family::kAws || owner.family == Family::kUpstream;
  return std::string(name_of(owner.family)) + (tiers ? ", " + std::string(name_of(owner.tier)) + " tier" : "");
}

}  // namespace postern
