// SPDX-License-Identifier: Apache-2.0
#include "agent/observer/flow_hub.h"

#include <cstdio>

#include "agent/observer/event_flow.h"
#include "agent/observer/hubble_words.h"
#include "bpf/reasons.h"

namespace postern {
namespace {

/// Clients tell flows apart by time and node: the last bits of the nanoseconds become a sequence.
constexpr std::int32_t kTimeGrain = 1024;

google::protobuf::Timestamp timestamp_of(std::int64_t unix_ns) {
  google::protobuf::Timestamp time;
  time.set_seconds(unix_ns / static_cast<std::int64_t>(kNsPerS));
  time.set_nanos(static_cast<std::int32_t>(unix_ns % static_cast<std::int64_t>(kNsPerS)));
  return time;
}

/// Of the form of RFC 9562 version 8: the bits are ours.
std::string uuid_of(std::uint64_t seed, std::uint64_t sequence) {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%08x-%04x-8%03x-8%03x-%012llx", static_cast<unsigned>(seed >> 32),
                static_cast<unsigned>(seed >> 16 & 0xffff), static_cast<unsigned>(seed >> 4 & 0xfff),
                static_cast<unsigned>(sequence >> 48 & 0xfff),
                static_cast<unsigned long long>(sequence & 0xffffffffffff));
  return text.data();
}

}  // namespace

std::string FlowHub::node_name() const {
  return !options_.node_name.empty()  ? options_.node_name
         : !directory_.node().empty() ? directory_.node()
                                      : options_.host_name;
}

void FlowHub::on_packet(const egress_event& event, std::int64_t boot_to_unix_ns) {
  if (event.lost > 0) {
    lose(flow::PERF_EVENT_RING_BUFFER, event.lost, unix_time_ns(event.time_boot_ns, boot_to_unix_ns));
  }
  const bool steered = event.reason == EGRESS_REASON_DNS_STEERED || event.reason == EGRESS_REASON_DNS_ANSWER;
  if (steered && dns_connected_) {
    return;
  }
  const std::string name = event.name == 0 ? std::string() : names_.name(event.name);
  add(packet_flow(event, name, {directory_, boot_to_unix_ns}));
}

void FlowHub::on_dns(const egress_dns_event& event, std::int64_t boot_to_unix_ns) {
  if (event.lost > 0) {
    lose(flow::OBSERVER_EVENTS_QUEUE, event.lost, unix_time_ns(event.time_boot_ns, boot_to_unix_ns));
  }
  for (flow::Flow& flow : dns_flows(event, {directory_, boot_to_unix_ns})) {
    add(std::move(flow));
  }
}

void FlowHub::add(flow::Flow flow) {
  const std::uint64_t sequence = sequence_++;
  auto& time = *flow.mutable_time();
  time.set_nanos(time.nanos() / kTimeGrain * kTimeGrain + static_cast<std::int32_t>(sequence % kTimeGrain));
  flow.set_node_name(node_name());
  flow.set_uuid(uuid_of(options_.uuid_seed, sequence));
  flow.mutable_emitter()->set_name("Postern");
  flow.mutable_emitter()->set_version(POSTERN_VERSION);
  const std::int64_t time_ns = unix_ns_of(time);
  note_namespace(flow.source(), time_ns);
  note_namespace(flow.destination(), time_ns);
  auto entry = std::make_shared<observer::GetFlowsResponse>();
  entry->set_node_name(flow.node_name());
  *entry->mutable_time() = time;
  *entry->mutable_flow() = std::move(flow);
  publish(entry);
}

void FlowHub::publish(const Entry& entry) {
  store_.add(entry);
  std::erase_if(subscriptions_, [&](const Subscription& subscription) {
    if (subscription.sink->gone()) {
      return true;
    }
    if (!subscription.query.is_over(unix_ns_of(entry->time())) && subscription.query.wants(*entry)) {
      subscription.sink->push(entry);
    }
    return false;
  });
}

