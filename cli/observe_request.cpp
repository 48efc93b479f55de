// SPDX-License-Identifier: Apache-2.0
#include "cli/observe_request.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <charconv>
#include <functional>

#include "base/log.h"

namespace postern {
namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

using Filters = std::vector<flow::FlowFilter>;

/// Each filter becomes one for each alternative: an option that looks at either end is two filters.
void widen(Filters& filters, const std::vector<std::function<void(flow::FlowFilter&)>>& alternatives) {
  Filters wider;
  for (const flow::FlowFilter& filter : filters) {
    for (const auto& alternative : alternatives) {
      wider.push_back(filter);
      alternative(wider.back());
    }
  }
  filters = std::move(wider);
}

/// The lookup of a name, as an expression on the query with its final dot.
std::string query_expression(const std::string& pattern) {
  std::string expression = "(?i)^";
  for (const char c : pattern) {
    expression += c == '*' ? "[-.0-9a-z]*" : c == '.' ? "\\." : std::string(1, c);
  }
  return expression + "\\.$";
}

bool is_name_pattern(const std::string& text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.' || c == '*';
  });
}

Result<> add_names(Filters& filters, const std::vector<std::string>& names) {
  if (names.empty()) {
    return {};
  }
  std::vector<std::string> plain;
  for (const std::string& name : names) {
    if (!is_name_pattern(name)) {
      return Error(Errc::kInvalid, "--to-fqdn \"" + printable(name) + "\": write a name, with * for any part of it");
    }
    plain.push_back(name.ends_with('.') ? name.substr(0, name.size() - 1) : name);
  }
  widen(filters, {[&](flow::FlowFilter& filter) {
                    for (const std::string& name : plain) {
                      filter.add_destination_fqdn(name);
                    }
                  },
                  [&](flow::FlowFilter& filter) {
                    for (const std::string& name : plain) {
                      filter.add_dns_query(query_expression(name));
                    }
                  }});
  return {};
}

Result<> add_sandboxes(Filters& filters, const std::vector<std::string>& sandboxes) {
  if (sandboxes.empty()) {
    return {};
  }
  std::vector<std::string> pods;
  for (const std::string& sandbox : sandboxes) {
    if (sandbox.empty()) {
      return Error(Errc::kInvalid, "--sandbox needs a name: `postern sandbox list` shows them");
    }
    pods.push_back(sandbox.find('/') == std::string::npos ? "/" + sandbox : sandbox);
  }
  widen(filters,
        {[&](flow::FlowFilter& filter) { filter.mutable_source_pod()->Assign(pods.begin(), pods.end()); },
         [&](flow::FlowFilter& filter) { filter.mutable_destination_pod()->Assign(pods.begin(), pods.end()); }});
  return {};
}

Result<> add_verdicts(Filters& filters, const ObserveOptions& options) {
  for (std::string word : options.verdicts) {
    std::ranges::transform(word, word.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    flow::Verdict verdict = flow::VERDICT_UNKNOWN;
    if (!flow::Verdict_Parse(word, &verdict)) {
      return Error(Errc::kInvalid,
                   "--verdict \"" + printable(word) + "\": write FORWARDED, DROPPED, REDIRECTED or ERROR");
    }
    filters.front().add_verdict(verdict);
  }
  if (options.blocked) {
    filters.front().add_verdict(flow::DROPPED);
    filters.front().add_traffic_direction(flow::EGRESS);
  }
  return {};
}

Result<> check(const ObserveOptions& options) {
  const bool end_given = options.first > 0 || options.all || options.last_given;
  if (options.blocked && options.follow) {
    return Error(Errc::kInvalid, "--blocked counts what happened so far and cannot follow: use -f --verdict DROPPED");
  }
  if (options.blocked && !options.verdicts.empty()) {
    return Error(Errc::kInvalid, "--blocked shows what was dropped: leave --verdict out");
  }
  if (options.follow && options.first > 0) {
    return Error(Errc::kInvalid, "--first cannot be joined with --follow: use --since");
  }
  if (!options.follow && options.last_given && options.last == 0) {
    return Error(Errc::kInvalid, "--last 0 shows nothing: leave it out, or use --all");
  }
  if (end_given &&
      static_cast<int>(options.first > 0) + static_cast<int>(options.all) + static_cast<int>(options.last_given) > 1) {
    return Error(Errc::kInvalid, "use one of --last, --first and --all");
  }
  return {};
}

}  // namespace

