// SPDX-License-Identifier: Apache-2.0
#include "agent/observer/flow_query.h"

#include <google/protobuf/util/field_mask_util.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "base/log.h"

namespace postern {
namespace {

using google::protobuf::util::FieldMaskUtil;

/// What the stock command line asks for when it prints lines for people. It prints names, direction
/// and policies when they arrive, so a mask with all of these gets them too.
constexpr std::array<std::string_view, 12> kPrinterMask{"time",
                                                        "verdict",
                                                        "IP",
                                                        "l4",
                                                        "source.identity",
                                                        "source.pod_name",
                                                        "destination.identity",
                                                        "destination.pod_name",
                                                        "Type",
                                                        "l7",
                                                        "event_type",
                                                        "Summary"};
constexpr std::array<std::string_view, 8> kPrinterExtras{"source_names",      "destination_names", "traffic_direction",
                                                         "policy_match_type", "egress_allowed_by", "ingress_allowed_by",
                                                         "egress_denied_by",  "ingress_denied_by"};

Result<google::protobuf::FieldMask> checked_mask(google::protobuf::FieldMask mask) {
  if (mask.paths_size() > FlowQuery::kMaskPathsMax) {
    return Error(Errc::kInvalid, "field_mask: at most " + std::to_string(FlowQuery::kMaskPathsMax) + " paths");
  }
  const std::set<std::string_view> paths(mask.paths().begin(), mask.paths().end());
  for (const std::string& path : mask.paths()) {
    if (!FieldMaskUtil::IsValidPath<flow::Flow>(path)) {
      return Error(Errc::kInvalid, "field_mask: a flow has no field \"" + printable(path) + "\"");
    }
  }
  if (std::ranges::all_of(kPrinterMask, [&](std::string_view path) { return paths.contains(path); })) {
    for (const std::string_view extra : kPrinterExtras) {
      mask.add_paths(std::string(extra));
    }
  }
  return mask;
}

}  // namespace

Result<FlowQuery> FlowQuery::parse(const observer::GetFlowsRequest& request) {
  FlowQuery query;
  if (request.first() && request.follow()) {
    return Error(Errc::kInvalid, "first: cannot be joined with follow");
  }
  auto allow = FlowFilters::compile(request.whitelist());
  if (!allow) {
    return std::move(allow).error().within("whitelist");
  }
  auto deny = FlowFilters::compile(request.blacklist());
  if (!deny) {
    return std::move(deny).error().within("blacklist");
  }
  if (request.field_mask().paths_size() > 0) {
    auto mask = checked_mask(request.field_mask());
    if (!mask) {
      return std::move(mask).error();
    }
    query.mask_ = std::move(*mask);
  }
  query.allow_ = std::make_shared<const FlowFilters>(std::move(*allow));
  query.deny_ = std::make_shared<const FlowFilters>(std::move(*deny));
  query.follow_ = request.follow();
  query.first_ = request.first();
  query.number_ = request.number();
  if (request.has_since()) {
    query.since_ns_ = unix_ns_of(request.since());
  }
  if (request.has_until()) {
    query.until_ns_ = unix_ns_of(request.until());
  }
  return query;
}

bool FlowQuery::wants(const observer::GetFlowsResponse& entry) const {
  if (!entry.has_flow()) {
    return true;
  }
  return (allow_->empty() || allow_->any(entry.flow())) && !deny_->any(entry.flow());
}

std::vector<Entry> FlowQuery::select(const std::deque<Entry>& entries) const {
  std::vector<Entry> selected;
  if (follow_ && number_ == 0 && !since_ns_) {
    return selected;
  }
  std::uint64_t flows = 0;
  // False when enough was taken.
  const auto take = [&](const Entry& entry) {
    const std::int64_t time_ns = unix_ns_of(entry->time());
    if ((since_ns_ && time_ns < *since_ns_) || (until_ns_ && time_ns > *until_ns_) || !wants(*entry)) {
      return true;
    }
    selected.push_back(entry);
    flows += entry->has_flow() ? 1 : 0;
    return number_ == 0 || flows < number_;
  };
  if (first_) {
    static_cast<void>(std::all_of(entries.begin(), entries.end(), take));
  } else {
    static_cast<void>(std::all_of(entries.rbegin(), entries.rend(), take));
    std::ranges::reverse(selected);
  }
  return selected;
}

Entry FlowQuery::shown(Entry entry) const {
  if (!mask_ || !entry->has_flow()) {
    return entry;
  }
  auto copy = std::make_shared<observer::GetFlowsResponse>(*entry);
  FieldMaskUtil::TrimMessage(*mask_, copy->mutable_flow());
  return copy;
}

}  // namespace postern
