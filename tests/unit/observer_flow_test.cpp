// SPDX-License-Identifier: Apache-2.0
//
// Events to Hubble's flows: what the stock clients read of each.
#include <catch2/catch_test_macros.hpp>
#include <set>

#include "agent/observer/hubble_words.h"
#include "tests/unit/observer_events.h"

namespace postern {
namespace {

const Directory kDirectory = known_directory();
const FlowContext kContext{kDirectory, kBootToUnixNs};

TEST_CASE("every reason has a verdict, and a drop reason exactly when it drops", "[observer]") {
#define CHECK_REASON(identifier, number, label)                                                               \
  if ((number) != EGRESS_REASON_NONE) {                                                                       \
    INFO(label);                                                                                              \
    const Outcome outcome = outcome_of(number);                                                               \
    CHECK(outcome.verdict != flow::VERDICT_UNKNOWN);                                                          \
    CHECK((outcome.drop != flow::DROP_REASON_UNKNOWN) == (outcome.verdict == flow::DROPPED));                 \
    const bool forwards = (number) < EGRESS_REASON_FIRST_DROP ||                                              \
                          ((number) >= EGRESS_REASON_FIRST_DNS && (number) < EGRESS_REASON_FIRST_DNS_DENIED); \
    CHECK(forwards == (outcome.verdict == flow::FORWARDED || outcome.verdict == flow::REDIRECTED));           \
  }
  EGRESS_REASONS(CHECK_REASON)
#undef CHECK_REASON
  CHECK(outcome_of(255).verdict == flow::VERDICT_UNKNOWN);
}

TEST_CASE("a dropped SYN", "[observer]") {
  const flow::Flow flow = packet_flow(syn(EGRESS_REASON_NOT_GRANTED), "", kContext);
  CHECK(flow.verdict() == flow::DROPPED);
  CHECK(flow.drop_reason() == 133);
  CHECK(flow.drop_reason_desc() == flow::POLICY_DENIED);
  CHECK(flow.event_type().type() == 1);
  CHECK(flow.event_type().sub_type() == 133);
  CHECK(flow.type() == flow::L3_L4);
  CHECK(flow.traffic_direction() == flow::EGRESS);
  CHECK_FALSE(flow.has_is_reply());
  CHECK(flow.ip().source() == "10.0.0.2");
  CHECK(flow.ip().destination() == "192.0.2.9");
  CHECK(flow.ip().ipversion() == flow::IPv4);
  CHECK(flow.l4().tcp().source_port() == 40000);
  CHECK(flow.l4().tcp().destination_port() == 443);
  CHECK(flow.l4().tcp().flags().syn());
  CHECK_FALSE(flow.l4().tcp().flags().ack());
  CHECK(flow.source().namespace_() == "default");
  CHECK(flow.source().pod_name() == "veth7");
  CHECK(flow.source().identity() >= 256);
  CHECK(flow.destination().identity() == 2);
  CHECK(flow.destination().labels(0) == "reserved:world");
  CHECK(flow.interface().name() == "veth7");
  CHECK(flow.summary() == "TCP Flags: SYN; no allowed lookup gave this address");
  CHECK(flow.policy_log(0) == "reason=no allowed lookup gave this address");
  CHECK(flow.time().seconds() == 1'700'000'005);
}

TEST_CASE("an allowed connect carries its name and rule, and is no reply", "[observer]") {
  egress_event event = syn(EGRESS_REASON_ALLOWED_BY_NAME);
  event.rule = kAllowRule;
  const flow::Flow flow = packet_flow(event, "api.example.com", kContext);
  CHECK(flow.verdict() == flow::FORWARDED);
  CHECK(flow.event_type().type() == 5);
  CHECK(flow.policy_match_type() == 2);
  REQUIRE(flow.has_is_reply());
  CHECK_FALSE(flow.is_reply().value());
  CHECK(flow.destination_names(0) == "api.example.com");
  CHECK(flow.drop_reason() == 0);
  REQUIRE(flow.egress_allowed_by_size() == 1);
  CHECK(flow.egress_allowed_by(0).name() == "agent");
  CHECK(flow.egress_allowed_by(0).kind() == "EgressPolicy");
  CHECK(flow.policy_log(1) == "rule=allow api.example.com 443/tcp");
  CHECK(flow.policy_log(2) == "origin=agent.yaml:12");
}

TEST_CASE("only a deny rule counts as what denied", "[observer]") {
  egress_event event = syn(EGRESS_REASON_CIDR_DENIED);
  event.rule = kDenyRule;
  flow::Flow flow = packet_flow(event, "", kContext);
  CHECK(flow.drop_reason_desc() == flow::POLICY_DENY);
  REQUIRE(flow.egress_denied_by_size() == 1);
  CHECK(flow.egress_denied_by(0).name() == "agent");
  CHECK(flow.summary().find("by deny 192.0.2.0/24 all (agent.yaml:20)") != std::string::npos);

  event = syn(EGRESS_REASON_PORT_DENIED, "192.0.2.9", 80);
  event.rule = kAllowRule;
  flow = packet_flow(event, "api.example.com", kContext);
  CHECK(flow.egress_denied_by().empty());
  CHECK(flow.policy_log_size() == 3);
}

TEST_CASE("towards the sandbox, the ends change places", "[observer]") {
  egress_event event = syn(EGRESS_REASON_INBOUND_DENIED);
  event.direction = EGRESS_IN;
  std::swap(event.src, event.dst);
  const flow::Flow flow = packet_flow(event, "", kContext);
  CHECK(flow.traffic_direction() == flow::INGRESS);
  CHECK(flow.destination().pod_name() == "veth7");
  CHECK(flow.source().identity() == 2);
}

TEST_CASE("another sandbox of the node is a pod, the node is the host", "[observer]") {
  Directory directory = known_directory();
  directory.apply(sandbox_update(8, "veth8", "10.0.0.3"));
  const FlowContext context{directory, kBootToUnixNs};
  CHECK(packet_flow(syn(EGRESS_REASON_NOT_GRANTED, "10.0.0.3"), "", context).destination().pod_name() == "veth8");
  const flow::Flow node = packet_flow(syn(EGRESS_REASON_NODE_ADDRESS, "10.0.0.1"), "", context);
  CHECK(node.destination().identity() == 1);
}

TEST_CASE("other protocols and frames that are not IP", "[observer]") {
  egress_event event = syn(EGRESS_REASON_ICMP_DENIED, "2001:db8::9");
  event.protocol = IPPROTO_ICMPV6;
  event.icmp_type = 128;
  flow::Flow flow = packet_flow(event, "", kContext);
  CHECK(flow.ip().ipversion() == flow::IPv6);
  CHECK(flow.l4().icmpv6().type() == 128);
  CHECK(flow.summary().starts_with("ICMPv6 EchoRequest"));

  event = egress_event{};
  event.sandbox = kSandbox;
  event.reason = EGRESS_REASON_ETHERTYPE;
  event.ethertype = 0x88cc;
  flow = packet_flow(event, "", kContext);
  CHECK_FALSE(flow.has_ip());
  CHECK(flow.ethernet().source() == "00:00:00:00:00:00");
  CHECK(flow.summary() == "EtherType 0x88cc; EtherType not allowed");
}

TEST_CASE("a sandbox nobody told of still has a name; one that is gone keeps its own", "[observer]") {
  Directory empty;
  CHECK(packet_flow(syn(EGRESS_REASON_NOT_GRANTED), "", {empty, 0}).source().pod_name() == "sandbox-7");
  Directory directory = known_directory();
  api::ObserverUpdate gone;
  gone.set_erase_sandbox(kSandbox);
  directory.apply(gone);
  CHECK(packet_flow(syn(EGRESS_REASON_NOT_GRANTED), "", {directory, 0}).source().pod_name() == "veth7");
  CHECK(directory.sandbox_at(Address::parse("10.0.0.2").value()) == nullptr);
}

TEST_CASE("the directory forgets the longest gone, and begins anew without losing names", "[observer]") {
  Directory directory = known_directory();
  directory.begin();
  CHECK(directory.sandbox(kSandbox)->pod == "veth7");
  for (std::uint32_t id = 100; id < 100 + Directory::kGoneMax; ++id) {
    directory.apply(sandbox_update(id, "veth", "10.0.0.3"));
    api::ObserverUpdate gone;
    gone.set_erase_sandbox(id);
    directory.apply(gone);
  }
  CHECK(directory.sandbox(kSandbox) == nullptr);
  CHECK(directory.sandbox(99 + Directory::kGoneMax) != nullptr);
}

TEST_CASE("a denied question is one flow to the name itself", "[observer]") {
  const auto flows = dns_flows(question(EGRESS_REASON_DNS_NAME_DENIED), kContext);
  REQUIRE(flows.size() == 1);
  const flow::Flow& flow = flows[0];
  CHECK(flow.type() == flow::L7);
  CHECK(flow.event_type().type() == 129);
  CHECK(flow.verdict() == flow::DROPPED);
  CHECK(flow.drop_reason() == 133);
  CHECK(flow.destination_names(0) == "evil.example");
  CHECK(flow.destination().identity() == 2);
  CHECK(flow.destination().labels(0) == "reserved:world");
  CHECK_FALSE(flow.has_destination_service());
  CHECK(flow.l4().udp().destination_port() == 53);
  CHECK(flow.l7().type() == flow::REQUEST);
  CHECK(flow.l7().dns().query() == "evil.example.");
  CHECK(flow.l7().dns().qtypes(0) == "A");
  CHECK(flow.l7().dns().observation_source() == "proxy");
  CHECK(flow.summary() == "DNS Query evil.example. A; name not allowed");
}

TEST_CASE("an allowed question is a request and a response with its latency", "[observer]") {
  egress_dns_event event = question(EGRESS_REASON_DNS_ALLOWED, "API.Example.com");
  event.rule = kAllowRule;
  event.ttl_s = 30;
  event.addr_count = 2;
  event.more_addrs = 1;
  event.addrs[0] = raw_address("192.0.2.1");
  event.addrs[1] = raw_address("2001:db8::1");
  const auto flows = dns_flows(event, kContext);
  REQUIRE(flows.size() == 2);
  CHECK(flows[0].l7().type() == flow::REQUEST);
  CHECK(flows[0].verdict() == flow::FORWARDED);
  CHECK(flows[0].destination_names().empty());
  CHECK(flows[0].egress_allowed_by_size() == 1);
  CHECK_FALSE(flows[0].is_reply().value());
  const flow::Flow& answer = flows[1];
  CHECK(answer.is_reply().value());
  CHECK(answer.ip().source() == "8.8.8.8");
  CHECK(answer.destination().pod_name() == "veth7");
  CHECK(answer.l7().latency_ns() == 1'500'000);
  CHECK(answer.l7().dns().query() == "api.example.com.");
  CHECK(answer.l7().dns().ips_size() == 2);
  CHECK(answer.l7().dns().ttl() == 30);
  CHECK(answer.summary() == R"(DNS Answer "192.0.2.1,2001:db8::1" and 1 more TTL: 30 (Proxy api.example.com. A))");
  CHECK(flows[0].time().nanos() == 998'500'000);
}

TEST_CASE("answers without addresses say why; failures are errors", "[observer]") {
  egress_dns_event event = question(EGRESS_REASON_DNS_NO_DATA, "api.example.com");
  event.rcode = 3;
  CHECK(dns_flows(event, kContext)[1].summary() == "DNS Answer RCode: Non-Existent Domain (Proxy api.example.com. A)");
  event = question(EGRESS_REASON_DNS_UPSTREAM_TIMEOUT, "api.example.com");
  const auto flows = dns_flows(event, kContext);
  REQUIRE(flows.size() == 1);
  CHECK(flows[0].verdict() == flow::ERROR);
  CHECK(flows[0].summary() == "DNS Query api.example.com. A; upstream did not answer");
}

TEST_CASE("hostile names are printable, and no name is not a name", "[observer]") {
  egress_dns_event event = question(EGRESS_REASON_DNS_NAME_DENIED);
  set_wire(event, std::string_view("\x05\x1b[2Jx\x07"
                                   "a.b\"\\\x00\xff\x00",
                                   15));
  auto flows = dns_flows(event, kContext);
  REQUIRE(flows.size() == 1);
  for (const std::string& text : {flows[0].summary(), flows[0].destination_names(0), flows[0].l7().dns().query()}) {
    CHECK(std::ranges::all_of(text, [](char c) { return c >= 0x20 && c <= 0x7e; }));
  }
  CHECK(flows[0].destination_names(0).find("a\\.b") != std::string::npos);

  set_wire(event, std::string_view("\x3f"
                                   "short",
                                   6));
  flows = dns_flows(event, kContext);
  REQUIRE(flows.size() == 1);
  CHECK(flows[0].destination_names().empty());
  event.name_length = 0;
  CHECK(dns_flows(event, kContext)[0].destination_names().empty());
}

TEST_CASE("a time that no clock has does not overflow", "[observer]") {  // found by fuzzing
  CHECK(unix_time_ns(~std::uint64_t{0}, kBootToUnixNs) > kBootToUnixNs);
  CHECK(unix_time_ns(5, -6) == 0);
  CHECK(unix_time_ns(5, 6) == 11);
}

TEST_CASE("a record from a worker that was taken over cannot do harm", "[observer]") {
  egress_dns_event event;
  for (int byte = 0; byte < 256; ++byte) {
    std::memset(&event, byte, sizeof(event));
    for (const std::uint8_t reason :
         {std::uint8_t{EGRESS_REASON_DNS_ALLOWED}, std::uint8_t{EGRESS_REASON_DNS_NAME_DENIED}, event.reason}) {
      event.reason = reason;
      for (const flow::Flow& flow : dns_flows(event, kContext)) {
        CHECK(flow.l7().dns().ips_size() <= EGRESS_DNS_EVENT_ADDRS);
        CHECK(std::ranges::all_of(flow.summary(), [](char c) { return c >= 0x20 && c <= 0x7e; }));
        CHECK_FALSE(flow.SerializeAsString().empty());
      }
    }
  }
}

}  // namespace
}  // namespace postern
