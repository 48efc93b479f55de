// SPDX-License-Identifier: Apache-2.0
#include "policies/ports.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"

namespace postern {
namespace {

constexpr const char* kHint = ": write a port (443), a range (8000-8010), either with /tcp or /udp, echo, or \"*\"";

bool parse_port(std::string_view text, std::uint16_t& port) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1 || number > 65535) {
    return false;
  }
  port = static_cast<std::uint16_t>(number);
  return true;
}

}  // namespace

PortSet PortSet::all() {
  PortSet set;
  set.all_ = true;
  return set;
}

PortSet PortSet::all_ranges() {
  PortSet set;
  set.add(PortRange{kProtocolIcmp, 0, 0});
  set.add(PortRange{kProtocolTcp, 0, 65535});
  set.add(PortRange{kProtocolUdp, 0, 65535});
  return set;
}

PortSet PortSet::https() {
  PortSet set;
  set.add(PortRange{kProtocolTcp, 443, 443});
  return set;
}

Result<> PortSet::add(std::string_view text) {
  if (text == "*") {
    all_ = true;
    ranges_.clear();
    return {};
  }
  if (text == "echo") {
    add(PortRange{kProtocolIcmp, 0, 0});
    return {};
  }
  PortRange range;
  std::string_view ports = text;
  if (const auto slash = text.find('/'); slash != std::string_view::npos) {
    const std::string_view protocol = text.substr(slash + 1);
    ports = text.substr(0, slash);
    if (protocol == "udp") {
      range.protocol = kProtocolUdp;
    } else if (protocol != "tcp") {
      return Error(Errc::kInvalid, "unknown protocol in \"" + printable(text) + "\"" + kHint);
    }
  }
  const auto dash = ports.find('-');
  if (!parse_port(ports.substr(0, dash), range.first) ||
      !parse_port(dash == std::string_view::npos ? ports : ports.substr(dash + 1), range.last)) {
    return Error(Errc::kInvalid, "\"" + printable(text) + "\" is not a port from 1 to 65535" + kHint);
  }
  if (range.first > range.last) {
    return Error(Errc::kInvalid, "range \"" + printable(text) + "\" ends before it begins: write " +
                                     std::to_string(range.last) + "-" + std::to_string(range.first));
  }
  add(range);
  return {};
}

void PortSet::add(PortRange range) {
  if (all_) {
    return;
  }
  ranges_.push_back(range);
  std::sort(ranges_.begin(), ranges_.end());
  std::vector<PortRange> merged;
  for (const PortRange& next : ranges_) {
    if (!merged.empty() && merged.back().protocol == next.protocol &&
        static_cast<int>(next.first) <= merged.back().last + 1) {
      merged.back().last = std::max(merged.back().last, next.last);
    } else {
      merged.push_back(next);
    }
  }
  ranges_ = std::move(merged);
}

PortSet PortSet::and_in(const PortSet& other) const {
  if (all_ || other.all_) {
    return all_ ? other : *this;
  }
  PortSet both;
  for (const PortRange& a : ranges_) {
    for (const PortRange& b : other.ranges_) {
      const PortRange common{a.protocol, std::max(a.first, b.first), std::min(a.last, b.last)};
      if (a.protocol == b.protocol && common.first <= common.last) {
        both.add(common);
      }
    }
  }
  return both;
}

PortSet PortSet::without(const PortSet& other) const {
  if (other.all_ || other.ranges_.empty()) {
    return other.all_ ? PortSet() : *this;
  }
  PortSet left = all_ ? all_ranges() : *this;
  for (const PortRange& hole : other.ranges_) {
    std::vector<PortRange> rest;
    for (const PortRange& range : left.ranges_) {
      if (range.protocol != hole.protocol || hole.last < range.first || range.last < hole.first) {
        rest.push_back(range);
        continue;
      }
      if (range.first < hole.first) {
        rest.push_back({range.protocol, range.first, static_cast<std::uint16_t>(hole.first - 1)});
      }
      if (hole.last < range.last) {
        rest.push_back({range.protocol, static_cast<std::uint16_t>(hole.last + 1), range.last});
      }
    }
    left.ranges_ = std::move(rest);
  }
  return left;
}

void PortSet::add(const PortSet& other) {
  if (&other == this || all_) {
    return;
  }
  if (other.all_ || empty()) {
    *this = other;
    return;
  }
  for (const PortRange& range : other.ranges_) {
    add(range);
  }
}

bool PortSet::contains(std::uint8_t protocol, std::uint16_t port) const {
  return all_ || std::any_of(ranges_.begin(), ranges_.end(), [&](const PortRange& range) {
           return range.protocol == protocol && range.first <= port && port <= range.last;
         });
}

bool PortSet::covers(const PortSet& other) const {
  if (all_ || other.empty()) {
    return true;
  }
  return !other.all_ && std::all_of(other.ranges_.begin(), other.ranges_.end(), [&](const PortRange& inner) {
    return std::any_of(ranges_.begin(), ranges_.end(), [&](const PortRange& outer) {
      return outer.protocol == inner.protocol && outer.first <= inner.first && inner.last <= outer.last;
    });
  });
}

std::string PortSet::to_string() const {
  if (all_) {
    return "all";
  }
  std::string text;
  for (const PortRange& range : ranges_) {
    text += text.empty() ? "" : ", ";
    if (range.protocol == kProtocolIcmp) {
      text += "echo";
      continue;
    }
    text += std::to_string(range.first);
    if (range.last != range.first) {
      text += "-" + std::to_string(range.last);
    }
    text += range.protocol == kProtocolUdp ? "/udp" : "/tcp";
  }
  return text.empty() ? "none" : text;
}

}  // namespace postern
