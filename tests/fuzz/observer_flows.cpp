// SPDX-License-Identifier: Apache-2.0
//
// Any record, from a kernel or a DNS worker, becomes flows whose text is printable and that serialize;
// any request is refused or answers without harm.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "agent/observer/event_flow.h"
#include "agent/observer/flow_query.h"
#include "agent/observer/label_selector.h"
#include "tests/unit/observer_events.h"

namespace {

using namespace postern;

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

bool is_printable(const std::string& text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c <= 0x7e; });
}

Entry checked(const flow::Flow& flow) {
  require(is_printable(flow.summary()));
  require(std::all_of(flow.destination_names().begin(), flow.destination_names().end(), is_printable));
  require(is_printable(flow.l7().dns().query()));
  auto entry = std::make_shared<observer::GetFlowsResponse>();
  *entry->mutable_flow() = flow;
  require(entry->IsInitialized() && !entry->SerializeAsString().empty());
  return entry;
}

template <typename Event>
Event event_from(const std::uint8_t* data, std::size_t size) {
  Event event{};
  std::memcpy(&event, data, std::min(size, sizeof(event)));
  return event;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Directory directory = known_directory();
  const FlowContext context{directory, kBootToUnixNs};
  std::deque<Entry> entries{checked(packet_flow(event_from<egress_event>(data, size), "n.example", context))};
  for (const flow::Flow& flow : dns_flows(event_from<egress_dns_event>(data, size), context)) {
    entries.push_back(checked(flow));
  }
  observer::GetFlowsRequest request;
  if (request.ParseFromArray(data, static_cast<int>(size))) {
    if (const auto query = FlowQuery::parse(request)) {
      for (const Entry& entry : query->select(entries)) {
        require(query->shown(entry) != nullptr);
      }
    }
  }
  if (const auto selector = LabelSelector::parse({reinterpret_cast<const char*>(data), size})) {
    static_cast<void>(selector->matches(entries.front()->flow().source().labels()));
  }
  return 0;
}
