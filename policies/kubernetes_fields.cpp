// SPDX-License-Identifier: Apache-2.0
#include "policies/kubernetes_fields.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"

namespace postern {
namespace {

/// RFC 1123 subdomain, which the API server wants of names.
bool is_subdomain(std::string_view name) {
  return !name.empty() && name.size() <= 253 && name.front() != '-' && name.back() != '-' && name.front() != '.' &&
         name.back() != '.' && std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
         });
}

std::string read_name(const YamlField& field) {
  const std::string name = field.text();
  if (field.type() == YamlField::Type::kScalar && !is_subdomain(name)) {
    field.error("\"" + printable(name.substr(0, 80)) +
                "\" is not an object name: use up to 253 lower-case letters, digits, hyphens and dots");
    return "";
  }
  return name;
}

LabelRequirement read_requirement(const YamlField& field) {
  LabelRequirement requirement;
  if (!field.only({"key", "operator", "values"})) {
    return requirement;
  }
  using Op = LabelRequirement::Op;
  requirement.key = field["key"].text();
  const std::string op = field["operator"].text();
  const bool known = field["operator"].type() == YamlField::Type::kScalar;
  if (known) {
    field["operator"].word_or("Exists", {"In", "NotIn", "Exists", "DoesNotExist"});
  }
  requirement.op = op == "In"             ? Op::kIn
                   : op == "NotIn"        ? Op::kNotIn
                   : op == "DoesNotExist" ? Op::kDoesNotExist
                                          : Op::kExists;
  for (const YamlField& value : field["values"].items()) {
    requirement.values.push_back(value.text());
  }
  const bool wants_values = requirement.op == Op::kIn || requirement.op == Op::kNotIn;
  if (wants_values && requirement.values.empty()) {
    field["values"].error("is empty: " + op + " needs one value or more");
  }
  if (!wants_values && !requirement.values.empty()) {
    field["values"].error(op + " takes no values: remove them, or write In");
  }
  return requirement;
}

}  // namespace

void only_metadata(const YamlField& metadata) {
  metadata.only({"name", "namespace", "labels", "annotations", "uid", "resourceVersion", "generation",
                 "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields",
                 "ownerReferences", "finalizers", "selfLink", "generateName"});
}

void read_object(const YamlField& document, bool namespaced, Policy& policy) {
  document.only({"apiVersion", "kind", "metadata", "spec", "specs", "status"});
  policy.place = document.place();
  policy.kind = document["kind"].text();
  const YamlField metadata = document["metadata"];
  only_metadata(metadata);
  policy.name = read_name(metadata["name"]);
  if (!namespaced) {
    if (metadata["namespace"].present()) {
      metadata["namespace"].error(policy.kind + " is an object of the whole cluster: remove the namespace");
    }
    return;
  }
  policy.space = metadata["namespace"].present() ? read_name(metadata["namespace"]) : "";
}

LabelSelector read_label_selector(const YamlField& selector) {
  LabelSelector read;
  if (!selector.only({"matchLabels", "matchExpressions"})) {
    return read;
  }
  for (const auto& [key, value] : selector["matchLabels"].entries()) {
    read.labels[key] = value.text();
  }
  for (const YamlField& item : selector["matchExpressions"].items()) {
    read.requirements.push_back(read_requirement(item));
  }
  return read;
}

std::optional<std::uint8_t> read_protocol(const YamlField& protocol) {
  if (!protocol.present()) {
    return kProtocolTcp;
  }
  const std::string word = protocol.text();
  if (word == "TCP") {
    return kProtocolTcp;
  }
  if (word == "UDP") {
    return kProtocolUdp;
  }
  if (protocol.type() == YamlField::Type::kScalar) {
    protocol.error("\"" + printable(word) + "\" cannot be enforced by port: write TCP or UDP");
  }
  return std::nullopt;
}

