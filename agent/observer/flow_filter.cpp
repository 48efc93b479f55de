// SPDX-License-Identifier: Apache-2.0
#include "agent/observer/flow_filter.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "agent/observer/filter_match.h"
#include "agent/observer/label_selector.h"

namespace postern {
namespace {

using flow::Flow;

/// Builds the conditions of one filter; keeps the first error.
class Compiler {
 public:
  explicit Compiler(const flow::FlowFilter& filter) : filter_(filter) {}

  Result<std::vector<FlowCondition>> run() {
    refuse_unsupported();
    add_sides();
    add_verdict();
    add_layers();
    add_node();
    if (error_) {
      return *std::move(error_);
    }
    return std::move(conditions_);
  }

 private:
  void fail(const std::string& field, const std::string& what) {
    if (!error_) {
      error_ = Error(Errc::kInvalid, field + ": " + what);
    }
  }

  /// Alternatives: `make` turns each value into a condition, or into an error.
  template <typename Values, typename Make>
  void add(const char* field, const Values& values, Make make) {
    if (values.empty()) {
      return;
    }
    if (values.size() > FlowFilters::kValuesMax) {
      return fail(field, "at most " + std::to_string(FlowFilters::kValuesMax) + " values");
    }
    std::vector<FlowCondition> alternatives;
    for (const auto& value : values) {
      Result<FlowCondition> made = make(value);
      if (!made) {
        return fail(field, made.error().message());
      }
      alternatives.push_back(std::move(*made));
    }
    conditions_.push_back([alternatives = std::move(alternatives)](const Flow& flow) {
      return std::ranges::any_of(alternatives, [&](const FlowCondition& one) { return one(flow); });
    });
  }

  /// Alternatives that cannot be wrong: a flow's value equals the filter's.
  template <typename Values, typename Get>
  void add_equal(const char* field, const Values& values, Get get) {
    add(field, values, [get](const auto& value) -> Result<FlowCondition> {
      return FlowCondition([get, value](const Flow& flow) { return get(flow) == value; });
    });
  }

  /// `parse` checks the filter's value once; `test` compares a flow with what it made.
  template <typename Values, typename Parse, typename Test>
  void add_parsed(const char* field, const Values& values, Parse parse, Test test) {
    add(field, values, [parse, test](const auto& value) -> Result<FlowCondition> {
      auto parsed = parse(value);
      if (!parsed) {
        return std::move(parsed).error();
      }
      return FlowCondition([test, wanted = std::move(*parsed)](const Flow& flow) { return test(flow, wanted); });
    });
  }

  void refuse_unsupported() {
    const auto refuse = [this](const char* field, bool is_set, const char* why) {
      if (is_set) {
        fail(field, why);
      }
    };
    const char* http = "Postern does not see HTTP; this filter cannot be used";
    refuse("http_status_code", !filter_.http_status_code().empty(), http);
    refuse("http_method", !filter_.http_method().empty(), http);
    refuse("http_path", !filter_.http_path().empty(), http);
    refuse("http_url", !filter_.http_url().empty(), http);
    refuse("http_header", !filter_.http_header().empty(), http);
    refuse("trace_id", !filter_.trace_id().empty(), "Postern does not see trace ids");
    refuse("ip_trace_id", !filter_.ip_trace_id().empty(), "Postern does not see trace ids");
    refuse("experimental.cel_expression", filter_.has_experimental(), "CEL expressions are not supported");
    const auto& unknown = filter_.GetReflection()->GetUnknownFields(filter_);
    if (!unknown.empty()) {
      fail("field " + std::to_string(unknown.field(0).number()), "this filter is newer than Postern and not supported");
    }
  }