void FlowHub::note_namespace(const flow::Endpoint& end, std::int64_t time_ns) {
  if (end.namespace_().empty()) {
    return;
  }
  if (namespaces_.size() < kNamespacesMax || namespaces_.contains(end.namespace_())) {
    namespaces_[end.namespace_()] = time_ns;
  }
}

void FlowHub::lose(flow::LostEventSource source, std::uint64_t count, std::int64_t now_unix_ns) {
  Loss& loss = losses_[static_cast<std::size_t>(source)];
  if (loss.count == 0) {
    loss.first_ns = now_unix_ns;
  }
  loss.count += count;
  loss.last_ns = now_unix_ns;
  lost_ += count;
}

void FlowHub::tick(std::int64_t now_unix_ns) {
  for (std::size_t source = 0; source < losses_.size(); ++source) {
    Loss& loss = losses_[source];
    if (loss.count == 0) {
      continue;
    }
    auto entry = std::make_shared<observer::GetFlowsResponse>();
    auto& lost = *entry->mutable_lost_events();
    lost.set_source(static_cast<flow::LostEventSource>(source));
    lost.set_num_events_lost(loss.count);
    *lost.mutable_first() = timestamp_of(loss.first_ns);
    *lost.mutable_last() = timestamp_of(loss.last_ns);
    entry->set_node_name(node_name());
    *entry->mutable_time() = timestamp_of(now_unix_ns);
    loss = {};
    publish(entry);
  }
  std::erase_if(subscriptions_, [&](const Subscription& subscription) {
    if (subscription.query.is_over(now_unix_ns)) {
      subscription.sink->end();
      return true;
    }
    return subscription.sink->gone();
  });
  std::erase_if(namespaces_, [&](const auto& entry) { return now_unix_ns - entry.second > kNamespaceNs; });
}

Result<> FlowHub::subscribe(std::shared_ptr<FlowSink> sink, const FlowQuery& query) {
  std::erase_if(subscriptions_, [](const Subscription& subscription) { return subscription.sink->gone(); });
  if (query.follow() && subscriptions_.size() >= kSinksMax) {
    return Error(Errc::kFull, "too many clients follow already (" + std::to_string(kSinksMax) + ")");
  }
  sink->start(query.select(store_.entries()), query.follow());
  if (query.follow()) {
    subscriptions_.push_back({std::move(sink), query});
  }
  return {};
}

void FlowHub::close() {
  for (const Subscription& subscription : subscriptions_) {
    subscription.sink->end();
  }
  subscriptions_.clear();
}

std::uint64_t FlowHub::uptime_ns() const { return SystemClock().now() - started_; }

observer::ServerStatusResponse FlowHub::status(std::int64_t now_unix_ns) const {
  observer::ServerStatusResponse status;
  status.set_num_flows(store_.entries().size());
  status.set_max_flows(store_.flows_max());
  status.set_seen_flows(store_.seen());
  status.set_uptime_ns(uptime_ns());
  status.mutable_num_connected_nodes()->set_value(1);
  status.mutable_num_unavailable_nodes()->set_value(0);
  status.set_version(std::string("postern ") + POSTERN_VERSION);
  status.set_flows_rate(store_.rate(now_unix_ns));
  return status;
}

observer::GetNodesResponse FlowHub::nodes() const {
  observer::GetNodesResponse response;
  auto& node = *response.add_nodes();
  node.set_name(node_name());
  node.set_version(std::string("postern ") + POSTERN_VERSION);
  node.set_state(relay::NODE_CONNECTED);
  node.mutable_tls()->set_enabled(false);
  node.set_uptime_ns(uptime_ns());
  node.set_num_flows(store_.entries().size());
  node.set_max_flows(store_.flows_max());
  node.set_seen_flows(store_.seen());
  return response;
}

observer::GetNamespacesResponse FlowHub::namespaces(std::int64_t now_unix_ns) const {
  observer::GetNamespacesResponse response;
  for (const auto& [name, seen_ns] : namespaces_) {
    if (now_unix_ns - seen_ns <= kNamespaceNs) {
      response.add_namespaces()->set_namespace_(name);
    }
  }
  return response;
}

}  // namespace postern
