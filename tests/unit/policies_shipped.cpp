// SPDX-License-Identifier: Apache-2.0
//
// The data this project ships: the allowlists and the examples are right, and open what they say.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "policies/inventory_reader.h"
#include "policies/list_lint.h"
#include "policies/policy_test.h"
#include "policies_texts.h"

namespace postern {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = POSTERN_SOURCE_DIR;

std::string read(const fs::path& path) {
  std::ifstream file(path);
  REQUIRE(file);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<fs::path> yaml_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".yaml") {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

TemplateSet shipped() {
  Diagnostics diagnostics;
  std::vector<AllowlistTemplate> templates;
  for (const fs::path& file : yaml_files(kRoot / "allowlists")) {
    std::ranges::move(read_templates(read(file), file.filename().string(), diagnostics), std::back_inserter(templates));
  }
  TemplateSet linked = link_templates(std::move(templates), diagnostics);
  INFO((diagnostics.failed() ? diagnostics.to_error().message() : ""));
  REQUIRE_FALSE(diagnostics.failed());
  return linked;
}

TEST_CASE("shipped: the allowlists, each file named as its template, all of them installed", "[policies]") {
  const TemplateSet templates = shipped();
  const std::string installed = read(kRoot / "allowlists" / "CMakeLists.txt");
  for (const auto& [name, object] : templates) {
    CHECK(object.place.file == name + ".yaml");
    CHECK(installed.find(" " + name + ".yaml") != std::string::npos);
  }
  for (const char* known : {"aws-services", "certificates", "container-registries", "dev-tools", "devcontainer",
                            "git-hosts", "llm-apis", "model-hubs", "os-packages", "package-registries"}) {
    CHECK(templates.contains(known));
  }
}

TEST_CASE("shipped: every entry says what it is for, who says so and when that was checked", "[policies]") {
  for (const auto& [key, object] : shipped()) {
    std::set<std::pair<std::string, PortSet>> seen;
    for (const TemplateEntry& entry : object.entries) {
      INFO(key << " group " << entry.group << " " << entry.text);
      const auto group = std::ranges::find(object.groups, entry.group, &TemplateGroup::name);
      REQUIRE(group != object.groups.end());
      CHECK_FALSE(group->purpose.empty());
      CHECK_FALSE(entry.purpose.empty());
      CHECK(entry.purpose != group->purpose);
      CHECK(entry.source.starts_with("https://"));
      CHECK_FALSE(entry.checked.empty());
      CHECK(seen.emplace(entry.text, entry.ports).second);
      for (const PortRange& range : entry.ports.ranges()) {
        CHECK(range.first == range.last);
        const bool expected = range.first == 443 || (range.first == 22 && entry.group.ends_with("-ssh")) ||
                              (range.first == 80 && (key == "os-packages" || key == "certificates"));
        CHECK(expected);
      }
    }
  }
}

TEST_CASE("shipped: lint finds nothing to say of the allowlists", "[policies]") {
  for (const auto& [name, object] : shipped()) {
    for (const LintFinding& finding : lint_template(object)) {
      FAIL_CHECK(finding.place.to_string() << ": " << finding.message);
    }
  }
}

TEST_CASE("shipped: all templates together are one policy", "[policies]") {
  std::string all = "  allow:\n  - templates: [";
  const TemplateSet templates = shipped();
  for (const auto& [name, object] : templates) {
    all += (name == templates.begin()->first ? "" : ", ") + name;
  }
  const auto image = image_of(all + "]\n", templates);
  CHECK(image->ports_of(name("sts.amazonaws.com").wire()) == PortSet::https());
}

TEST_CASE("shipped: names that a first sketch of such a list forgets", "[policies]") {
  const auto image = image_of(
      "  allow:\n  - templates: [aws-services, llm-apis, package-registries, {name: dev-tools, params: {region: "
      "us-west-2}}]\n",
      shipped());
  const auto [host, open] = GENERATE(table<std::string, bool>({
      {"sts.amazonaws.com", true},  // global STS
      {"sts.eu-central-1.amazonaws.com", true},
      {"bedrock-runtime.us-east-1.amazonaws.com", true},
      {"bucket.s3.us-east-1.amazonaws.com", true},
      {"my.dotted.bucket.s3.us-east-1.amazonaws.com", true},
      {"bucket.s3.amazonaws.com", true},
      {"111122223333.ddb.us-east-1.amazonaws.com", true},
      {"111122223333.dkr.ecr.us-west-2.amazonaws.com", true},
      {"prod-us-west-2-starport-layer-bucket.s3.us-west-2.amazonaws.com", true},  // ECR layers
      {"111122223333.dkr.ecr.eu-west-1.amazonaws.com", false},
      {"api.anthropic.com", true},
      {"api.openai.com", true},
      {"release-assets.githubusercontent.com", true},  // redirected downloads
      {"objects.githubusercontent.com", true},
      {"codeload.github.com", true},
      {"production.cloudflare.docker.com", true},
      {"auth.docker.io", true},
      {"pypi.org", true},
      {"files.pythonhosted.org", true},
      {"proxy.golang.org", true},
      {"sum.golang.org", true},  // checksums
      {"index.crates.io", true},
      {"static.crates.io", true},
      {"index.rubygems.org", true},
      {"cdn-lfs.hf.co", true},
      {"cas-server.xethub.hf.co", true},
      {"ec2.us-east-1.amazonaws.com", false},
      {"amazonaws.com", false},
      {"gist.github.com", false},
      {"notpypi.org", false},
      {"pypi.org.evil.example", false},
      {"storage.googleapis.com", false},
      {"example.com", false},
  }));
  INFO(host);
  CHECK(image->ports_of(name(host).wire()).contains(kProtocolTcp, 443) == open);
}

TEST_CASE("shipped: a group with a region opens that region only", "[policies]") {
  const auto image =
      image_of("  allow:\n  - templates: [{name: aws-services, groups: [bedrock, sts], params: {region: us-west-2}}]\n",
               shipped());
  CHECK_FALSE(image->ports_of(name("bedrock-runtime.us-west-2.amazonaws.com").wire()).empty());
  CHECK_FALSE(image->ports_of(name("sts.amazonaws.com").wire()).empty());
  CHECK(image->ports_of(name("bedrock-runtime.us-east-1.amazonaws.com").wire()).empty());
  CHECK(image->ports_of(name("s3.us-west-2.amazonaws.com").wire()).empty());
}

TEST_CASE("shipped: every example policy compiles without a warning", "[policies]") {
  const auto files = yaml_files(kRoot / "examples");
  CHECK_FALSE(files.empty());
  const TemplateSet templates = shipped();
  for (const fs::path& file : files) {
    Diagnostics diagnostics;
    PolicySet set;
    add_policies(read(file), file.filename().string(), templates, set, diagnostics);
    INFO((diagnostics.failed() ? diagnostics.to_error().message() : ""));
    CHECK_FALSE(diagnostics.failed());
    CHECK(diagnostics.warnings().empty());
    CHECK_FALSE(set.policies.empty());
  }
}

/// The text of every ```yaml block of a document.
std::vector<std::string> yaml_blocks(const fs::path& path) {
  std::vector<std::string> blocks;
  std::stringstream text(read(path));
  bool inside = false;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("```")) {
      inside = line == "```yaml";
      if (inside) {
        blocks.emplace_back();
      }
    } else if (inside) {
      blocks.back() += line + "\n";
    }
  }
  return blocks;
}

