// SPDX-License-Identifier: Apache-2.0
//
// Bytes as an API server's answers. What is taken keeps its limits and is printable where a person reads
// it; the lines of a watch do not depend on where the stream was cut.
#include <nlohmann/json.hpp>

#include "agent/kube/line_splitter.h"
#include "agent/kube/policy_resource.h"
#include "agent/kube/problem.h"
#include "agent/kube/reader.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace postern;

void require_printable(const std::string& text) {
  for (const char c : text) {
    FUZZ_REQUIRE(c >= ' ' && c < 0x7f);
  }
}

void check(const PodInfo& pod) {
  FUZZ_REQUIRE(!pod.uid.empty() && !pod.name.empty() && !pod.space.empty());
  FUZZ_REQUIRE(pod.labels.size() <= kLabelsMax && pod.addresses.size() <= kAddressesMax);
  FUZZ_REQUIRE(pod.searches.size() <= kSearchesMax);
}
void check(const PolicyObject& policy) {
  FUZZ_REQUIRE(!policy.uid.empty() && !policy.name.empty() && policy.text.size() <= kPolicyBytesMax);
  for (const PolicyResource& resource : policy_resources()) {
    FUZZ_REQUIRE(nlohmann::json::parse(resource.text_of(policy.text), nullptr, false).is_object());
  }
}
void check(const ClusterObject& object) {
  FUZZ_REQUIRE(!object.uid.empty() && nlohmann::json::parse(object.text, nullptr, false).is_object());
}
void check(const NamespaceInfo& space) { FUZZ_REQUIRE(!space.name.empty() && space.labels.size() <= kLabelsMax); }

template <typename T>
void check(const ObjectRead<T>& read) {
  require_printable(read.problem);
  if (read.problem.empty()) {
    FUZZ_REQUIRE(!read.id.empty());
    check(read.object);
  }
}

template <typename T>
void read_as(std::string_view text) {
  if (auto page = read_list<T>(text)) {
    FUZZ_REQUIRE(!page->version.empty());
    for (const ObjectRead<T>& item : page->items) {
      check(item);
    }
  } else {
    require_printable(page.error().message());
  }
  if (auto event = read_watch_event<T>(text)) {
    require_printable(event->status.message);
    if (event->type != WatchEventType::kError && event->type != WatchEventType::kBookmark) {
      check(event->object);
    }
  } else {
    require_printable(event.error().message());
  }
}

std::vector<std::string> lines_of(std::string_view text, std::size_t piece, std::size_t line_max) {
  LineSplitter splitter(line_max);
  std::vector<std::string> lines;
  while (!text.empty()) {
    splitter.feed(text.substr(0, piece), [&](std::string_view line) {
      FUZZ_REQUIRE(!line.empty() && line.size() <= line_max);
      lines.emplace_back(line);
      return true;
    });
    FUZZ_REQUIRE(splitter.held() <= line_max);
    text.remove_prefix(std::min(piece, text.size()));
  }
  return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  read_as<PodInfo>(text);
  read_as<NamespaceInfo>(text);
  read_as<PolicyObject>(text);
  read_as<ClusterObject>(text);
  require_printable(explain_status(size > 0 ? 400 + data[0] : 400, text, {}).message());
  if (size <= 4096) {
    const auto whole = lines_of(text, std::max<std::size_t>(size, 1), 64);
    FUZZ_REQUIRE(whole == lines_of(text, 1, 64));
    FUZZ_REQUIRE(whole == lines_of(text, 7, 64));
  }
  return 0;
}