  void add_sides() {
    add_parsed("source_ip", filter_.source_ip(), ip_match,
               [](const Flow& flow, const TextMatch& match) { return match(flow.ip().source()); });
    add_parsed("source_ip_xlated", filter_.source_ip_xlated(), ip_match,
               [](const Flow& flow, const TextMatch& match) { return match(flow.ip().source_xlated()); });
    add_parsed("destination_ip", filter_.destination_ip(), ip_match,
               [](const Flow& flow, const TextMatch& match) { return match(flow.ip().destination()); });
    add_pod("source_pod", filter_.source_pod(), &Flow::source);
    add_pod("destination_pod", filter_.destination_pod(), &Flow::destination);
    add_service("source_service", filter_.source_service(), &Flow::source_service);
    add_service("destination_service", filter_.destination_service(), &Flow::destination_service);
    add_fqdn("source_fqdn", filter_.source_fqdn(), &Flow::source_names);
    add_fqdn("destination_fqdn", filter_.destination_fqdn(), &Flow::destination_names);
    add_label("source_label", filter_.source_label(), &Flow::source);
    add_label("destination_label", filter_.destination_label(), &Flow::destination);
    add_workload("source_workload", filter_.source_workload(), &Flow::source);
    add_workload("destination_workload", filter_.destination_workload(), &Flow::destination);
    add_equal("source_identity", filter_.source_identity(), [](const Flow& flow) { return flow.source().identity(); });
    add_equal("destination_identity", filter_.destination_identity(),
              [](const Flow& flow) { return flow.destination().identity(); });
    add_equal("source_cluster_name", filter_.source_cluster_name(),
              [](const Flow& flow) { return flow.source().cluster_name(); });
    add_equal("destination_cluster_name", filter_.destination_cluster_name(),
              [](const Flow& flow) { return flow.destination().cluster_name(); });
    add_parsed("source_port", filter_.source_port(), port_of,
               [](const Flow& flow, std::uint32_t port) { return has_ports(flow) && source_port_of(flow) == port; });
    add_parsed("destination_port", filter_.destination_port(), port_of, [](const Flow& flow, std::uint32_t port) {
      return has_ports(flow) && destination_port_of(flow) == port;
    });
  }

  using End = const flow::Endpoint& (Flow::*)() const;
  using Service = const flow::Service& (Flow::*)() const;
  using Texts = const google::protobuf::RepeatedPtrField<std::string>& (Flow::*)() const;

  template <typename Values>
  void add_pod(const char* field, const Values& values, End end) {
    add_parsed(field, values, SpacedPrefix::parse, [end](const Flow& flow, const SpacedPrefix& wanted) {
      return wanted.matches((flow.*end)().namespace_(), (flow.*end)().pod_name());
    });
  }

  template <typename Values>
  void add_service(const char* field, const Values& values, Service service) {
    add_parsed(field, values, SpacedPrefix::parse, [service](const Flow& flow, const SpacedPrefix& wanted) {
      return wanted.matches((flow.*service)().namespace_(), (flow.*service)().name());
    });
  }

  template <typename Values>
  void add_fqdn(const char* field, const Values& values, Texts names) {
    add_parsed(field, values, fqdn_match, [names](const Flow& flow, const TextMatch& match) {
      return std::any_of((flow.*names)().begin(), (flow.*names)().end(), match);
    });
  }

  template <typename Values>
  void add_label(const char* field, const Values& values, End end) {
    add_parsed(field, values, LabelSelector::parse, [end](const Flow& flow, const LabelSelector& selector) {
      return selector.matches((flow.*end)().labels());
    });
  }

  template <typename Values>
  void add_workload(const char* field, const Values& values, End end) {
    add(field, values, [end](const flow::Workload& wanted) -> Result<FlowCondition> {
      return FlowCondition([end, wanted](const Flow& flow) {
        const auto& workloads = (flow.*end)().workloads();
        return std::any_of(workloads.begin(), workloads.end(), [&](const flow::Workload& workload) {
          return (wanted.name().empty() || wanted.name() == workload.name()) &&
                 (wanted.kind().empty() || wanted.kind() == workload.kind());
        });
      });
    });
  }

