// SPDX-License-Identifier: Apache-2.0
//
// Policies of other projects, as they are: the objects of an agent platform for two backends, with the
// traps in them, and each reader's fields one by one.
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "policies/denial.h"
#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;

struct Loaded {
  PolicySet set;
  Diagnostics diagnostics;
};

Loaded load(const std::string& text, const Inventory& inventory = {}) {
  Loaded loaded;
  loaded.set.inventory = inventory;
  add_policies(text, "p.yaml", {}, loaded.set, loaded.diagnostics);
  INFO((loaded.diagnostics.failed() ? loaded.diagnostics.to_error().message() : ""));
  REQUIRE_FALSE(loaded.diagnostics.failed());
  return loaded;
}

std::string blueprint(const std::string& file) {
  std::ifstream stream(std::string(POSTERN_OBJECTS) + "/blueprint/" + file);
  std::stringstream text;
  text << stream.rdbuf();
  REQUIRE_FALSE(text.str().empty());
  return text.str();
}

std::string errors_in_object(const std::string& text) {
  Diagnostics diagnostics;
  PolicySet set;
  add_policies(text, "p.yaml", {}, set, diagnostics);
  return diagnostics.failed() ? diagnostics.to_error().message() : "";
}

/// The policies of the pods of the blueprint's namespace that have these labels.
std::shared_ptr<const PolicyImage> image_for(const PolicySet& set, Labels labels) {
  const std::string key = set.select({"agent-sandboxes", {{"egress-tier", "sandbox"}}, std::move(labels)});
  REQUIRE_FALSE(key.empty());
  return set.image_of(key).value();
}

NameAnswer answer(const PolicyImage& image, std::string_view text) {
  const DnsName asked = name(text);
  return answer_for(asked.wire(), image.names.match(asked.wire()), {});
}

/// Looked up and then connected to, at an address that no rule names.
bool connects(const PolicyImage& image, std::string_view text, std::uint16_t port = 443) {
  const CidrVerdict* anywhere = image.find_cidr(address("203.0.113.5"));
  return answer(image, text) == NameAnswer::kAllow && image.ports_of(name(text).wire()).contains(kProtocolTcp, port) &&
         (anywhere == nullptr || !anywhere->deny.contains(kProtocolTcp, port));
}

bool open(const PolicyImage& image, std::string_view to, std::uint16_t port) {
  const CidrVerdict* verdict = image.find_cidr(address(to));
  return verdict != nullptr && verdict->allow.contains(kProtocolTcp, port) &&
         !verdict->deny.contains(kProtocolTcp, port);
}

const std::vector<const char*> kDevTools{"github.com",          "api.github.com",
                                         "registry.gitlab.com", "auth.docker.io",
                                         "public.ecr.aws",      "123456789012.dkr.ecr.us-east-1.amazonaws.com",
                                         "huggingface.co",      "cdn-lfs.hf.co"};
const std::vector<const char*> kPackages{"pypi.org",          "test.pypi.org",    "files.pythonhosted.org",
                                         "repo1.maven.org",   "proxy.golang.org", "static.crates.io",
                                         "index.rubygems.org"};
const std::vector<const char*> kLlm{"api.anthropic.com", "api.openai.com", "bedrock-runtime.us-west-2.amazonaws.com",
                                    "bedrock.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com"};
const std::vector<const char*> kAws{"s3.us-east-1.amazonaws.com", "bucket.s3.us-west-2.amazonaws.com",
                                    "dynamodb.us-east-1.amazonaws.com"};

void check_allowlists(const PolicySet& set) {
  const std::vector<std::pair<const char*, const std::vector<const char*>*>> lists{
      {"dev-tools", &kDevTools}, {"package-registries", &kPackages}, {"llm-apis", &kLlm}, {"aws-services", &kAws}};
  for (const auto& [label, own] : lists) {
    const auto image = image_for(set, {{"allowlist", label}});
    INFO(label);
    CHECK(answer(*image, "blocked-example.example.com") == NameAnswer::kNoData);
    CHECK_FALSE(open(*image, "8.8.8.8", 443));
    CHECK_FALSE(open(*image, "169.254.169.254", 80));
    for (const auto& [other, names] : lists) {
      for (const char* text : *names) {
        INFO(text);
        CHECK(connects(*image, text) ==
              (other == label ||
               (std::string_view(text).find("bedrock") == 0 && std::string_view(label) == "aws-services") ||
               (std::string_view(text).find("sts.") == 0 && std::string_view(label) == "aws-services")));
        CHECK_FALSE(connects(*image, text, 80));
      }
    }
  }
}

