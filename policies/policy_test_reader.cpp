// SPDX-License-Identifier: Apache-2.0
//
// PolicyTest from text.
#include "base/log.h"
#include "policies/inventory_objects.h"
#include "policies/kubernetes_fields.h"
#include "policies/native_reader.h"
#include "policies/policy_test.h"
#include "policies/yaml_field.h"

namespace postern {
namespace {

using Kind = Assertion::Kind;

/// "*{1}" stands for a leading label in the native dialect; targets know it as "*".
constexpr std::string_view kOneLabel = "*{1}";

bool is_lookup(Kind kind) { return kind == Kind::kResolves || kind == Kind::kRefuses; }

std::optional<Assertion> read_assertion(const YamlField& field, Kind kind) {
  const std::string text = field.text();
  if (text.empty()) {
    return std::nullopt;  // reported by text(), but for ""
  }
  const bool one = text.starts_with(kOneLabel);
  const auto target = Target::parse(one ? "*" + text.substr(kOneLabel.size()) : text);
  if (!target) {
    field.error(target.error().message());
    return std::nullopt;
  }
  Assertion read{.kind = kind,
                 .text = text,
                 .place = field.place(),
                 .field = field.path(),
                 .address = target->address,
                 .names = {},
                 .port = target->port,
                 .protocol = target->protocol};
  if (is_lookup(kind) && (read.address || read.port != 0)) {
    field.error("a lookup is of a name, without a port: write " +
                (read.address ? "it under allows or denies" : target->name.text()));
    return std::nullopt;
  }
  if (read.port == 0 && text.find('/') != std::string::npos) {
    field.error("\"" + printable(text) + "\" has a protocol and no port: write NAME:PORT/udp, or leave it out for any");
    return std::nullopt;
  }
  if (!read.address) {
    const std::string name = target->name.text();
    auto names = NamePattern::parse(one ? std::string(kOneLabel) + name.substr(1) : name, Dialect::kNative);
    if (!names) {
      field.error(names.error().message());
      return std::nullopt;
    }
    read.names = std::move(*names);
  }
  return read;
}

void read_sandbox(const YamlField& field, PolicyTestCase& test) {
  if (field["sandbox"].present() == field["policy"].present()) {
    field.error("say who is tested: either sandbox: {namespace: N, labels: {...}}, or policy: NAME");
    return;
  }
  if (field["policy"].present()) {
    test.policy = field["policy"].text();
    return;
  }
  const YamlField sandbox = field["sandbox"];
  if (sandbox.only({"namespace", "labels", "namespaceLabels"})) {
    test.sandbox = PodIdentity{sandbox["namespace"].text(), read_labels(sandbox["namespaceLabels"]),
                               read_labels(sandbox["labels"])};
  }
}

PolicyTestCase read_case(const YamlField& field) {
  PolicyTestCase test{.name = {}, .place = field.place(), .field = field.path()};
  if (!field.only({"name", "sandbox", "policy", "allows", "denies", "resolves", "refuses"})) {
    return test;
  }
  test.name = field["name"].text();
  read_sandbox(field, test);
  bool some = false;
  for (const Kind kind : {Kind::kAllows, Kind::kDenies, Kind::kResolves, Kind::kRefuses}) {
    for (const YamlField& item : field[verb_of(kind)].items()) {
      some = true;
      if (auto assertion = read_assertion(item, kind)) {
        test.assertions.push_back(std::move(*assertion));
      }
    }
  }
  if (!some) {
    field.error("asserts nothing: give allows, denies, resolves or refuses");
  }
  return test;
}

/// A path, or a list of them.
std::vector<WrittenPath> read_paths(const YamlField& field) {
  std::vector<WrittenPath> paths;
  const auto items = field.type() == YamlField::Type::kScalar ? std::vector{field} : field.items();
  for (const YamlField& item : items) {
    if (const std::string path = item.text(); !path.empty()) {
      paths.push_back({path, item.place()});
    } else if (item.type() == YamlField::Type::kScalar) {
      item.error("is empty: name a file or a folder, from the folder of this file");
    }
  }
  return paths;
}

PolicyTest read_test(const YamlField& document) {
  PolicyTest test{.place = document.place()};
  document.only({"apiVersion", "kind", "metadata", "policies", "templates", "inventory", "tests"});
  only_metadata(document["metadata"]);
  test.policies = read_paths(document["policies"]);
  test.inventory = read_paths(document["inventory"]);
  if (const YamlField templates = document["templates"]; templates.present()) {
    test.templates = WrittenPath{templates.text(), templates.place()};
  }
  if (!document["policies"].present()) {
    document["policies"].error("is missing: list the files under test, from the folder of this file");
  }
  for (const YamlField& item : document["tests"].items()) {
    test.cases.push_back(read_case(item));
  }
  if (!document["tests"].present()) {
    document["tests"].error("is missing: list tests, each with a name, a sandbox or a policy, and assertions");
  }
  return test;
}

}  // namespace

std::string_view verb_of(Assertion::Kind kind) {
  switch (kind) {
    case Kind::kAllows:
      return "allows";
    case Kind::kDenies:
      return "denies";
    case Kind::kResolves:
      return "resolves";
    case Kind::kRefuses:
      return "refuses";
  }
  return "asserts";
}

std::vector<PolicyTest> read_policy_tests(std::string_view text, const std::string& file, Diagnostics& diagnostics) {
  std::vector<PolicyTest> tests;
  for (const YamlField& document : YamlField::parse(text, file, diagnostics)) {
    if (expect_kind(document, "PolicyTest")) {
      tests.push_back(read_test(document));
    }
  }
  return tests;
}

}  // namespace postern