/// A piece of a spec as a policy: two spaces before every line.
std::string as_policy(const std::string& block) {
  std::string indented;
  std::stringstream text(block);
  for (std::string line; std::getline(text, line);) {
    indented += "  " + line + "\n";
  }
  return policy_text(indented);
}

TEST_CASE("shipped: every example in the documentation is right", "[policies]") {
  const TemplateSet templates = shipped();
  const fs::path page = kRoot / "docs" / GENERATE("policies.md", "allowlists.md");
  const auto blocks = yaml_blocks(page);
  CHECK_FALSE(blocks.empty());
  for (const std::string& block : blocks) {
    INFO(page << "\n" << block);
    if (block.find("kind: Inventory") != std::string::npos || block.find("kind: PolicyTest") != std::string::npos) {
      Diagnostics diagnostics;
      InventoryDraft draft;
      if (block.find("kind: Inventory") != std::string::npos) {
        read_inventory(block, "docs", draft, diagnostics);
      } else {
        CHECK(read_policy_tests(block, "docs", diagnostics).size() == 1);
      }
      CHECK_FALSE(diagnostics.failed());
      continue;
    }
    if (block.find("kind: AllowlistTemplate") != std::string::npos) {
      Diagnostics diagnostics;
      auto written = read_templates(block, "docs", diagnostics);
      CHECK(written.size() == 1);
      for (const auto& [name, object] : templates) {
        written.push_back(object);
      }
      link_templates(std::move(written), diagnostics);
      INFO((diagnostics.failed() ? diagnostics.to_error().message() : ""));
      CHECK_FALSE(diagnostics.failed());
      continue;
    }
    CHECK(errors_in(block.starts_with("apiVersion") ? block : as_policy(block), templates) == "");
  }
}

TEST_CASE("shipped: the reference agent reaches what its five steps need, and no more", "[policies]") {
  Diagnostics diagnostics;
  PolicySet set;
  add_policies(read(kRoot / "examples" / "reference-agent.yaml"), "reference-agent.yaml", shipped(), set, diagnostics);
  REQUIRE_FALSE(diagnostics.failed());
  const PolicyImage& image = *set.policies.at("agent-sandboxes/reference-agent").image;
  for (const char* open : {"pypi.org", "files.pythonhosted.org", "api.anthropic.com", "api.example.com"}) {
    CHECK(image.ports_of(name(open).wire()).contains(kProtocolTcp, 443));
  }
  CHECK_FALSE(image.names.match(name("blocked-example.example.com").wire()).matched());
  CHECK((image.find_cidr(address("8.8.8.8")) == nullptr || image.find_cidr(address("8.8.8.8"))->allow.empty()));
  CHECK(image.find_cidr(address("169.254.170.23"))->narrow.contains(kProtocolTcp, 80));
}

}  // namespace
}  // namespace postern