Result<std::int64_t> parse_since(const std::string& text, std::int64_t now_unix_ns) {
  constexpr std::string_view kUnits = "smhd";
  constexpr std::int64_t kUnitS[] = {1, 60, 3600, 86400};
  constexpr std::int64_t kCountMax = 1'000'000;
  if (text.size() > 1 && kUnits.find(text.back()) != std::string_view::npos) {
    std::int64_t count = 0;
    const char* end = text.data() + text.size() - 1;
    const auto [stop, error] = std::from_chars(text.data(), end, count);
    if (error == std::errc() && stop == end && count >= 0 && count <= kCountMax) {
      return now_unix_ns - count * kUnitS[kUnits.find(text.back())] * kNsPerSecond;
    }
  }
  google::protobuf::Timestamp time;
  if (google::protobuf::util::TimeUtil::FromString(text, &time)) {
    return google::protobuf::util::TimeUtil::TimestampToNanoseconds(time);
  }
  return Error(Errc::kInvalid,
               "--since \"" + printable(text) + "\": write a span (90s, 5m, 2h, 1d) or a time (2025-11-25T10:00:00Z)");
}

Result<observer::GetFlowsRequest> make_request(const ObserveOptions& options, std::int64_t now_unix_ns) {
  POSTERN_RETURN_IF_ERROR(check(options));
  observer::GetFlowsRequest request;
  request.set_follow(options.follow);
  request.set_first(options.first > 0);
  const bool everything = options.all || ((options.blocked || !options.since.empty()) && !options.last_given);
  request.set_number(options.first > 0 ? options.first : everything ? 0 : options.last);
  if (!options.since.empty()) {
    auto since_ns = parse_since(options.since, now_unix_ns);
    if (!since_ns) {
      return std::move(since_ns).error();
    }
    *request.mutable_since() = google::protobuf::util::TimeUtil::NanosecondsToTimestamp(*since_ns);
  } else if (options.follow && options.all) {
    request.mutable_since();  // from 1970 on
  }
  Filters filters(1);
  POSTERN_RETURN_IF_ERROR(add_verdicts(filters, options));
  filters.front().mutable_protocol()->Assign(options.protocols.begin(), options.protocols.end());
  POSTERN_RETURN_IF_ERROR(add_sandboxes(filters, options.sandboxes));
  POSTERN_RETURN_IF_ERROR(add_names(filters, options.names));
  if (!options.ips.empty()) {
    widen(filters, {[&](flow::FlowFilter& filter) {
                      filter.mutable_source_ip()->Assign(options.ips.begin(), options.ips.end());
                    },
                    [&](flow::FlowFilter& filter) {
                      filter.mutable_destination_ip()->Assign(options.ips.begin(), options.ips.end());
                    }});
  }
  if (!options.ports.empty()) {
    widen(filters, {[&](flow::FlowFilter& filter) {
                      filter.mutable_source_port()->Assign(options.ports.begin(), options.ports.end());
                    },
                    [&](flow::FlowFilter& filter) {
                      filter.mutable_destination_port()->Assign(options.ports.begin(), options.ports.end());
                    }});
  }
  if (filters.size() > 1 || filters.front().ByteSizeLong() > 0) {
    for (flow::FlowFilter& filter : filters) {
      *request.add_whitelist() = std::move(filter);
    }
  }
  return request;
}

}  // namespace postern
