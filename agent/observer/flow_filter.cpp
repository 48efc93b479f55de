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

  /// A text of the flow is matched by what `parse` makes of the filter's.
  template <typename Parse, typename Get>
  void add_text(const char* field, const google::protobuf::RepeatedPtrField<std::string>& values, Parse parse, Get get) {
    add(field, values, [parse, get](const std::string& value) -> Result<FlowCondition> {
      auto match = parse(value);
      if (!match) {
        return std::move(match).error();
      }
      return FlowCondition([get, match = std::move(*match)](const Flow& flow) { return match(get(flow)); });
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

  struct Side {
    const flow::Endpoint& (Flow::*end)() const;
    const flow::Service& (Flow::*service)() const;
    const google::protobuf::RepeatedPtrField<std::string>& (Flow::*names)() const;
  };

  void add_sides() {
    const Side source{&Flow::source, &Flow::source_service, &Flow::source_names};
    const Side destination{&Flow::destination, &Flow::destination_service, &Flow::destination_names};
    add_text("source_ip", filter_.source_ip(), ip_match, [](const Flow& flow) -> auto& { return flow.ip().source(); });
    add_text("source_ip_xlated", filter_.source_ip_xlated(), ip_match, [](const Flow& flow) -> auto& { return flow.ip().source_xlated(); });
    add_text("destination_ip", filter_.destination_ip(), ip_match, [](const Flow& flow) -> auto& { return flow.ip().destination(); });
    add_pod("source_pod", filter_.source_pod(), source);
    add_pod("destination_pod", filter_.destination_pod(), destination);
    add_service("source_service", filter_.source_service(), source);
    add_service("destination_service", filter_.destination_service(), destination);
    add_fqdn("source_fqdn", filter_.source_fqdn(), source);
    add_fqdn("destination_fqdn", filter_.destination_fqdn(), destination);
    add_label("source_label", filter_.source_label(), source);
    add_label("destination_label", filter_.destination_label(), destination);
    add_workload("source_workload", filter_.source_workload(), source);
    add_workload("destination_workload", filter_.destination_workload(), destination);
    add_equal("source_identity", filter_.source_identity(), [](const Flow& flow) { return flow.source().identity(); });
    add_equal("destination_identity", filter_.destination_identity(), [](const Flow& flow) { return flow.destination().identity(); });
    add_equal("source_cluster_name", filter_.source_cluster_name(), [](const Flow& flow) { return flow.source().cluster_name(); });
    add_equal("destination_cluster_name", filter_.destination_cluster_name(), [](const Flow& flow) { return flow.destination().cluster_name(); });
    add_port("source_port", filter_.source_port(), source_port_of);
    add_port("destination_port", filter_.destination_port(), destination_port_of);
  }

  template <typename Values>
  void add_pod(const char* field, const Values& values, Side side) {
    add(field, values, [side](const std::string& value) -> Result<FlowCondition> {
      auto wanted = SpacedPrefix::parse(value);
      if (!wanted) {
        return std::move(wanted).error();
      }
      return FlowCondition([side, wanted = *wanted](const Flow& flow) {
        const auto& end = (flow.*side.end)();
        return wanted.matches(end.namespace_(), end.pod_name());
      });
    });
  }

  template <typename Values>
  void add_service(const char* field, const Values& values, Side side) {
    add(field, values, [side](const std::string& value) -> Result<FlowCondition> {
      auto wanted = SpacedPrefix::parse(value);
      if (!wanted) {
        return std::move(wanted).error();
      }
      return FlowCondition([side, wanted = *wanted](const Flow& flow) {
        const auto& service = (flow.*side.service)();
        return wanted.matches(service.namespace_(), service.name());
      });
    });
  }

  template <typename Values>
  void add_fqdn(const char* field, const Values& values, Side side) {
    add(field, values, [side](const std::string& value) -> Result<FlowCondition> {
      auto match = fqdn_match(value);
      if (!match) {
        return std::move(match).error();
      }
      return FlowCondition([side, match = *match](const Flow& flow) {
        const auto& names = (flow.*side.names)();
        return std::any_of(names.begin(), names.end(), match);
      });
    });
  }

  template <typename Values>
  void add_label(const char* field, const Values& values, Side side) {
    add(field, values, [side](const std::string& value) -> Result<FlowCondition> {
      auto selector = LabelSelector::parse(value);
      if (!selector) {
        return std::move(selector).error();
      }
      return FlowCondition([side, selector = *selector](const Flow& flow) { return selector.matches((flow.*side.end)().labels()); });
    });
  }

  template <typename Values>
  void add_workload(const char* field, const Values& values, Side side) {
    add(field, values, [side](const flow::Workload& value) -> Result<FlowCondition> {
      return FlowCondition([side, value](const Flow& flow) {
        const auto& workloads = (flow.*side.end)().workloads();
        return std::any_of(workloads.begin(), workloads.end(), [&](const flow::Workload& workload) {
          return (value.name().empty() || value.name() == workload.name()) &&
                 (value.kind().empty() || value.kind() == workload.kind());
        });
      });
    });
  }

  template <typename Values>
  void add_port(const char* field, const Values& values, std::uint32_t (*get)(const Flow&)) {
    add(field, values, [get](const std::string& value) -> Result<FlowCondition> {
      const auto port = port_of(value);
      if (!port) {
        return port.error();
      }
      return FlowCondition([get, port = *port](const Flow& flow) { return has_ports(flow) && get(flow) == port; });
    });
  }

  void add_verdict() {
    add_equal("verdict", filter_.verdict(), [](const Flow& flow) { return static_cast<int>(flow.verdict()); });
    add_equal("traffic_direction", filter_.traffic_direction(), [](const Flow& flow) { return static_cast<int>(flow.traffic_direction()); });
    add("drop_reason_desc", filter_.drop_reason_desc(), [](int value) -> Result<FlowCondition> {
      return FlowCondition([value](const Flow& flow) {
        return flow.verdict() == flow::DROPPED && flow.drop_reason_desc() == value;
      });
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
    add("protocol", filter_.protocol(), [](const std::string& value) -> Result<FlowCondition> { return protocol_match(value); });
    add_equal("ip_version", filter_.ip_version(), [](const Flow& flow) { return static_cast<int>(flow.ip().ipversion()); });
    add_equal("encrypted", filter_.encrypted(), [](const Flow& flow) { return flow.ip().encrypted(); });
    add("tcp_flags", filter_.tcp_flags(), [](const flow::TCPFlags& value) -> Result<FlowCondition> {
      return FlowCondition([value](const Flow& flow) {
        const auto& has = flow.l4().tcp().flags();
        return flow.l4().has_tcp() && value.fin() <= has.fin() && value.syn() <= has.syn() && value.rst() <= has.rst() &&
               value.psh() <= has.psh() && value.ack() <= has.ack() && value.urg() <= has.urg() &&
               value.ece() <= has.ece() && value.cwr() <= has.cwr() && value.ns() <= has.ns();
      });
    });
    add("dns_query", filter_.dns_query(), [](const std::string& value) -> Result<FlowCondition> {
      auto match = regex_match(value);
      if (!match) {
        return std::move(match).error();
      }
      return FlowCondition([match = *match](const Flow& flow) { return flow.l7().has_dns() && match(flow.l7().dns().query()); });
    });
  }

  void add_node() {
    add_text("node_name", filter_.node_name(), node_match, [](const Flow& flow) -> auto& { return flow.node_name(); });
    add_equal("uuid", filter_.uuid(), [](const Flow& flow) { return flow.uuid(); });
    add("node_labels", filter_.node_labels(), [](const std::string& value) -> Result<FlowCondition> {
      auto selector = LabelSelector::parse(value);
      if (!selector) {
        return std::move(selector).error();
      }
      return FlowCondition([selector = *selector](const Flow& flow) { return selector.matches(flow.node_labels()); });
    });
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
