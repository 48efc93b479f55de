// SPDX-License-Identifier: Apache-2.0
//
// The store, the queries on it, and the hub between events and clients.
#include <catch2/catch_test_macros.hpp>
#include <set>
#include <vector>

#include "agent/observer/flow_hub.h"
#include "tests/unit/observer_events.h"

namespace postern {
namespace {

Entry entry_at(std::int64_t second, flow::Verdict verdict = flow::DROPPED) {
  auto entry = std::make_shared<observer::GetFlowsResponse>();
  entry->mutable_time()->set_seconds(second);
  entry->mutable_flow()->mutable_time()->set_seconds(second);
  entry->mutable_flow()->set_verdict(verdict);
  entry->mutable_flow()->mutable_source()->set_pod_name("p");
  entry->mutable_flow()->add_destination_names("n.example");
  return entry;
}

Entry loss_at(std::int64_t second) {
  auto entry = std::make_shared<observer::GetFlowsResponse>();
  entry->mutable_time()->set_seconds(second);
  entry->mutable_lost_events()->set_num_events_lost(1);
  return entry;
}

std::vector<std::int64_t> seconds_of(const std::vector<Entry>& entries) {
  std::vector<std::int64_t> seconds;
  for (const Entry& entry : entries) {
    seconds.push_back(entry->time().seconds());
  }
  return seconds;
}

using Seconds = std::vector<std::int64_t>;

class NoNames final : public NameSource {
 public:
  std::string name(std::uint32_t id) const override { return id == 5 ? "api.example.com" : ""; }
};

class Sink final : public FlowSink {
 public:
  void start(std::vector<Entry> entries, bool more) override {
    got = std::move(entries);
    ended = !more;
  }
  void push(const Entry& entry) override { got.push_back(entry); }
  void end() override { ended = true; }
  bool gone() const override { return is_gone; }

