// SPDX-License-Identifier: Apache-2.0
//
// Templates put together: extends, except, and the fields of an entry.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

constexpr const char* kBase = R"(apiVersion: postern.dev/v1alpha1
kind: AllowlistTemplate
metadata: {name: base}
spec:
  version: 2026-11-27
  purpose: base
  parameters: [{name: region, purpose: where, default: "*"}]
  groups:
  - name: api
    purpose: calls
    source: https://example.com/docs
    checked: 2026-11-26
    risk: user-content
    names:
    - sts.example.com
    - {name: "sts.{region}.example.com", purpose: in a region, checked: 2026-11-27, ports: [8443]}
  - name: files
    purpose: downloads
    names: ["*.files.example.com", files.example.com]
    cidrs: [{cidr: 192.0.2.0/24, purpose: a mirror}]
---
)";

std::string child(const std::string& spec) {
  return kBase + template_text("  purpose: child\n  parameters: [{name: zone, purpose: where, default: one}]\n" + spec);
}

std::vector<std::string> texts_of(const AllowlistTemplate& object) {
  std::vector<std::string> texts;
  for (const TemplateEntry& entry : object.entries) {
    texts.push_back(entry.group + " " + entry.text);
  }
  return texts;
}

std::string link_errors(const std::string& text) {
  Diagnostics diagnostics;
  link_templates(read_templates(text, "tools.yaml", diagnostics), diagnostics);
  return diagnostics.failed() ? diagnostics.to_error().message() : "";
}

using Texts = std::vector<std::string>;

TEST_CASE("templates: an entry takes from its group what it does not say itself", "[policies]") {
  const auto object = templates_of(kBase).at("base");
  CHECK(object.version == "2026-11-27");
  const TemplateEntry& plain = object.entries.at(0);
  CHECK(plain.purpose == "calls");
  CHECK(plain.source == "https://example.com/docs");
  CHECK(plain.checked == "2026-11-26");
  CHECK(plain.user_content);
  CHECK(plain.ports == PortSet::https());
  CHECK(plain.place.to_string() == "tools.yaml:15:7");
  const TemplateEntry& own = object.entries.at(1);
  CHECK(own.purpose == "in a region");
  CHECK(own.source == "https://example.com/docs");
  CHECK(own.checked == "2026-11-27");
  CHECK(own.user_content);
  CHECK(own.ports.to_string() == "8443/tcp");
  CHECK(own.place.to_string() == "tools.yaml:16:14");
  CHECK_FALSE(object.entries.at(2).user_content);
  CHECK(object.entries.at(4).text == "192.0.2.0/24");
  CHECK(object.entries.at(4).cidr.has_value());
}

TEST_CASE("templates: extends brings groups and entries, which keep their home", "[policies]") {
  const auto all =
      templates_of(child("  extends: [base]\n  groups: [{name: own, purpose: mine, names: [a.example]}]\n"));
  const auto& object = all.at("tools");
  CHECK(texts_of(object) == Texts{"api sts.example.com", "api sts.*.example.com", "files *.files.example.com",
                                  "files files.example.com", "files 192.0.2.0/24", "own a.example"});
  CHECK(object.entries.front().home == "base");
  CHECK(object.entries.back().home == "tools");
  CHECK(std::ranges::find(object.groups, "files", &TemplateGroup::name)->purpose == "downloads");
  const Policy policy = policy_of("  allow:\n  - templates: [{name: tools, groups: [api]}]\n", all);
  REQUIRE(policy.allow_names.size() == 2);
  CHECK(policy.allow_names[0].origin.to_string() == "tools.yaml:15:7 (template tools at agent.yaml:7:17)");
}

TEST_CASE("templates: extends chooses groups and passes values on", "[policies]") {
  const auto [params, text] = GENERATE(table<std::string, std::string>({
      {"", "sts.*.example.com"},
      {", params: {region: eu-1}", "sts.eu-1.example.com"},
      {", params: {region: \"{zone}\"}", "sts.{zone}.example.com"},
  }));
  const auto all = templates_of(child("  extends: [{name: base, groups: [api]" + params + "}]\n"));
  CHECK(texts_of(all.at("tools")) == Texts{"api sts.example.com", "api " + text});
  CHECK(all.at("tools").groups.size() == 1);
}

TEST_CASE("templates: a parameter of the same name is passed on by itself", "[policies]") {
  const auto all = templates_of(kBase + template_text("  purpose: child\n  parameters: [{name: region, purpose: where, "
                                                      "default: one}]\n  extends: [{name: base, groups: [api]}]\n"));
  CHECK(texts_of(all.at("tools")).back() == "api sts.{region}.example.com");
  const Policy policy = policy_of("  allow:\n  - templates: [tools, {name: tools, params: {region: two}}]\n", all);
  CHECK(policy.allow_names.at(1).pattern.text() == "sts.one.example.com");
  CHECK(policy.allow_names.at(3).pattern.text() == "sts.two.example.com");
}