  void add_verdict() {
    add_equal("verdict", filter_.verdict(), [](const Flow& flow) { return static_cast<int>(flow.verdict()); });
    add_equal("traffic_direction", filter_.traffic_direction(),
              [](const Flow& flow) { return static_cast<int>(flow.traffic_direction()); });
    add("drop_reason_desc", filter_.drop_reason_desc(), [](int value) -> Result<FlowCondition> {
      return FlowCondition(
          [value](const Flow& flow) { return flow.verdict() == flow::DROPPED && flow.drop_reason_desc() == value; });
    });
    add("reply", filter_.reply(), [](bool value) -> Result<FlowCondition> {
      return FlowCondition([value](const Flow& flow) {
        // Of a dropped packet nobody knows: it counts as a first one.
        return flow.has_is_reply() ? flow.is_reply().value() == value : !value && flow.verdict() == flow::DROPPED;
      });
    });
    add("event_type", filter_.event_type(), [](const flow::EventTypeFilter& value) -> Result<FlowCondition> {
      return FlowCondition([value](const Flow& flow) {
        return (value.type() == 0 || value.type() == flow.event_type().type()) &&
               (!value.match_sub_type() || value.sub_type() == flow.event_type().sub_type());
      });
    });
  }

  void add_layers() {
    add("protocol", filter_.protocol(),
        [](const std::string& value) -> Result<FlowCondition> { return protocol_match(value); });
    add_equal("ip_version", filter_.ip_version(),
              [](const Flow& flow) { return static_cast<int>(flow.ip().ipversion()); });
    add_equal("encrypted", filter_.encrypted(), [](const Flow& flow) { return flow.ip().encrypted(); });
    add("tcp_flags", filter_.tcp_flags(), [](const flow::TCPFlags& value) -> Result<FlowCondition> {
      return FlowCondition([value](const Flow& flow) {
        const auto& has = flow.l4().tcp().flags();
        return flow.l4().has_tcp() && value.fin() <= has.fin() && value.syn() <= has.syn() &&
               value.rst() <= has.rst() && value.psh() <= has.psh() && value.ack() <= has.ack() &&
               value.urg() <= has.urg() && value.ece() <= has.ece() && value.cwr() <= has.cwr() &&
               value.ns() <= has.ns();
      });
    });
    add_parsed("dns_query", filter_.dns_query(), regex_match, [](const Flow& flow, const TextMatch& match) {
      return flow.l7().has_dns() && match(flow.l7().dns().query());
    });
  }

  void add_node() {
    add_parsed("node_name", filter_.node_name(), node_match,
               [](const Flow& flow, const TextMatch& match) { return match(flow.node_name()); });
    add_equal("uuid", filter_.uuid(), [](const Flow& flow) { return flow.uuid(); });
    add_parsed("node_labels", filter_.node_labels(), LabelSelector::parse,
               [](const Flow& flow, const LabelSelector& selector) { return selector.matches(flow.node_labels()); });
    add("interface", filter_.interface(), [](const flow::NetworkInterface& value) -> Result<FlowCondition> {
      return FlowCondition([value](const Flow& flow) {
        return (value.index() == 0 || value.index() == flow.interface().index()) &&
               (value.name().empty() || value.name() == flow.interface().name());
      });
    });
  }

  const flow::FlowFilter& filter_;
  std::vector<FlowCondition> conditions_;
  std::optional<Error> error_;
};

}  // namespace

Result<FlowFilters> FlowFilters::compile(const google::protobuf::RepeatedPtrField<flow::FlowFilter>& filters) {
  FlowFilters compiled;
  if (filters.size() > kFiltersMax) {
    return Error(Errc::kInvalid, "at most " + std::to_string(kFiltersMax) + " filters");
  }
  for (const flow::FlowFilter& filter : filters) {
    auto conditions = Compiler(filter).run();
    if (!conditions) {
      return std::move(conditions).error();
    }
    compiled.filters_.push_back(std::move(*conditions));
  }
  return compiled;
}

bool FlowFilters::any(const flow::Flow& flow) const {
  return std::ranges::any_of(filters_, [&](const std::vector<FlowCondition>& conditions) {
    return std::ranges::all_of(conditions, [&](const FlowCondition& one) { return one(flow); });
  });
}

}  // namespace postern
