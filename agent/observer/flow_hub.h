// SPDX-License-Identifier: Apache-2.0
//
// FlowHub: events in, flows out. Names them, keeps them, hands them to whoever follows, and counts
// what was lost.
//
// Thread: the loop's; sinks pass what they get on to other threads. No I/O: the sources call in.
// Limits: FlowStore's; kSinksMax who follow; kNamespacesMax namespaces remembered for kNamespaceNs.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/observer/directory.h"
#include "agent/observer/flow_query.h"
#include "agent/observer/flow_store.h"
#include "base/clock.h"
#include "bpf/layout.h"

namespace postern {

/// A client's end of GetFlows. Called from the loop; may be gone at any moment.
class FlowSink {
 public:
  FlowSink() = default;
  FlowSink(const FlowSink&) = delete;
  FlowSink& operator=(const FlowSink&) = delete;
  virtual ~FlowSink() = default;

  /// What the store had; with `more`, push() and end() follow.
  virtual void start(std::vector<Entry> entries, bool more) = 0;
  virtual void push(const Entry& entry) = 0;
  virtual void end() = 0;
  /// Whether the client went away.
  virtual bool gone() const = 0;
};

/// The wire names behind the ids in events.
class NameSource {
 public:
  virtual ~NameSource() = default;
  /// Printable; empty when nobody knows the id.
  virtual std::string name(std::uint32_t id) const = 0;
};

struct FlowHubOptions {
  std::size_t flows_max = FlowStore::kFlowsDefault;
  std::string node_name;  ///< Empty: what posternd says, until then `host_name`.
  std::string host_name;
  std::uint64_t uuid_seed = 0;  ///< Random: the first half of every flow's uuid.
};

class FlowHub {
 public:
  static constexpr std::size_t kSinksMax = 64;
  static constexpr std::size_t kNamespacesMax = 1024;
  static constexpr std::int64_t kNamespaceNs = 3600ll * 1'000'000'000;

  FlowHub(FlowHubOptions options, const NameSource& names)
      : options_(std::move(options)), names_(names), store_(options_.flows_max) {}

  Directory& directory() { return directory_; }
  void on_packet(const egress_event& event, std::int64_t boot_to_unix_ns);
  void on_dns(const egress_dns_event& event, std::int64_t boot_to_unix_ns);
  /// While postern-dns tells of each question, the steered packets that carried it are not flows too.
  void set_dns_connected(bool connected) { dns_connected_ = connected; }
  void lose(flow::LostEventSource source, std::uint64_t count, std::int64_t now_unix_ns);
  /// Once a second: losses become an entry, and streams whose time is over end.
  void tick(std::int64_t now_unix_ns);

  /// Answers a query. @return full when too many follow already.
  Result<> subscribe(std::shared_ptr<FlowSink> sink, const FlowQuery& query);
  /// Ends all that follow.
  void close();

  std::string node_name() const;
  observer::ServerStatusResponse status(std::int64_t now_unix_ns) const;
  observer::GetNodesResponse nodes() const;
  observer::GetNamespacesResponse namespaces(std::int64_t now_unix_ns) const;
  std::uint64_t lost() const { return lost_; }

 private:
  struct Subscription {
    std::shared_ptr<FlowSink> sink;
    FlowQuery query;
  };
  struct Loss {
    std::uint64_t count = 0;
    std::int64_t first_ns = 0;
    std::int64_t last_ns = 0;
  };

  void add(flow::Flow flow);
  void publish(const Entry& entry);
  void note_namespace(const flow::Endpoint& end, std::int64_t time_ns);
  std::uint64_t uptime_ns() const;

  FlowHubOptions options_;
  const NameSource& names_;
  Directory directory_;
  FlowStore store_;
  std::vector<Subscription> subscriptions_;
  std::array<Loss, flow::LostEventSource_ARRAYSIZE> losses_{};
  std::uint64_t lost_ = 0;
  std::uint64_t sequence_ = 0;
  bool dns_connected_ = false;
  std::map<std::string, std::int64_t> namespaces_;
  BootNs started_ = SystemClock().now();
};

}  // namespace postern
