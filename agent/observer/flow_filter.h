// SPDX-License-Identifier: Apache-2.0
//
// FlowFilters: Hubble's FlowFilter, checked once and then asked about each flow.
//
// Within a filter all fields that are set must match, the values of a field are alternatives; a list
// of filters matches when one does. A field that we cannot honour is an error that names it: a filter
// that is silently ignored would show a reviewer less, or more, than was asked for.
// Regular expressions are RE2's: linear in the text, bounded in memory.
// Thread: any; immutable once made. Limits: kFiltersMax filters, kValuesMax values of a field.
#pragma once

#include <functional>
#include <vector>

#include "api/flow.pb.h"
#include "base/result.h"

namespace postern {

using FlowCondition = std::function<bool(const flow::Flow&)>;

class FlowFilters {
 public:
  static constexpr int kFiltersMax = 64;
  static constexpr int kValuesMax = 256;
  static constexpr std::size_t kPatternMax = 1024;                       // bytes of a pattern or expression
  static constexpr std::int64_t kPatternMemory = std::int64_t{1} << 20;  // of one compiled expression

  /// @return invalid: "FIELD: what is wrong with it".
  static Result<FlowFilters> compile(const google::protobuf::RepeatedPtrField<flow::FlowFilter>& filters);

  bool empty() const { return filters_.empty(); }
  /// Whether at least one filter matches.
  bool any(const flow::Flow& flow) const;

 private:
  std::vector<std::vector<FlowCondition>> filters_;
};

}  // namespace postern