TEST_CASE("blueprint: ten Cilium objects load unchanged and say what they say there", "[policies]") {
  const Loaded loaded = load(blueprint("cilium.yaml"));
  CHECK(loaded.set.policies.size() == 10);
  check_allowlists(loaded.set);
  // A pod that only the administrator's objects select may look names up and reach nothing.
  const auto bare = image_for(loaded.set, {});
  CHECK(answer(*bare, "anything.example.com") == NameAnswer::kAllow);
  CHECK(bare->ports_of(name("anything.example.com").wire()).empty());
  CHECK_FALSE(open(*bare, "203.0.113.5", 443));
  // IPv4 alone is denied: told, with the twin.
  REQUIRE(loaded.diagnostics.warnings().size() >= 2);
  CHECK_THAT(loaded.diagnostics.warnings()[0].to_string(),
             ContainsSubstring("spec.egressDeny: denies 169.254.169.254 and not its IPv6 twin: add fd00:ec2::254/128"));
}

TEST_CASE("blueprint: eight AWS objects load unchanged and say what they say there", "[policies]") {
  const Loaded loaded = load(blueprint("aws.yaml"));
  CHECK(loaded.set.policies.size() == 8);
  CHECK(loaded.set.policies.contains("ClusterNetworkPolicy.networking.k8s.aws:admin-block-imds"));
  check_allowlists(loaded.set);
  // Selected by denials of an administrator alone: the rest stays open, which is not so with Cilium's objects.
  const auto bare = image_for(loaded.set, {});
  CHECK(open(*bare, "203.0.113.5", 443));
  CHECK(answer(*bare, "anything.example.com") == NameAnswer::kAllow);
  CHECK(bare->find_cidr(address("169.254.169.254"))->deny.is_all());
}

TEST_CASE("blueprint: its traps", "[policies]") {
  const PolicySet cilium = load(blueprint("cilium.yaml")).set;
  const PolicySet aws = load(blueprint("aws.yaml")).set;
  // A label picks one list, and a pod of the sandbox tier has that tier's list as well: they add up.
  const auto both = image_for(cilium, {{"allowlist", "dev-tools"}, {"egress-tier", "sandbox"}});
  CHECK(connects(*both, "github.com"));
  CHECK(connects(*both, "pypi.org"));
  CHECK(open(*both, "169.254.170.23", 80));
  CHECK_FALSE(open(*both, "169.254.170.23", 443));
  // The wildcard of a region misses the global name there; the other backend lists it.
  CHECK_FALSE(connects(*image_for(cilium, {{"allowlist", "llm-apis"}}), "sts.amazonaws.com"));
  CHECK(connects(*image_for(aws, {{"allowlist", "llm-apis"}}), "sts.amazonaws.com"));
  // Bucket names with dots: one label in one dialect, any in the other.
  CHECK_FALSE(connects(*image_for(cilium, {{"allowlist", "aws-services"}}), "my.bucket.s3.us-east-1.amazonaws.com"));
  CHECK(connects(*image_for(aws, {{"allowlist", "aws-services"}}), "my.bucket.s3.us-east-1.amazonaws.com"));
  // "*.amazonaws.com" is one label, or every endpoint there is.
  const auto agent_cilium = image_for(cilium, {{"egress-tier", "agent"}});
  const auto agent_aws = image_for(aws, {{"egress-tier", "agent"}});
  CHECK_FALSE(connects(*agent_cilium, "ec2.us-east-1.amazonaws.com"));
  CHECK(connects(*agent_aws, "ec2.us-east-1.amazonaws.com"));
  CHECK(answer(*agent_cilium, "global.amazonaws.com") == NameAnswer::kAllow);
  CHECK_FALSE(connects(*agent_cilium, "global.amazonaws.com"));
  // Everything, for one web page: all names and all addresses, and still no metadata.
  const auto page = image_for(cilium, {{"app", "openwebui"}});
  CHECK(answer(*page, "anything.example.com") == NameAnswer::kAllow);
  CHECK(open(*page, "203.0.113.5", 25));
  CHECK(page->find_cidr(address("169.254.169.254"))->deny.is_all());
}

