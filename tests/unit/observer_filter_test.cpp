// SPDX-License-Identifier: Apache-2.0
//
// Hubble's FlowFilter on our flows: each field, its odd cases, and what is refused.
#include "agent/observer/flow_filter.h"

#include <google/protobuf/text_format.h>

#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>

#include "agent/observer/hubble_words.h"
#include "agent/observer/label_selector.h"
#include "tests/unit/observer_events.h"

namespace postern {
namespace {

google::protobuf::RepeatedPtrField<flow::FlowFilter> filters_of(const std::string& text) {
  google::protobuf::RepeatedPtrField<flow::FlowFilter> filters;
  REQUIRE(google::protobuf::TextFormat::ParseFromString(text, filters.Add()));
  return filters;
}

bool matches(const flow::Flow& flow, const std::string& filter) {
  auto compiled = FlowFilters::compile(filters_of(filter));
  INFO(filter << (compiled ? "" : compiled.error().message()));
  REQUIRE(compiled);
  return compiled->any(flow);
}

std::string refusal(const std::string& filter) {
  auto compiled = FlowFilters::compile(filters_of(filter));
  return compiled ? "" : compiled.error().message();
}

flow::Flow dropped_syn() {
  return packet_flow(syn(EGRESS_REASON_PORT_DENIED), "api.example.com", {known_directory(), 0});
}
flow::Flow denied_name() { return dns_flows(question(EGRESS_REASON_DNS_NAME_DENIED), {known_directory(), 0})[0]; }
flow::Flow allowed_syn() { return packet_flow(syn(EGRESS_REASON_ALLOWED_BY_CIDR), "", {known_directory(), 0}); }

TEST_CASE("filters on the ends", "[observer]") {
  const flow::Flow flow = dropped_syn();
  for (const char* yes : {"source_pod: 'veth7'",
                          "source_pod: 'default/veth'",
                          "source_pod: 'default/'",
                          "source_pod: '/veth7'",
                          "source_ip: '10.0.0.2'",
                          "destination_ip: '192.0.2.0/24'",
                          "destination_ip: '192.0.2.77/24'",
                          "destination_fqdn: 'api.example.com'",
                          "destination_fqdn: 'API.*.com.'",
                          "destination_fqdn: '*'",
                          "source_identity: 263",
                          "destination_identity: 2",
                          "source_port: '40000'",
                          "destination_port: '443'",
                          "destination_label: 'reserved:world'",
                          "source_label: 'k8s:app=veth7'",
                          "source_label: 'app in (x,veth7)'",
                          "source_pod: 'nothing' source_pod: 'veth7'",
                          "interface: {name: 'veth7'}",
                          "interface: {index: 4}"}) {
    CHECK(matches(flow, yes));
  }
  for (const char* no :
       {"source_pod: 'other/veth7'", "source_pod: 'veth70'", "destination_pod: '/'", "source_ip: '10.0.0.3'",
        "destination_ip: '2001:db8::/32'", "destination_ip: '::/0'", "destination_fqdn: 'example.com'",
        "destination_fqdn: 'api.example.co'", "source_fqdn: '*'", "destination_port: '44'",
        "source_pod: 'veth7' destination_port: '80'", "source_service: '/'", "source_workload: {name: 'x'}",
        "source_cluster_name: 'x'", "destination_label: '!reserved:world'", "interface: {index: 5}",
        "source_ip_xlated: '10.0.0.2'"}) {
    CHECK_FALSE(matches(flow, no));
  }
}

TEST_CASE("filters on the verdict", "[observer]") {
  for (const char* yes :
       {"verdict: DROPPED", "drop_reason_desc: POLICY_DENIED", "traffic_direction: EGRESS", "reply: false",
        "event_type: {type: 1}", "event_type: {type: 1 match_sub_type: true sub_type: 133}", "event_type: {}",
        "verdict: FORWARDED verdict: DROPPED"}) {
    CHECK(matches(dropped_syn(), yes));
  }
  for (const char* no : {"verdict: FORWARDED", "drop_reason_desc: POLICY_DENY", "traffic_direction: INGRESS",
                         "reply: true", "event_type: {type: 5}", "event_type: {type: 1 match_sub_type: true}"}) {
    CHECK_FALSE(matches(dropped_syn(), no));
  }
  CHECK(matches(allowed_syn(), "reply: false"));
  CHECK_FALSE(matches(allowed_syn(), "drop_reason_desc: DROP_REASON_UNKNOWN"));
  flow::Flow unknown = allowed_syn();
  unknown.clear_is_reply();
  CHECK_FALSE(matches(unknown, "reply: false reply: true"));
}

TEST_CASE("filters on the layers", "[observer]") {
  CHECK(matches(dropped_syn(), "protocol: 'TCP'"));
  CHECK(matches(dropped_syn(), "tcp_flags: {SYN: true}"));
  CHECK(matches(dropped_syn(), "ip_version: IPv4"));
  CHECK(matches(dropped_syn(), "encrypted: false"));
  CHECK_FALSE(matches(dropped_syn(), "tcp_flags: {SYN: true ACK: true}"));
  CHECK_FALSE(matches(dropped_syn(), "protocol: 'udp'"));
  CHECK(matches(denied_name(), "protocol: 'dns'"));
  CHECK(matches(denied_name(), "protocol: 'udp'"));
  CHECK_FALSE(matches(denied_name(), "protocol: 'http'"));
  CHECK(matches(denied_name(), "dns_query: 'evil\\\\.'"));
  CHECK(matches(denied_name(), "dns_query: '^evil[.]example[.]$'"));
  CHECK_FALSE(matches(denied_name(), "dns_query: '^example'"));
  CHECK_FALSE(matches(dropped_syn(), "dns_query: ''"));
  CHECK(matches(denied_name(), "destination_fqdn: 'evil.*' verdict: DROPPED source_pod: 'veth7'"));
}

TEST_CASE("filters on the node", "[observer]") {
  flow::Flow flow = dropped_syn();
  flow.set_node_name("node-1");
  flow.set_uuid("u");
  flow.add_node_labels("kubernetes.io/arch=arm64");
  CHECK(matches(flow, "node_name: 'node-*'"));
  CHECK(matches(flow, "node_name: 'default/node-1'"));
  CHECK_FALSE(matches(flow, "node_name: 'other/node-1'"));
  CHECK(matches(flow, "uuid: 'u'"));
  CHECK(matches(flow, "node_labels: 'kubernetes.io/arch=arm64'"));
  CHECK_FALSE(matches(flow, "node_labels: 'kubernetes.io/arch=amd64'"));
}

TEST_CASE("what cannot be honoured is refused by name", "[observer]") {
  for (const auto& [filter, field] : std::vector<std::pair<const char*, const char*>>{
           {"http_status_code: '200'", "http_status_code"},
           {"http_method: 'GET'", "http_method"},
           {"http_path: '/'", "http_path"},
           {"http_url: '/'", "http_url"},
           {"http_header: {key: 'a'}", "http_header"},
           {"trace_id: 'x'", "trace_id"},
           {"ip_trace_id: 1", "ip_trace_id"},
           {"experimental: {cel_expression: 'true'}", "experimental.cel_expression"},
           {"source_pod: ''", "source_pod"},
           {"source_ip: 'x'", "source_ip"},
           {"source_ip: '10.0.0.0/33'", "source_ip"},
           {"destination_port: '65536'", "destination_port"},
           {"destination_port: 'https'", "destination_port"},
           {"destination_fqdn: 'a b'", "destination_fqdn"},
           {"destination_fqdn: ''", "destination_fqdn"},
           {"dns_query: '('", "dns_query"},
           {"protocol: 'quic'", "protocol"},
           {"source_label: 'a in x'", "source_label"},
           {"node_name: 'a/b/c'", "node_name"}}) {
    INFO(filter);
    CHECK(refusal(filter).starts_with(std::string(field) + ": "));
  }
}

TEST_CASE("a filter field that is newer than us is refused by its number", "[observer]") {
  google::protobuf::RepeatedPtrField<flow::FlowFilter> filters;
  auto& filter = *filters.Add();
  filter.GetReflection()->MutableUnknownFields(&filter)->AddVarint(777, 1);
  auto compiled = FlowFilters::compile(filters);
  REQUIRE_FALSE(compiled);
  CHECK(compiled.error().message().find("777") != std::string::npos);
}

TEST_CASE("filters are bounded", "[observer]") {
  google::protobuf::RepeatedPtrField<flow::FlowFilter> filters;
  for (int i = 0; i <= FlowFilters::kFiltersMax; ++i) {
    filters.Add();
  }
  CHECK_FALSE(FlowFilters::compile(filters));
  filters.Clear();
  for (int i = 0; i <= FlowFilters::kValuesMax; ++i) {
    filters.Add()->add_source_identity(1);
    filters[0].add_source_identity(1);
  }
  CHECK_FALSE(FlowFilters::compile(filters));
  filters.Clear();
  filters.Add()->add_dns_query(std::string(FlowFilters::kPatternMax + 1, 'a'));
  CHECK_FALSE(FlowFilters::compile(filters));
  // Exponential for a backtracking matcher.
  filters[0].set_dns_query(0, "(((((x*)*)*)*)*)*y{1000}{1000}");
  CHECK_FALSE(FlowFilters::compile(filters));
  filters[0].set_dns_query(0, "^(([a-z])+.)+[A-Z]([a-z])+$");
  REQUIRE(FlowFilters::compile(filters));
  flow::Flow flow = denied_name();
  flow.mutable_l7()->mutable_dns()->set_query(std::string(1000, 'a'));
  CHECK_FALSE(FlowFilters::compile(filters)->any(flow));
}

TEST_CASE("label selectors", "[observer]") {
  const std::vector<std::string> labels{"k8s:app=web", "k8s:io.kubernetes.pod.namespace=shop", "reserved:world",
                                        "plain=1"};
  for (const char* yes : {"app=web", "app==web", "k8s:app", "any:app=web", "reserved:world", "world", "!missing",
                          "app!=api", "missing!=x", "app in (api, web)", "app notin (api)",
                          "app=web,k8s:io.kubernetes.pod.namespace=shop", "plain=1"}) {
    INFO(yes);
    auto selector = LabelSelector::parse(yes);
    REQUIRE(selector);
    CHECK(selector->matches(labels));
  }
  for (const char* no : {"app=api", "cilium:app", "missing", "!app", "app!=web", "app notin (web)", "app=web,missing",
                         "reserved:host"}) {
    INFO(no);
    auto selector = LabelSelector::parse(no);
    REQUIRE(selector);
    CHECK_FALSE(selector->matches(labels));
  }
  for (const char* bad : {"", "=x", "app in web", "app in (web", "a b", "app=(", ",", "app=web,"}) {
    INFO(bad);
    CHECK_FALSE(LabelSelector::parse(bad));
  }
}

}  // namespace
}  // namespace postern
