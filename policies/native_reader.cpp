// SPDX-License-Identifier: Apache-2.0
#include "policies/native_reader.h"

#include <algorithm>

#include "base/log.h"
#include "policies/kubernetes_fields.h"
#include "policies/never_list.h"
#include "policies/public_suffix.h"
#include "policies/template_reader.h"

namespace postern {
namespace {

constexpr std::size_t kDenialTextMax = 120;

std::vector<CidrRule> read_cidrs(const YamlField& rule, const PortSet& ports) {
  std::vector<CidrRule> rules;
  for (const YamlField& item : rule["cidrs"].items()) {
    if (const auto prefix = read_cidr(item)) {
      rules.push_back({*prefix, {}, ports, {item.place(), ""}, {}, false});
    }
  }
  for (const YamlField& item : rule["except"].items()) {
    const auto hole = read_cidr(item);
    if (!hole) {
      continue;
    }
    bool inside = false;
    for (CidrRule& cidr : rules) {
      if (cidr.prefix == *hole) {
        item.error(hole->to_string() + " is a whole cidr of this rule, which would open nothing: remove both");
      }
      if (cidr.prefix.contains(*hole)) {
        cidr.except.push_back(*hole);
        inside = true;
      }
    }
    if (!inside) {
      item.error(hole->to_string() +
                 " lies in none of the cidrs of this rule: remove it, or add the cidr it is a hole in");
    }
  }
  return rules;
}

void refuse_strangers(const YamlField& item, const NamePattern& pattern, std::string_view how) {
  if (const auto known = check_strangers(pattern, how); !known) {
    item.error(known.error().message());
  }
}

void read_names(const YamlField& rule, const PortSet& ports, Policy& policy) {
  const bool strangers = rule["risk"].present() && rule["risk"].word_or("user-content", {"user-content"}) != "";
  if (strangers && !rule["names"].present()) {
    rule["risk"].error("is about names, and there are none here: remove it");
  }
  for (const YamlField& item : rule["names"].items()) {
    if (auto pattern = read_pattern(item, item.text())) {
      if (!strangers) {
        refuse_strangers(item, *pattern, ", or write risk: user-content in this rule to open them all");
      }
      policy.allow_names.push_back({*pattern, ports, {item.place(), ""}, {}});
    }
  }
}

void read_allow(const YamlField& rule, const TemplateSet& templates, Policy& policy) {
  if (!rule.only({"templates", "names", "cidrs", "except", "ports", "risk"})) {
    return;
  }
  const bool has_templates = rule["templates"].present();
  const bool has_targets = rule["names"].present() || rule["cidrs"].present();
  if (!has_templates && !has_targets) {
    rule.error("says nothing to allow: give templates, names or cidrs");
  }
  if (has_templates && !has_targets && rule["ports"].present()) {
    rule["ports"].error("templates bring their own ports: remove this, or list the names here");
  }
  for (const char* key : {"templates", "names", "cidrs"}) {
    if (rule[key].type() == YamlField::Type::kList && rule[key].items().empty()) {
      rule[key].warn("is empty and opens nothing");
    }
  }
  const PortSet ports = read_ports(rule["ports"], PortSet::https());
  for (const YamlField& item : rule["templates"].items()) {
    use_template(item, templates, policy);
  }
  read_names(rule, ports, policy);
  std::ranges::move(read_cidrs(rule, ports), std::back_inserter(policy.allow_cidrs));
  if (rule["except"].present() && !rule["cidrs"].present()) {
    rule["except"].error("is a hole in cidrs, and there are none here");
  }
}

void read_deny(const YamlField& rule, Policy& policy) {
  if (!rule.only({"cidrs", "ports"})) {
    return;
  }
  if (!rule["cidrs"].present()) {
    rule.error("says nothing to deny: give cidrs (a name is denied by not allowing it)");
  } else if (rule["cidrs"].type() == YamlField::Type::kList && rule["cidrs"].items().empty()) {
    rule["cidrs"].error("is empty and closes nothing: give cidrs, or remove the rule");
  }
  std::ranges::move(read_cidrs(rule, read_ports(rule["ports"], PortSet::all())), std::back_inserter(policy.deny_cidrs));
}

void read_inbound(const YamlField& rule, InboundRules& inbound) {
  if (!rule.only({"from", "cidrs", "ports"})) {
    return;
  }
  if (rule["from"].present() == rule["cidrs"].present()) {
    rule.error("give either from: pods, from: link, or cidrs");
    return;
  }
  if (rule["from"].present()) {
    const std::string from = rule["from"].word_or("pods", {"pods", "link"});
    (from == "pods" ? inbound.from_pods : inbound.from_link) = true;
    if (rule["ports"].present()) {
      rule["ports"].error("ports go with cidrs; from: " + from + " opens every port");
    }
    return;
  }
  std::ranges::move(read_cidrs(rule, read_ports(rule["ports"], PortSet::all())), std::back_inserter(inbound.cidrs));
}

/// A field whose other values belong to the format and are not enforced yet: refused, never ignored.
void read_enforced(const YamlField& field, std::string_view enforced, std::initializer_list<std::string_view> later) {
  if (!field.present()) {
    return;
  }
  const std::string word = field.text();
  if (std::ranges::find(later, word) != later.end()) {
    field.error("\"" + word + "\" is not enforced by this version: write " + std::string(enforced) +
                ", or remove the field");
    return;
  }
  field.word_or(enforced, {enforced});
}

void read_dns(const YamlField& dns, Policy& policy) {
  dns.only({"allow", "mode", "types", "private", "grace_s", "denial", "text"});
  policy.dns.as_written = dns["mode"].word_or("narrowed", {"narrowed", "as-written"}) == "as-written";
  for (const YamlField& item : dns["allow"].items()) {
    if (auto pattern = read_pattern(item, item.text())) {
      refuse_strangers(item, *pattern, "");
      policy.allow_names.push_back({*pattern, PortSet(), {item.place(), ""}, {}});
    }
  }
  if (dns["types"].present()) {
    dns["types"].error("is not enforced by this version, which passes A, AAAA and CNAME: remove the field");
  }
  read_enforced(dns["denial"], "nodata", {"nxdomain", "refused"});
  for (const YamlField& item : dns["private"].items()) {
    if (const auto prefix = read_cidr(item)) {
      if (!is_private(prefix->address)) {
        item.warn(prefix->to_string() + " is not private, so answers may point there in any case");
      }
      policy.dns.private_allowed.push_back(*prefix);
    }
  }
  policy.dns.grace_s = static_cast<int>(dns["grace_s"].number_or(120, 0, 86400));
  policy.dns.denial_text = dns["text"].text_or("");
  const bool odd = std::ranges::any_of(policy.dns.denial_text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (policy.dns.denial_text.size() > kDenialTextMax || odd) {
    dns["text"].error("must be one line of at most " + std::to_string(kDenialTextMax) + " bytes");
  }
}

bool is_object_name(std::string_view name) {
  return !name.empty() && name.size() <= 63 && name.front() != '-' && name.back() != '-' &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

std::string read_namespace(const YamlField& field) {
  const std::string space = field.text_or("");
  if (field.present() && field.type() == YamlField::Type::kScalar && !is_object_name(space)) {
    field.error("\"" + printable(space.substr(0, 80)) +
                "\" is not a namespace: use up to 63 lower-case letters, digits and hyphens");
    return "";
  }
  return space;
}

/// Which pods it is for. Without a selector none, so that a half-written policy takes no pod over.
void read_subject(const YamlField& spec, Policy& policy) {
  const bool cluster = policy.kind == "ClusterEgressPolicy";
  if (!spec["selector"].present() && !(cluster && spec["namespaceSelector"].present())) {
    return;
  }
  PodSelector subject;
  subject.pods = read_label_selector(spec["selector"]);
  if (!cluster) {
    subject.space = policy.space;
  } else if (spec["namespaceSelector"].present()) {
    subject.spaces = read_label_selector(spec["namespaceSelector"]);
  }
  policy.subject = std::move(subject);
}

void read_tier(const YamlField& spec, Policy& policy) {
  const std::string tier = spec["tier"].word_or("Application", {"Admin", "Application", "Baseline"});
  policy.tier = tier == "Admin" ? Tier::kAdmin : tier == "Baseline" ? Tier::kBaseline : Tier::kApplication;
  policy.priority = static_cast<int>(spec["priority"].number_or(500, 0, 1000));
}

void read_head(const YamlField& document, Policy& policy) {
  document.only({"apiVersion", "kind", "metadata", "spec", "status"});
  policy.kind = document["kind"].text();
  policy.name = read_object_name(document);
  policy.place = document.place();
  const YamlField space = document["metadata"]["namespace"];
  if (policy.kind != "ClusterEgressPolicy") {
    policy.space = read_namespace(space);
  } else if (space.present()) {
    space.error("a ClusterEgressPolicy is an object of the whole cluster: remove it");
  }
}

}  // namespace

Policy read_native_policy(const YamlField& document, const TemplateSet& templates) {
  Policy policy;
  read_head(document, policy);
  const YamlField spec = document["spec"];
  if (!spec.present()) {
    spec.error("is missing: write spec: {} for a policy that denies everything");
    return policy;
  }
  if (policy.kind == "ClusterEgressPolicy") {
    spec.only(
        {"tier", "priority", "namespaceSelector", "selector", "mode", "allow", "deny", "inbound", "dns", "onDeny"});
    read_tier(spec, policy);
  } else {
    spec.only({"selector", "mode", "allow", "deny", "inbound", "dns", "onDeny"});
  }
  read_subject(spec, policy);
  read_enforced(spec["mode"], "enforce", {"audit"});
  read_enforced(spec["onDeny"], "drop", {"reject"});
  for (const YamlField& rule : spec["allow"].items()) {
    read_allow(rule, templates, policy);
  }
  for (const YamlField& rule : spec["deny"].items()) {
    read_deny(rule, policy);
  }
  if (spec["inbound"].type() != YamlField::Type::kMissing) {
    policy.inbound.emplace();
    for (const YamlField& rule : spec["inbound"].items()) {
      read_inbound(rule, *policy.inbound);
    }
  }
  read_dns(spec["dns"], policy);
  return policy;
}

bool expect_kind(const YamlField& document, std::string_view kind) {
  if (document.type() != YamlField::Type::kMap) {
    document.error("not an object: begin with apiVersion: " + std::string(kApiVersion) +
                   " and kind: " + std::string(kind));
    return false;
  }
  const std::string version = document["apiVersion"].text();
  if (document["apiVersion"].type() == YamlField::Type::kScalar && version != kApiVersion) {
    document["apiVersion"].error("\"" + printable(version) + "\" is not known: write " + std::string(kApiVersion));
  }
  const std::string found = document["kind"].text();
  if (document["kind"].type() == YamlField::Type::kScalar && found != kind) {
    document["kind"].error("\"" + printable(found) + "\" does not belong in this file: write " + std::string(kind));
  }
  return version == kApiVersion && found == kind;
}

std::string read_object_name(const YamlField& document) {
  const YamlField metadata = document["metadata"];
  only_metadata(metadata);
  const YamlField field = metadata["name"];
  const std::string name = field.text();
  if (!is_object_name(name) && field.type() == YamlField::Type::kScalar) {
    field.error("\"" + printable(name.substr(0, 80)) +
                "\" is not an object name: use up to 63 lower-case letters, digits and hyphens");
  }
  return name;
}

PortSet read_ports(const YamlField& ports, const PortSet& otherwise) {
  if (!ports.present()) {
    return otherwise;
  }
  PortSet set;
  const auto items = ports.items();
  for (const YamlField& item : items) {
    const std::string text = item.text();
    if (item.type() != YamlField::Type::kScalar) {
      continue;
    }
    if (const auto added = set.add(text); !added) {
      item.error(added.error().message());
    }
    if (set.ranges().size() > PortSet::kRangesMax) {
      ports.error("has more than " + std::to_string(PortSet::kRangesMax) +
                  " ranges: join neighbouring ports into ranges");
      break;
    }
  }
  if (items.empty() && ports.type() == YamlField::Type::kList) {
    ports.error("is an empty list, which would open nothing: give ports, or remove it for " + otherwise.to_string());
  }
  return set;
}

Result<NamePattern> parse_pattern(std::string_view text) {
  const auto invalid = [&](const std::string& why) {
    return Error(Errc::kInvalid, "\"" + printable(text) + "\" " + why);
  };
  if (text.empty()) {
    return Error(Errc::kInvalid, "a name is empty");
  }
  if (Prefix::parse(text)) {
    return invalid("is an address: write it under cidrs");
  }
  auto pattern = NamePattern::parse(text, Dialect::kNative);
  if (!pattern) {
    return pattern;
  }
  const std::string plain = pattern->labels().text();
  const std::size_t last_star = plain.rfind('*');
  const bool wild = pattern->below() || last_star != std::string::npos;
  const auto labels_behind = last_star != std::string::npos
                                 ? std::count(plain.begin() + static_cast<std::ptrdiff_t>(last_star), plain.end(), '.')
                             : pattern->is_any() ? 0
                                                 : std::ranges::count(plain, '.') + 1;
  if (wild && labels_behind < 2) {
    // Whoever registers a name below the top level could be reached.
    return invalid(
        "would open names of a whole top-level domain: put two labels or more behind the last \"*\", as in "
        "*.example.com");
  }
  if (std::ranges::all_of(plain.substr(plain.rfind('.') + 1), [](char c) { return c >= '0' && c <= '9'; })) {
    return invalid("is not a host name: its last label is a number (an address goes under cidrs, a port under ports)");
  }
  return pattern;
}

std::optional<NamePattern> read_pattern(const YamlField& field, std::string_view text) {
  auto pattern = parse_pattern(text);
  if (pattern) {
    return *pattern;
  }
  if (!text.empty() || field.type() == YamlField::Type::kScalar) {
    field.error(pattern.error().message());
  }
  return std::nullopt;
}

}  // namespace postern