TEST_CASE("templates: what is inherited twice, or written again, is there once", "[policies]") {
  const auto all =
      templates_of(child("  extends: [base, {name: base, groups: [api]}]\n  groups:\n  - name: api\n    "
                         "purpose: mine\n    names: [{name: sts.example.com, purpose: again}]\n"));
  const auto& object = all.at("tools");
  CHECK(object.entries.size() == 5);
  CHECK(object.entries.back().purpose == "again");
  CHECK(std::ranges::count(object.entries, "sts.example.com", &TemplateEntry::text) == 1);
}

TEST_CASE("templates: except takes out what it covers", "[policies]") {
  const auto [name, left] = GENERATE(table<std::string, std::size_t>({
      {"sts.example.com", 4},
      {"STS.example.com.", 4},
      {"\"*.files.example.com\"", 4},
      {"\"sts.*.example.com\"", 4},
      {"\"*.*.example.com\"", 3},
      {"192.0.2.0/24", 4},
      {"\"*.example.com\"", 1},
  }));
  const auto all = templates_of(child("  extends: [base]\n  except: [" + name + "]\n"));
  CHECK(all.at("tools").entries.size() == left);
}

TEST_CASE("templates: an exception and names whose parameter nobody knows yet", "[policies]") {
  const auto [name, message] = GENERATE(table<std::string, std::string>({
      {"sts.eu-1.example.com", "\"sts.eu-1.example.com\" stays open by \"sts.{zone}.example.com\""},
      {"db.eu-1.example.com", "\"db.eu-1.example.com\" excepts nothing"},
  }));
  CHECK_THAT(link_errors(child("  extends: [{name: base, groups: [api], params: {region: \"{zone}\"}}]\n  except: [\"" +
                               name + "\"]\n")),
             ContainsSubstring(message));
}

TEST_CASE("templates: an exception with a parameter in it", "[policies]") {
  const auto name = GENERATE(as<std::string>(), "sts.{zone}.example.com", "sts.*.example.com");
  CHECK(link_errors(child("  extends: [{name: base, groups: [api], params: {region: \"{zone}\"}}]\n  except: [\"" +
                          name + "\"]\n")) == "");
}

TEST_CASE("templates: errors of extends and except, each where it stands", "[policies]") {
  const auto [spec, message] = GENERATE(table<std::string, std::string>({
      {"  extends: [bsae]\n", "tools.yaml:30:13: spec.extends[0]: there is no template \"bsae\": there is base, tools"},
      {"  extends: [{name: base, groups: [apis]}]\n",
       "tools.yaml:30:35: spec.extends[0].groups[0]: template base has no group \"apis\": it has api, files"},
      {"  extends: [{name: base, params: {zone: a}}]\n",
       "tools.yaml:30:41: spec.extends[0].params.zone: template base has no parameter \"zone\": it has region"},
      {"  extends: [{name: base, params: {region: \"{where}\"}}]\n",
       "tools.yaml:30:43: spec.extends[0].params.region: \"{where}\" is not one label of a name: write a word of "
       "letters, "
       "digits and hyphens, or \"*\" for any"},
      {"  extends: [tools]\n",
       "tools.yaml:30:13: spec.extends[0]: extends in a circle (tools -> tools): remove this one"},
      {"  extends: [base]\n  except: [db.example.com]\n",
       "tools.yaml:31:12: spec.except[0]: \"db.example.com\" excepts nothing: write a name or pattern as the list has "
       "it, "
       "or remove this"},
      {"  extends: [base]\n  except: [a.files.example.com]\n",
       "tools.yaml:31:12: spec.except[0]: \"a.files.example.com\" stays open by \"*.files.example.com\" "
       "(tools.yaml:19:13): except that, and list the names you need of it"},
      {"  extends: [base]\n  except: [sts.eu-1.example.com]\n",
       "tools.yaml:31:12: spec.except[0]: \"sts.eu-1.example.com\" stays open by \"sts.*.example.com\" "
       "(tools.yaml:16:14): except that, and list the names you need of it"},
      {"  extends: [base]\n  except: [\"*.b.files.example.com\"]\n",
       "tools.yaml:31:12: spec.except[0]: \"*.b.files.example.com\" stays open by \"*.files.example.com\" "
       "(tools.yaml:19:13): except that, and list the names you need of it"},
      {"  except: [a.example]\n  groups: [{name: a, purpose: b, names: [a.example]}]\n",
       "tools.yaml:30:11: spec.except: takes names out of the templates in extends, and there are none: remove it"},
  }));
  CHECK_THAT(link_errors(child(spec)), Equals(message));
}

TEST_CASE("templates: a circle is reported once", "[policies]") {
  const std::string one =
      "apiVersion: postern.dev/v1alpha1\nkind: AllowlistTemplate\nmetadata: {name: one}\nspec: "
      "{version: 2026-11-27, purpose: x, extends: [tools]}\n---\n";
  CHECK_THAT(link_errors(one + template_text("  purpose: x\n  extends: [one]\n")),
             Equals("tools.yaml:13:13: spec.extends[0]: extends in a circle (one -> tools -> one): remove this one"));
}