TEST_CASE("blueprint: an agent's way to the API server and to its sandboxes is by the inventory", "[policies]") {
  Inventory cluster;
  cluster.pods = {prefix("10.244.0.0/16")};
  cluster.pod_list = {{"s", {"agent-sandboxes", {}, {}}, {address("10.244.1.5")}, false}};
  cluster.service_list = {{"default", "kubernetes", {}, {}, {address("10.96.0.1")}, {address("192.0.2.10")}, {}}};
  const PolicySet cilium = load(blueprint("cilium.yaml"), cluster).set;
  const auto agent = image_for(cilium, {{"egress-tier", "agent"}});
  CHECK(open(*agent, "10.96.0.1", 443));
  CHECK(open(*agent, "192.0.2.10", 6443));
  CHECK(open(*agent, "10.244.1.5", 8080));
  CHECK_FALSE(open(*agent, "10.244.1.6", 8080));
  CHECK_FALSE(open(*agent, "10.244.1.5", 80));
}

std::string cilium(std::string_view spec,
                   std::string_view kind = "CiliumNetworkPolicy",
                   std::string_view metadata = "name: a, namespace: x") {
  return "apiVersion: cilium.io/v2\nkind: " + std::string(kind) + "\nmetadata: {" + std::string(metadata) +
         "}\nspec: {" + std::string(spec) + "}\n";
}

std::string object(std::string_view version, std::string_view kind, std::string_view metadata, std::string_view spec) {
  return "apiVersion: " + std::string(version) + "\nkind: " + std::string(kind) + "\nmetadata: {" +
         std::string(metadata) + "}\nspec: {" + std::string(spec) + "}\n";
}