  std::vector<Entry> got;
  bool ended = false;
  bool is_gone = false;
};

FlowQuery query_of(const observer::GetFlowsRequest& request) { return FlowQuery::parse(request).value(); }

TEST_CASE("the store keeps the newest within both limits", "[observer]") {
  FlowStore store(3);
  for (int second = 1; second <= 5; ++second) {
    store.add(entry_at(second));
  }
  CHECK(store.seen() == 5);
  CHECK(store.entries().size() == 3);
  CHECK(store.entries().front()->time().seconds() == 3);

  FlowStore small(1000, 10 * memory_of(*entry_at(1)));
  for (int second = 1; second <= 100; ++second) {
    small.add(entry_at(second));
    CHECK(small.bytes() <= 10 * memory_of(*entry_at(1)));
  }
  CHECK(small.entries().size() == 10);
  CHECK(small.entries().back()->time().seconds() == 100);
}

TEST_CASE("the memory of an entry is not underestimated", "[observer]") {
  NoNames names;
  FlowHub hub{{.flows_max = 100, .node_name = "n", .host_name = "", .uuid_seed = 1}, names};
  hub.on_packet(syn(EGRESS_REASON_PORT_DENIED), 0);
  hub.on_dns(question(EGRESS_REASON_DNS_NAME_DENIED), 0);
  observer::GetFlowsRequest everything;
  auto sink = std::make_shared<Sink>();
  REQUIRE(hub.subscribe(sink, query_of(everything)));
  REQUIRE(sink->got.size() >= 2);
  for (const Entry& entry : sink->got) {
    CHECK(memory_of(*entry) >= entry->SpaceUsedLong());
    CHECK(memory_of(*entry) < 3 * entry->SpaceUsedLong());
  }
}

TEST_CASE("the rate is of the last minute and counts flows", "[observer]") {
  FlowStore store(100);
  store.add(entry_at(10));
  store.add(entry_at(100));
  store.add(loss_at(110));
  store.add(entry_at(120));
  CHECK(store.rate(130'000'000'000) == 2.0 / 60);
}

TEST_CASE("number, first, since and until", "[observer]") {
  std::deque<Entry> entries;
  for (int second = 1; second <= 10; ++second) {
    entries.push_back(entry_at(second, second % 2 == 0 ? flow::DROPPED : flow::FORWARDED));
  }
  observer::GetFlowsRequest request;
  CHECK(query_of(request).select(entries).size() == 10);
  request.set_number(3);
  CHECK(seconds_of(query_of(request).select(entries)) == Seconds{8, 9, 10});
  request.set_first(true);
  CHECK(seconds_of(query_of(request).select(entries)) == Seconds{1, 2, 3});
  request.set_first(false);
  request.add_whitelist()->add_verdict(flow::DROPPED);
  CHECK(seconds_of(query_of(request).select(entries)) == Seconds{6, 8, 10});
  request.mutable_since()->set_seconds(7);
  CHECK(seconds_of(query_of(request).select(entries)) == Seconds{8, 10});
  request.mutable_until()->set_seconds(9);
  CHECK(seconds_of(query_of(request).select(entries)) == Seconds{8});
  CHECK(query_of(request).is_over(9'000'000'001));
  CHECK_FALSE(query_of(request).is_over(9'000'000'000));
  request.Clear();
  request.set_number(~std::uint64_t{0});
  CHECK(query_of(request).select(entries).size() == 10);
  request.Clear();
  request.add_blacklist()->add_verdict(flow::DROPPED);
  CHECK(seconds_of(query_of(request).select(entries)) == Seconds{1, 3, 5, 7, 9});
}

TEST_CASE("losses pass filters and are not counted", "[observer]") {
  const std::deque<Entry> entries{entry_at(1), loss_at(2), entry_at(3, flow::FORWARDED), entry_at(4)};
  observer::GetFlowsRequest request;
  request.set_number(2);
  request.add_whitelist()->add_verdict(flow::DROPPED);
  CHECK(seconds_of(query_of(request).select(entries)) == Seconds{1, 2, 4});
}

TEST_CASE("following without a number or a time is about new flows only", "[observer]") {
  const std::deque<Entry> entries{entry_at(1), entry_at(2)};
  observer::GetFlowsRequest request;
  request.set_follow(true);
  CHECK(query_of(request).select(entries).empty());
  request.set_number(1);
  CHECK(seconds_of(query_of(request).select(entries)) == Seconds{2});
  request.set_number(0);
  request.mutable_since()->set_seconds(0);
  CHECK(query_of(request).select(entries).size() == 2);
  request.set_first(true);
  CHECK(FlowQuery::parse(request).error().message().starts_with("first: "));
}

TEST_CASE("a field mask is obeyed, a printer's mask gets names too, a wrong one is refused", "[observer]") {
  observer::GetFlowsRequest request;
  request.mutable_field_mask()->add_paths("verdict");
  request.mutable_field_mask()->add_paths("source.pod_name");
  Entry shown = query_of(request).shown(entry_at(1));
  CHECK(shown->flow().verdict() == flow::DROPPED);
  CHECK(shown->flow().source().pod_name() == "p");
  CHECK_FALSE(shown->flow().has_time());
  CHECK(shown->flow().destination_names().empty());
  CHECK(shown->time().seconds() == 1);

  request.mutable_field_mask()->clear_paths();
  for (const char* path : {"time",
                           "verdict",
                           "ethernet",
                           "IP",
                           "l4",
                           "source.identity",
                           "source.namespace",
                           "source.pod_name",
                           "destination.identity",
                           "destination.namespace",
                           "destination.pod_name",
                           "Type",
                           "node_name",
                           "l7",
                           "event_type",
                           "source_service",
                           "destination_service",
                           "is_reply",
                           "Summary",
                           "ip_trace_id"}) {
    request.mutable_field_mask()->add_paths(path);
  }
  shown = query_of(request).shown(entry_at(1));
  CHECK(shown->flow().destination_names_size() == 1);

  request.mutable_field_mask()->add_paths("nonsense");
  CHECK(FlowQuery::parse(request).error().message() == "field_mask: a flow has no field \"nonsense\"");
  request.mutable_field_mask()->clear_paths();
  for (int i = 0; i <= FlowQuery::kMaskPathsMax; ++i) {
    request.mutable_field_mask()->add_paths("time");
  }
  CHECK_FALSE(FlowQuery::parse(request));
}

class HubTest {
 protected:
  HubTest() : hub({.flows_max = 100, .node_name = "", .host_name = "host", .uuid_seed = 1}, names) {
    hub.directory() = known_directory();
  }
  std::shared_ptr<Sink> subscribe(const observer::GetFlowsRequest& request) {
    auto sink = std::make_shared<Sink>();
    REQUIRE(hub.subscribe(sink, query_of(request)));
    return sink;
  }
  std::shared_ptr<Sink> all() { return subscribe({}); }

  NoNames names;
  FlowHub hub;
};

TEST_CASE_METHOD(HubTest, "events become flows with a name, a node, and a time and id of their own", "[observer]") {
  egress_event event = syn(EGRESS_REASON_ALLOWED_BY_NAME);
  event.name = 5;
  for (int i = 0; i < 50; ++i) {
    hub.on_packet(event, kBootToUnixNs);
  }
  const auto sink = all();
  std::set<std::int32_t> nanos;
  std::set<std::string> ids;
  for (const Entry& entry : sink->got) {
    nanos.insert(entry->flow().time().nanos());
    ids.insert(entry->flow().uuid());
    CHECK(entry->flow().destination_names(0) == "api.example.com");
    CHECK(entry->node_name() == "host");
    CHECK(entry->flow().node_name() == "host");
    CHECK(entry->time().nanos() == entry->flow().time().nanos());
    CHECK(entry->flow().uuid().size() == 36);
    CHECK(entry->flow().emitter().name() == "Postern");
  }
  CHECK(sink->ended);
  CHECK(nanos.size() == 50);
  CHECK(ids.size() == 50);
}

TEST_CASE_METHOD(HubTest, "steered packets are flows only while postern-dns does not tell", "[observer]") {
  hub.on_packet(syn(EGRESS_REASON_DNS_STEERED, "8.8.8.8", 53), 0);
  hub.set_dns_connected(true);
  hub.on_packet(syn(EGRESS_REASON_DNS_STEERED, "8.8.8.8", 53), 0);
  CHECK(all()->got.size() == 1);
  CHECK(all()->got[0]->flow().verdict() == flow::REDIRECTED);
}

TEST_CASE_METHOD(HubTest, "losses become one entry a second, also for who follows", "[observer]") {
  observer::GetFlowsRequest request;
  request.set_follow(true);
  request.add_whitelist()->add_verdict(flow::FORWARDED);
  const auto sink = subscribe(request);
  egress_event event = syn(EGRESS_REASON_NOT_GRANTED);
  event.lost = 3;
  hub.on_packet(event, kBootToUnixNs);
  hub.on_packet(event, kBootToUnixNs);
  egress_dns_event dns = question(EGRESS_REASON_DNS_NAME_DENIED);
  dns.lost = 4;
  hub.on_dns(dns, kBootToUnixNs);
  CHECK(sink->got.empty());
  hub.tick(kBootToUnixNs);
  hub.tick(kBootToUnixNs);
  REQUIRE(sink->got.size() == 2);
  CHECK(sink->got[0]->lost_events().source() == flow::PERF_EVENT_RING_BUFFER);
  CHECK(sink->got[0]->lost_events().num_events_lost() == 6);
  CHECK(sink->got[1]->lost_events().source() == flow::OBSERVER_EVENTS_QUEUE);
  CHECK(sink->got[1]->lost_events().num_events_lost() == 4);
  CHECK(hub.lost() == 10);
}

TEST_CASE_METHOD(HubTest, "who follows gets what it asked for, until it is gone or its time is over", "[observer]") {
  observer::GetFlowsRequest request;
  request.set_follow(true);
  request.add_whitelist()->add_destination_fqdn("evil.*");
  const auto sink = subscribe(request);
  hub.on_dns(question(EGRESS_REASON_DNS_NAME_DENIED), kBootToUnixNs);
  hub.on_dns(question(EGRESS_REASON_DNS_NAME_DENIED, "other.example"), kBootToUnixNs);
  CHECK(sink->got.size() == 1);
  sink->is_gone = true;
  hub.on_dns(question(EGRESS_REASON_DNS_NAME_DENIED), kBootToUnixNs);
  CHECK(sink->got.size() == 1);

  request.mutable_until()->set_seconds(100);
  const auto limited = subscribe(request);
  hub.on_dns(question(EGRESS_REASON_DNS_NAME_DENIED), kBootToUnixNs);
  CHECK(limited->got.empty());
  hub.tick(101'000'000'000);
  CHECK(limited->ended);
}

TEST_CASE_METHOD(HubTest, "too many that follow are refused, those that went make room", "[observer]") {
  observer::GetFlowsRequest request;
  request.set_follow(true);
  std::vector<std::shared_ptr<Sink>> sinks;
  for (std::size_t i = 0; i < FlowHub::kSinksMax; ++i) {
    sinks.push_back(subscribe(request));
  }
  CHECK_FALSE(hub.subscribe(std::make_shared<Sink>(), query_of(request)));
  CHECK(all()->ended);
  sinks[0]->is_gone = true;
  CHECK(hub.subscribe(std::make_shared<Sink>(), query_of(request)));
  hub.close();
  CHECK(sinks[1]->ended);
}

TEST_CASE_METHOD(HubTest, "status, nodes and namespaces", "[observer]") {
  hub.on_packet(syn(EGRESS_REASON_NOT_GRANTED), kBootToUnixNs);
  const std::int64_t now = kBootToUnixNs + 6'000'000'000;
  const auto status = hub.status(now);
  CHECK(status.num_flows() == 1);
  CHECK(status.max_flows() == 100);
  CHECK(status.seen_flows() == 1);
  CHECK(status.flows_rate() > 0);
  CHECK(status.num_connected_nodes().value() == 1);
  CHECK(hub.nodes().nodes(0).name() == "host");
  CHECK(hub.nodes().nodes(0).state() == relay::NODE_CONNECTED);
  REQUIRE(hub.namespaces(now).namespaces_size() == 1);
  CHECK(hub.namespaces(now).namespaces(0).namespace_() == "default");
  CHECK(hub.namespaces(now + FlowHub::kNamespaceNs).namespaces().empty());
  api::ObserverUpdate update;
  update.mutable_node()->set_name("worker-1");
  hub.directory().apply(update);
  CHECK(hub.node_name() == "worker-1");
}

}  // namespace
}  // namespace postern
