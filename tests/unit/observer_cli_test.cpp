// SPDX-License-Identifier: Apache-2.0
//
// `postern observe`: its request, its lines, and its table of what was blocked.
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "agent/observer/event_flow.h"
#include "agent/observer/flow_query.h"
#include "cli/blocked_flows.h"
#include "cli/flow_text.h"
#include "cli/observe_request.h"
#include "tests/unit/observer_events.h"

namespace postern {
namespace {

const Directory kDirectory = known_directory();
const FlowContext kContext{kDirectory, kBootToUnixNs};

observer::GetFlowsResponse response_of(const flow::Flow& flow) {
  observer::GetFlowsResponse response;
  *response.mutable_flow() = flow;
  return response;
}

flow::Flow denied(std::string_view name, std::uint8_t reason = EGRESS_REASON_DNS_NAME_DENIED) {
  return dns_flows(question(reason, name), kContext)[0];
}

flow::Flow packet(std::uint8_t reason,
                  std::string_view name = "",
                  std::string_view to = "192.0.2.9",
                  std::uint16_t port = 443,
                  std::uint32_t rule = 0) {
  egress_event event = syn(reason, to, port);
  event.rule = rule;
  return packet_flow(event, name, kContext);
}

TEST_CASE("lines for people", "[observer][cli]") {
  CHECK(compact_line(response_of(packet(EGRESS_REASON_NOT_GRANTED))) ==
        "Nov 14 22:13:25.000  veth7      -> 192.0.2.9:443/tcp                            DROPPED    no allowed lookup "
        "gave this address");
  CHECK(compact_line(
            response_of(packet(EGRESS_REASON_ALLOWED_BY_NAME, "api.example.com", "2001:db8::9", 443, kAllowRule))) ==
        "Nov 14 22:13:25.000  veth7      -> api.example.com:443/tcp (2001:db8::9)        FORWARDED  allowed by name; "
        "rule: allow "
        "api.example.com 443/tcp (agent.yaml:12)");
  CHECK(compact_line(response_of(packet(EGRESS_REASON_NOT_GRANTED, "", "2001:db8::9"))).find("[2001:db8::9]:443/tcp") !=
        std::string::npos);
  CHECK(compact_line(response_of(denied("evil.example")))
            .ends_with("veth7      -> evil.example (DNS A)                         DROPPED    name not allowed"));

  egress_dns_event event = question(EGRESS_REASON_DNS_CACHED, "api.example.com");
  event.addr_count = 1;
  event.addrs[0] = raw_address("192.0.2.1");
  event.ttl_s = 5;
  CHECK(compact_line(response_of(dns_flows(event, kContext)[1]))
            .ends_with("<- api.example.com (DNS A)                      FORWARDED  192.0.2.1; TTL 5 s; took 1.5 ms"));

  observer::GetFlowsResponse lost;
  lost.mutable_lost_events()->set_num_events_lost(3);
  lost.mutable_lost_events()->set_source(flow::HUBBLE_RING_BUFFER);
  CHECK(compact_line(lost).ends_with("3 events were lost: this client reads too slowly"));
  CHECK(compact_line({}).empty());
}

TEST_CASE("what another server says cannot move the terminal", "[observer][cli]") {
  flow::Flow flow = packet(EGRESS_REASON_NOT_GRANTED);
  flow.mutable_source()->set_pod_name("\x1b[2Jpod");
  flow.mutable_source()->set_namespace_("\x9b");
  flow.clear_destination_names();
  flow.add_destination_names(
      "a\x07"
      "b");
  flow.clear_policy_log();
  flow.set_summary("\x1b]0;x");
  for (const char c : compact_line(response_of(flow))) {
    CHECK((c >= 0x20 && c <= 0x7e));
  }
}

TEST_CASE("hints: which rule would allow it", "[observer][cli]") {
  CHECK(allow_hint(denied("evil.example")) == "- {names: [evil.example]}");
  CHECK(allow_hint(denied("localhost")) == "-");
  CHECK(allow_hint(denied("api.example.com", EGRESS_REASON_DNS_TYPE_DENIED)) == "-");
  CHECK(allow_hint(packet(EGRESS_REASON_NOT_GRANTED)) == "- {cidrs: [\"192.0.2.9/32\"]}");
  CHECK(allow_hint(packet(EGRESS_REASON_NOT_GRANTED, "", "2001:db8::9", 8443)) ==
        "- {cidrs: [\"2001:db8::9/128\"], ports: [8443/tcp]}");
  CHECK(allow_hint(packet(EGRESS_REASON_PORT_DENIED, "api.example.com", "192.0.2.9", 80, kAllowRule)) ==
        "- {names: [api.example.com], ports: [80/tcp]}");
  CHECK(allow_hint(packet(EGRESS_REASON_CIDR_DENIED, "", "192.0.2.9", 443, kDenyRule)) ==
        "a rule denies it: deny 192.0.2.0/24 all (agent.yaml:20)");
  CHECK(allow_hint(packet(EGRESS_REASON_NEVER_LIST, "", "169.254.169.254", 80)) ==
        "- {cidrs: [\"169.254.169.254/32\"], ports: [80/tcp]}");
  CHECK(allow_hint(packet(EGRESS_REASON_GRANT_EXPIRED, "api.example.com")) ==
        "look the name up again: its rule still holds");
  CHECK(allow_hint(packet(EGRESS_REASON_POLICY_CHANGED, "api.example.com")) == "- {cidrs: [\"192.0.2.9/32\"]}");
  CHECK(allow_hint(packet(EGRESS_REASON_SPOOFED_ADDRESS)) == "-");
  CHECK(allow_hint(packet(EGRESS_REASON_NODE_ADDRESS)) == "-");
  egress_event echo = syn(EGRESS_REASON_NOT_GRANTED);
  echo.protocol = IPPROTO_ICMP;
  echo.icmp_type = 8;
  CHECK(allow_hint(packet_flow(echo, "", kContext)) == "- {cidrs: [\"192.0.2.9/32\"], ports: [echo]}");
}

TEST_CASE("the table counts each thing once and leaves the rest aside", "[observer][cli]") {
  BlockedFlows blocked;
  blocked.add(packet(EGRESS_REASON_SPOOFED_ADDRESS));
  blocked.add(packet(EGRESS_REASON_SPOOFED_ADDRESS));
  for (int i = 0; i < 3; ++i) {
    flow::Flow flow = denied("evil.example");
    flow.mutable_time()->set_seconds(100 - i);
    blocked.add(flow);
  }
  egress_dns_event aaaa = question(EGRESS_REASON_DNS_NAME_DENIED);
  aaaa.qtype = 28;
  blocked.add(dns_flows(aaaa, kContext)[0]);
  blocked.add(packet(EGRESS_REASON_ALLOWED_BY_CIDR));
  egress_event inbound = syn(EGRESS_REASON_INBOUND_DENIED);
  inbound.direction = EGRESS_IN;
  blocked.add(packet_flow(inbound, "", kContext));
  const auto rows = blocked.rows();
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].tried == "evil.example");
  CHECK(rows[0].sandbox == "veth7");
  CHECK(rows[0].reason == "name not allowed");
  CHECK(rows[0].count == 4);
  CHECK(rows[0].first.seconds() == 98);
  CHECK(rows[0].last.seconds() == 1'700'000'005);
  CHECK(rows[1].count == 2);
}

TEST_CASE("the table is bounded", "[observer][cli]") {
  BlockedFlows blocked;
  flow::Flow flow = denied("evil.example");
  for (std::size_t i = 0; i < BlockedFlows::kRowsMax + 5; ++i) {
    flow.set_destination_names(0, "n" + std::to_string(i) + ".example");
    blocked.add(flow);
  }
  CHECK(blocked.rows().size() == BlockedFlows::kRowsMax);
  CHECK(blocked.left_out() == 5);
}

TEST_CASE("options become Hubble's request", "[observer][cli]") {
  ObserveOptions options;
  auto request = make_request(options, 0);
  REQUIRE(request);
  CHECK(request->number() == 20);
  CHECK(request->whitelist().empty());

  options.sandboxes = {"veth7"};
  options.names = {"*.example."};
  options.verdicts = {"dropped"};
  options.protocols = {"dns"};
  request = make_request(options, 0);
  REQUIRE(request);
  const auto query = FlowQuery::parse(*request);
  REQUIRE(query);
  CHECK(query->wants(response_of(denied("evil.example"))));
  CHECK_FALSE(query->wants(response_of(denied("evil.test"))));
  CHECK_FALSE(query->wants(response_of(packet(EGRESS_REASON_NOT_GRANTED))));

  options = {};
  options.names = {"api.example.com"};
  options.ips = {"192.0.2.0/24"};
  options.ports = {"443"};
  request = make_request(options, 0);
  REQUIRE(request);
  CHECK(FlowQuery::parse(*request)->wants(response_of(packet(EGRESS_REASON_ALLOWED_BY_NAME, "api.example.com"))));
  CHECK_FALSE(FlowQuery::parse(*request)->wants(response_of(packet(EGRESS_REASON_ALLOWED_BY_NAME, "api.example.org"))));

  options = {};
  options.blocked = true;
  request = make_request(options, 0);
  CHECK(request->number() == 0);
  CHECK(request->whitelist(0).verdict(0) == flow::DROPPED);
  options = {};
  options.names = {"api.example.com"};  // lookups of an allowed name too, although Hubble's to-fqdn does not see them
  egress_dns_event lookup = question(EGRESS_REASON_DNS_ALLOWED, "api.example.com");
  CHECK(FlowQuery::parse(make_request(options, 0).value())->wants(response_of(dns_flows(lookup, kContext)[0])));
}

TEST_CASE("times that people write", "[observer][cli]") {
  CHECK(parse_since("90s", 100'000'000'000).value() == 10'000'000'000);
  CHECK(parse_since("1h", 3'600'000'000'000).value() == 0);
  CHECK(parse_since("1970-01-01T00:00:01Z", 0).value() == 1'000'000'000);
  for (const char* wrong : {"", "5", "m", "5x", "-5m", "yesterday", "99999999999d"}) {
    INFO(wrong);
    CHECK_FALSE(parse_since(wrong, 0));
  }
}

TEST_CASE("options that do not go together are refused with what to do", "[observer][cli]") {
  const auto refused = [](ObserveOptions options) { return !make_request(options, 0); };
  ObserveOptions options;
  options.blocked = options.follow = true;
  CHECK(refused(options));
  options = {};
  options.verdicts = {"NONSENSE"};
  CHECK(refused(options));
  options = {};
  options.follow = true;
  options.first = 3;
  CHECK(refused(options));
  options = {};
  options.last = 0;
  options.last_given = true;
  CHECK(refused(options));
  options.last = 5;
  options.all = true;
  CHECK(refused(options));
  options = {};
  options.names = {"a b"};
  CHECK(refused(options));
  options = {};
  options.sandboxes = {""};
  CHECK(refused(options));
}

TEST_CASE("the words that hints depend on are the kernel's", "[observer][cli]") {
  // allow_hint() compares these labels as text, because cli/ does not include bpf/.
  CHECK(std::string(egress_reason_label(EGRESS_REASON_GRANT_EXPIRED)) == "lookup expired");
  CHECK(std::string(egress_reason_label(EGRESS_REASON_POLICY_CHANGED)) == "no longer allowed by policy");
  CHECK(std::string(egress_reason_label(EGRESS_REASON_INBOUND_DENIED)) == "inbound not allowed");
  CHECK(std::string(egress_reason_label(EGRESS_REASON_DNS_TYPE_DENIED)) == "record type not allowed");
  CHECK(std::string(egress_reason_label(EGRESS_REASON_DNS_ADDRESS_DENIED)) ==
        "every address in the answer is forbidden");
  CHECK(std::string(egress_reason_label(EGRESS_REASON_NODE_ADDRESS)) == "address of the node");
}

}  // namespace
}  // namespace postern