TEST_CASE("foreign kinds: a field that is not enforced refuses the object and is named", "[policies]") {
  struct Row {
    std::string text;
    const char* error;
  };
  const std::string all = "endpointSelector: {}, ";
  const std::string names = "toFQDNs: [{matchName: a.example}]";
  const auto anp = [](std::string_view spec) {
    return object("networking.k8s.aws/v1alpha1", "ApplicationNetworkPolicy", "name: a, namespace: x", spec);
  };
  const auto cnp = [](std::string_view egress) {
    return object("networking.k8s.aws/v1alpha1", "ClusterNetworkPolicy", "name: a",
                  "tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [" + std::string(egress) + "]");
  };
  const auto upstream = [](std::string_view egress) {
    return object("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", "name: a",
                  "tier: Admin, priority: 1, subject: {pods: {namespaceSelector: {}, podSelector: {}}}, egress: [" +
                      std::string(egress) + "]");
  };
  const auto np = [](std::string_view spec) {
    return object("networking.k8s.io/v1", "NetworkPolicy", "name: a, namespace: x", spec);
  };
  const auto gke = [](std::string_view spec) {
    return object("networking.gke.io/v1alpha1", "FQDNNetworkPolicy", "name: a, namespace: x", spec);
  };
  const std::vector<Row> rows{
      {cilium(all + "egress: [{icmps: []}]"), "spec.egress[0]: unknown field \"icmps\""},
      {cilium(all + "egress: [{toGroups: []}]"), "unknown field \"toGroups\""},
      {cilium(all + "egress: [{" + names + ", authentication: {mode: required}}]"), "unknown field \"authentication\""},
      {cilium(all + "nodeSelector: {}, egress: []"), "spec: unknown field \"nodeSelector\""},
      {cilium(all + "egress: [{toPorts: [{ports: [{port: '80'}], rules: {http: [{}]}}]}]"),
       "toPorts[0].rules: unknown field \"http\""},
      {cilium(all + "egress: [{toPorts: [{ports: [{port: '443'}], serverNames: [a]}]}]"),
       "unknown field \"serverNames\""},
      {cilium(all + "egress: [{toPorts: [{ports: [{port: '80'}], rules: {dns: [{matchName: a.b}]}}]}]"),
       "put it under port 53"},
      {cilium(all + "egress: [{toPorts: [{ports: [{port: https}]}]}]"), "ports[0].port: \"https\" is a port's name"},
      {cilium(all + "egress: [{toPorts: [{ports: [{port: '1', protocol: SCTP}]}]}]"),
       "\"SCTP\" cannot be enforced by port"},
      {cilium(all + "egress: [{toEntities: [ingress]}]"), "entity \"ingress\" is not known here"},
      {cilium(all + "egress: [{toFQDNs: [{matchName: '*.a.example'}]}]"), "write it as matchPattern"},
      {cilium(all + "egress: [{toFQDNs: [{}]}]"), "give either matchName or matchPattern"},
      {cilium(all + "egress: [{" + names + ", toCIDR: [10.0.0.0/8]}]"), "does not go together with other peers"},
      {cilium(all + "egressDeny: [{" + names + "}]"), "a name cannot be denied"},
      {cilium(all + "egress: [{toCIDRSet: [{cidr: 10.0.0.0/8, cidrGroupRef: a}]}]"), "unknown field \"cidrGroupRef\""},
      {cilium(all + "egress: [{toCIDRSet: [{cidr: 10.0.0.0/8, except: [11.0.0.0/16]}]}]"),
       "does not lie in 10.0.0.0/8"},
      {cilium(all + "egress: [{toEndpoints: [{matchLabels: {'reserved:health': ''}}]}]"), "label source \"reserved\""},
      {cilium("egress: []"), "spec.endpointSelector: is missing"},
      {cilium(all + "egress: []", "CiliumClusterwideNetworkPolicy"), "remove the namespace"},
      {cilium(all + "egress: [{toFQDNs: [{matchPattern: 'a b'}]}]"), "toFQDNs[0].matchPattern: \"a b\" is no pattern"},
      {"apiVersion: cilium.io/v3\nkind: CiliumNetworkPolicy\nmetadata: {name: a}\nspec: {}\n",
       "\"cilium.io/v3\" is not known: write cilium.io/v2"},
      {anp("podSelector: {}, egress: [{to: [{networks: [10.0.0.0/8]}]}]"),
       "egress[0].to[0]: unknown field \"networks\""},
      {anp("podSelector: {}, egress: [{to: [{}]}]"), "is an empty peer, which means nobody"},
      {anp("podSelector: {}, egress: [{to: [{domainNames: [a.example], podSelector: {}}]}]"),
       "mixes peers of several kinds"},
      {anp("podSelector: {}, egress: [{to: [{domainNames: ['*']}]}]"), "domainNames[0]"},
      {anp("podSelector: {}, egress: [{to: [{domainNames: ['*.com']}]}]"), "one label behind"},
      {anp("podSelector: {}, egress: [{ports: [{port: dns}], to: [{domainNames: [a.example]}]}]"), "write the number"},
      {anp("policyTypes: [Ingress], podSelector: {}, egress: [{}]"), "add Egress, or remove the rules"},
      {cnp("{action: Allow, to: [{networks: [10.0.0.0/8]}]}"), "egress[0].action: \"Allow\" is not known here"},
      {cnp("{action: Deny, to: [{domainNames: [a.example]}]}"), "a name can only be accepted"},
      {cnp("{action: Accept, to: [{nodes: {}}]}"), "unknown field \"nodes\""},
      {cnp("{action: Accept, to: []}"), "names no peer"},
      {cnp("{action: Accept, to: [{networks: [10.0.0.0/8]}], ports: [{namedPort: dns}]}"),
       "namedPort: is a port's name"},
      {cnp("{action: Accept, to: [{networks: [10.0.0.0/8]}], protocols: []}"), "unknown field \"protocols\""},
      {upstream("{action: Accept, to: [{networks: [10.0.0.0/8]}], ports: []}"), "unknown field \"ports\""},
      {upstream("{action: Accept, to: [{networks: [10.0.0.0/8]}], protocols: [{sctp: {}}]}"),
       "SCTP cannot be enforced by port"},
      {object("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", "name: a",
              "tier: Middle, priority: 1, subject: {namespaces: {}}, egress: []"),
       "spec.tier: \"Middle\""},
      {object("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", "name: a",
              "tier: Admin, priority: 1001, subject: {namespaces: {}}, egress: []"),
       "from 0 to 1000"},
      {object("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", "name: a",
              "tier: Admin, priority: 1, subject: {namespaces: {}, pods: {}}, egress: []"),
       "give either namespaces or pods"},
      {np("egress: []"), "spec.podSelector: is missing"},
      {np("podSelector: {}, egress: [{to: [{domainNames: [a.example]}]}]"), "unknown field \"domainNames\""},
      {np("podSelector: {}, egress: [{ports: [{port: 10, endPort: 5}]}]"), "is less than port"},
      {np("podSelector: {}, egress: [{ports: [{endPort: 5}]}]"), "needs a port"},
      {np("podSelector: {matchExpressions: [{key: a, operator: Like}]}, egress: []"), "\"Like\" is not known here"},
      {np("podSelector: {matchExpressions: [{key: a, operator: In}]}, egress: []"), "needs one value or more"},
      {gke("podSelector: {}, egress: [{matches: [{name: '*.a.example'}]}]"), "write it as pattern"},
      {gke("podSelector: {}, egress: [{matches: [{name: a.b, pattern: '*.b'}]}]"), "give either name or pattern"},
      {"apiVersion: crd.antrea.io/v1beta1\nkind: ClusterNetworkPolicy\nmetadata: {name: a}\nspec: {}\n",
       "write networking.k8s.aws/v1alpha1 or policy.networking.k8s.io/v1alpha2"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK_THAT(errors_in_object(row.text), ContainsSubstring(row.error));
  }
}

TEST_CASE("foreign kinds: several errors of an object are told at once, with line and column", "[policies]") {
  const std::string errors = errors_in_object(
      "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a, namespace: x}\nspec:\n  "
      "endpointSelector: {}\n"
      "  egress:\n  - icmps: []\n  - toCIDR: [10.0.0.1/8]\n");
  CHECK_THAT(errors, ContainsSubstring("p.yaml:7:5: spec.egress[0]: unknown field \"icmps\""));
  CHECK_THAT(errors, ContainsSubstring("p.yaml:8:14: spec.egress[1].toCIDR[0]: "));
}

TEST_CASE("foreign kinds: as an API server gives them, and as kubectl lists them", "[policies]") {
  const std::string item =
      "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a, namespace: x, uid: u, "
      "resourceVersion: '1', "
      "generation: 2, creationTimestamp: t, managedFields: [{manager: m}], annotations: {a: b}}, spec: {podSelector: "
      "{}, egress: "
      "[{to: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}, status: {conditions: []}}";
  const Loaded one = load(item);
  CHECK(one.set.select({"x", {}, {}}) == "NetworkPolicy:x/a");
  const Loaded list = load("{apiVersion: v1, kind: List, metadata: {}, items: [" + item + "]}");
  CHECK(list.set.policies.size() == 1);
  CHECK(open(*list.set.image_of("NetworkPolicy:x/a").value(), "192.0.2.1", 80));
}

TEST_CASE("foreign kinds: selectors of pods and namespaces", "[policies]") {
  const auto selected = [](const std::string& text, PodIdentity pod) { return !load(text).set.select(pod).empty(); };
  const PodIdentity web{"x", {{"env", "prod"}}, {{"app", "web"}}};
  const PodIdentity db{"x", {{"env", "prod"}}, {{"app", "db"}}};
  const PodIdentity foreign{"y", {}, {{"app", "web"}}};
  const std::string in =
      cilium("endpointSelector: {matchExpressions: [{key: 'k8s:app', operator: In, values: [web]}]}, egress: []");
  CHECK(selected(in, web));
  CHECK_FALSE(selected(in, db));
  CHECK_FALSE(selected(in, foreign));
  // A tenant's object does not reach into another namespace, whatever it selects.
  const std::string reaching =
      cilium("endpointSelector: {matchLabels: {'k8s:io.kubernetes.pod.namespace': y}}, egress: []");
  CHECK_FALSE(selected(reaching, foreign));
  CHECK_FALSE(selected(reaching, web));
  const std::string wide =
      cilium("endpointSelector: {matchLabels: {io.cilium.k8s.namespace.labels.env: prod}}, egress: []",
             "CiliumClusterwideNetworkPolicy", "name: a");
  CHECK(selected(wide, web));
  CHECK_FALSE(selected(wide, foreign));
  const std::string native =
      "apiVersion: postern.dev/v1alpha1\nkind: ClusterEgressPolicy\nmetadata: {name: a}\nspec: {tier: Admin, priority: "
      "7, "
      "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: y}}, selector: {matchExpressions: [{key: app, "
      "operator: Exists}]}}\n";
  CHECK(selected(native, foreign));
  CHECK_FALSE(selected(native, web));
  CHECK(load(native).set.policies.contains("ClusterEgressPolicy:a"));
}

TEST_CASE("foreign kinds: an object without egress selects nobody and says so", "[policies]") {
  for (const std::string& text :
       {cilium("endpointSelector: {}, ingress: [{}]"),
        object("networking.k8s.io/v1", "NetworkPolicy", "name: a, namespace: x", "podSelector: {}, ingress: [{}]")}) {
    const Loaded loaded = load(text);
    CHECK(loaded.set.select({"x", {}, {}}).empty());
    REQUIRE(loaded.diagnostics.warnings().size() == 2);
    CHECK_THAT(loaded.diagnostics.warnings()[1].to_string(), ContainsSubstring("selects no sandbox here"));
  }
}

TEST_CASE("foreign kinds: the agent-sandbox controller's NetworkPolicy stands alone", "[policies]") {
  const std::string managed =
      object("networking.k8s.io/v1", "NetworkPolicy",
             "name: t-network-policy, namespace: agent-sandboxes, ownerReferences: [{apiVersion: "
             "extensions.agents.x-k8s.io/v1beta1, kind: SandboxTemplate, name: t, uid: u}]",
             "podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: "
             "[10.0.0.0/8]}}, {ipBlock: {cidr: '::/0'}}]}]");
  for (const char* file : {"cilium.yaml", "aws.yaml"}) {
    const auto image = image_for(load(blueprint(file) + "---\n" + managed).set, {{"allowlist", "dev-tools"}});
    CHECK_FALSE(open(*image, "8.8.8.8", 443));
    CHECK(connects(*image, "github.com"));
    CHECK(answer(*image, "blocked-example.example.com") == NameAnswer::kNoData);
  }
}

TEST_CASE("foreign kinds: GKE's names are one label, and add up with NetworkPolicy", "[policies]") {
  const std::string text =
      object("networking.gke.io/v1alpha1", "FQDNNetworkPolicy", "name: a, namespace: agent-sandboxes",
             "podSelector: {}, egress: [{matches: [{pattern: '*.company.com'}, {name: www.example.com}], ports: "
             "[{protocol: TCP, port: 443}]}]") +
      "---\n" +
      object("networking.k8s.io/v1", "NetworkPolicy", "name: b, namespace: agent-sandboxes",
             "podSelector: {}, egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 5432}]}]");
  const auto image = image_for(load(text).set, {});
  CHECK(connects(*image, "api.company.com"));
  CHECK_FALSE(connects(*image, "eu.api.company.com"));
  CHECK_FALSE(connects(*image, "company.com"));
  CHECK(connects(*image, "www.example.com"));
  CHECK(open(*image, "192.0.2.9", 5432));
}

}  // namespace
}  // namespace postern