TEST_CASE("templates: values that do not fit where they are passed", "[policies]") {
  const std::string inside =
      "apiVersion: postern.dev/v1alpha1\nkind: AllowlistTemplate\nmetadata: {name: inside}\nspec: {version: "
      "2026-11-27, "
      "purpose: x, parameters: [{name: r, purpose: p, default: one}], groups: [{name: a, purpose: b, names: "
      "[\"x-{r}.example.com\"]}]}\n---\n";
  CHECK_THAT(link_errors(inside + template_text("  purpose: x\n  extends: [{name: inside, params: {r: \"*\"}}]\n")),
             ContainsSubstring("spec.extends[0]: \"x-*.example.com\" is not a host name"));
}

std::string link_of(const std::string& name, const std::string& before, const std::string& rest = "") {
  return "---\napiVersion: postern.dev/v1alpha1\nkind: AllowlistTemplate\nmetadata: {name: " + name +
         "}\nspec: {version: 2026-11-27, purpose: x, extends: [" + before + "]" + rest + "}\n";
}

TEST_CASE("templates: a long chain of them ends, whatever order their names have", "[policies]") {
  const auto first = GENERATE(true, false);
  std::string text = template_text("  purpose: x\n  groups: [{name: a, purpose: b, names: [a.example]}]\n");
  std::string before = "tools";
  for (int i = 0; i < 16; ++i) {
    std::string name = std::string(first ? "a" : "z") + std::string(1, static_cast<char>(first ? 'z' - i : 'a' + i));
    CHECK_THAT(link_errors(text), Equals(""));
    text += link_of(name, before);
    before = name;
  }
  CHECK_THAT(link_errors(text), ContainsSubstring("makes more than 16 templates that extend each other in a row"));
}

TEST_CASE("templates: many names that come from few end", "[policies]") {
  std::string parameters;
  std::string labels;
  for (int i = 0; i < 15; ++i) {
    const std::string name = "p" + std::to_string(i);
    parameters += (i == 0 ? "" : ", ") + ("{name: " + name + ", purpose: p, default: a}");
    labels += "{" + name + "}.";
  }
  const std::string rest = ", parameters: [" + parameters + "]";
  std::string text = template_text("  purpose: x\n  parameters: [" + parameters +
                                   "]\n  groups: [{name: a, purpose: b, names: [\"" + labels + "example.com\"]}]\n");
  std::string before = "tools";
  for (int i = 0; i < 15; ++i) {  // each doubles what the one before it has
    const auto with = [&](const char* value) {
      return "{name: " + before + ", params: {p" + std::to_string(i) + ": " + value + "}}";
    };
    text += link_of("t" + std::to_string(i), with("x") + ", " + with("y"), rest);
    before = "t" + std::to_string(i);
  }
  CHECK_THAT(link_errors(text), Equals(""));
  const std::string again = "{name: t13, params: {p14: x}}, {name: t13, params: {p14: y}}";
  text += link_of("last", again, rest) + link_of("more", again, rest);
  CHECK_THAT(link_errors(text), ContainsSubstring("templates inherit more than 100000 entries together: extend fewer"));
}

TEST_CASE("templates: fields of entries", "[policies]") {
  const auto [fields, message] = GENERATE(table<std::string, std::string>({
      {"source: http://example.com", "is not a link: write where the vendor documents this, beginning with https://"},
      {"source: \"https://exa mple.com\"", "is not a link"},
      {"checked: yesterday", "checked: \"yesterday\" is not a date: write the day of the check, as 2026-11-27"},
      {"checked: 2026-02-30", "is not a date"},
      {"checked: 2026-13-01", "is not a date"},
      {"risk: low", "risk: \"low\" is not known here: use one of user-content"},
      {"purposes: x", "unknown field \"purposes\": did you mean \"purpose\"?"},
      {"ports: [0]", "ports[0]"},
      {"purpose: [x]", "expected a single value, found a list"},
  }));
  CHECK_THAT(link_errors(template_text("  purpose: x\n  groups: [{name: a, purpose: b, names: [{name: a.example, " +
                                       fields + "}]}]\n")),
             ContainsSubstring(message));
}

TEST_CASE("templates: versions", "[policies]") {
  const auto [version, right] = GENERATE(table<std::string, bool>({
      {"2026-11-27", true},
      {"2024-02-29", true},
      {"2026-11-27.2", true},
      {"2026-02-29", false},
      {"2026-11-27-2", false},
      {"2026-11-27.", false},
      {"1.4", false},
      {"v2", false},
  }));
  const std::string text =
      "apiVersion: postern.dev/v1alpha1\nkind: AllowlistTemplate\nmetadata: {name: t}\nspec: {version: " + version +
      ", purpose: x, groups: [{name: a, purpose: b, names: [a.example]}]}\n";
  INFO(version);
  CHECK_THAT(link_errors(text), right ? Equals("")
                                      : Equals("tools.yaml:4:17: spec.version: \"" + version +
                                               "\" is not a version: write the date of the last change, as "
                                               "2026-11-27, or 2026-11-27.2 for the second of a day"));
}

}  // namespace
}  // namespace postern