std::optional<std::uint16_t> read_port_number(const YamlField& port) {
  const std::string text = port.text();
  unsigned number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed == std::errc() && end == text.data() + text.size() && number >= 1 && number <= 65535) {
    return static_cast<std::uint16_t>(number);
  }
  if (port.type() == YamlField::Type::kScalar) {
    const bool name = !text.empty() && std::ranges::any_of(text, [](char c) { return c >= 'a' && c <= 'z'; });
    port.error(
        "\"" + printable(text.substr(0, 40)) + "\" is " +
        (name ? "a port's name, and each pod may mean another by it: write the number" : "not a port from 1 to 65535"));
  }
  return std::nullopt;
}

PortSet read_network_ports(const YamlField& ports) {
  const auto items = ports.items();
  if (items.empty()) {
    return PortSet::all();
  }
  PortSet set;
  for (const YamlField& item : items) {
    if (!item.only({"protocol", "port", "endPort"})) {
      continue;
    }
    const auto protocol = read_protocol(item["protocol"]);
    PortRange range{protocol.value_or(kProtocolTcp), 0, 65535};
    if (item["port"].present()) {
      const auto first = read_port_number(item["port"]);
      const auto last = item["endPort"].present() ? read_port_number(item["endPort"]) : first;
      if (!first || !last) {
        continue;
      }
      if (*last < *first) {
        item["endPort"].error("is less than port: write the higher one here");
        continue;
      }
      range.first = *first;
      range.last = *last;
    } else if (item["endPort"].present()) {
      item["endPort"].error("needs a port, the first of the range");
      continue;
    }
    if (protocol) {
      set.add(range);
    }
  }
  return set;
}

std::optional<Prefix> read_cidr(const YamlField& field) {
  const std::string text = field.text();
  if (field.type() != YamlField::Type::kScalar) {
    return std::nullopt;
  }
  auto prefix = Prefix::parse(text);
  if (!prefix) {
    field.error(prefix.error().message());
    return std::nullopt;
  }
  return *prefix;
}

std::optional<CidrRule> read_ip_block(const YamlField& block) {
  if (!block.only({"cidr", "except"})) {
    return std::nullopt;
  }
  const auto prefix = read_cidr(block["cidr"]);
  if (!prefix) {
    return std::nullopt;
  }
  CidrRule rule{*prefix, {}, {}, {block["cidr"].place(), ""}, {}, false};
  for (const YamlField& item : block["except"].items()) {
    const auto hole = read_cidr(item);
    if (hole && !prefix->contains(*hole)) {
      item.error(hole->to_string() + " does not lie in " + prefix->to_string() + ": remove it");
    } else if (hole) {
      rule.except.push_back(*hole);
    }
  }
  return rule;
}

std::optional<NamePattern> read_foreign_pattern(const YamlField& field, Dialect dialect) {
  const std::string text = field.text();
  if (field.type() != YamlField::Type::kScalar) {
    return std::nullopt;
  }
  auto pattern = NamePattern::parse(text, dialect);
  if (!pattern) {
    field.error(pattern.error().message());
    return std::nullopt;
  }
  return *pattern;
}

bool is_for_egress(const YamlField& spec) {
  const YamlField types = spec["policyTypes"];
  if (!types.present()) {
    return spec["egress"].present();
  }
  bool egress = false;
  for (const YamlField& item : types.items()) {
    egress = item.word_or("Ingress", {"Ingress", "Egress"}) == "Egress" || egress;
  }
  if (!egress && spec["egress"].present() && !spec["egress"].items().empty()) {
    types.error("does not list Egress, and there are egress rules: add Egress, or remove the rules");
  }
  return egress;
}

void offer_ipv6_twins(const YamlField& rules, const Policy& policy) {
  struct Twin {
    const char* v4;
    const char* v6;
  };
  constexpr Twin kMetadata[] = {{"169.254.169.254", "fd00:ec2::254"}, {"169.254.170.2", "fd00:ec2::23"}};
  const auto denies = [&](const char* text) {
    return std::ranges::any_of(policy.deny_cidrs,
                               [&](const CidrRule& rule) { return rule.prefix.contains(*Address::parse(text)); });
  };
  for (const Twin& twin : kMetadata) {
    if (denies(twin.v4) && !denies(twin.v6)) {
      rules.warn(std::string("denies ") + twin.v4 + " and not its IPv6 twin: add " + twin.v6 +
                 "/128 (closed here in any case, but other enforcers let it pass)");
    }
  }
}

}  // namespace postern
