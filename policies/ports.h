// SPDX-License-Identifier: Apache-2.0
//
// PortSet: which protocols and ports a rule opens, in one canonical form.
//
// Text: "443" (TCP), "443/udp", "8000-8010/tcp", "echo" (ICMP echo of both families), "*" (all).
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace postern {

inline constexpr std::uint8_t kProtocolIcmp = 1;  // in a PortRange: echo, with port 0
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;

struct PortRange {
  std::uint8_t protocol = kProtocolTcp;
  std::uint16_t first = 0;  // host order, inclusive
  std::uint16_t last = 0;

  friend constexpr auto operator<=>(const PortRange&, const PortRange&) = default;
};

class PortSet {
 public:
  static constexpr std::size_t kRangesMax = 32;  // EGRESS_PORT_RANGES_MAX; a test compares them

  PortSet() = default;
  static PortSet all();
  /// All that can be said in ranges: every port of TCP and UDP, and echo. all() has other protocols too.
  static PortSet all_ranges();
  /// 443/tcp, what a rule opens when it does not say.
  static PortSet https();

  /// Adds one entry in text form. @return invalid, with what to write instead.
  Result<> add(std::string_view text);
  void add(PortRange range);
  void add(const PortSet& other);

  /// What is in both.
  PortSet and_in(const PortSet& other) const;
  /// What is in this and not in `other`. all() without some ports is less than it could be: no other protocol.
  PortSet without(const PortSet& other) const;

  bool empty() const { return !all_ && ranges_.empty(); }
  bool is_all() const { return all_; }
  bool contains(std::uint8_t protocol, std::uint16_t port) const;
  /// Every port of `other` is in this set.
  bool covers(const PortSet& other) const;
  /// Sorted, disjoint, merged where they touch. Empty when is_all().
  const std::vector<PortRange>& ranges() const { return ranges_; }
  /// The shortest text form, entries joined by ", "; "none" for the empty set, "all" for all.
  std::string to_string() const;

  friend auto operator<=>(const PortSet&, const PortSet&) = default;

 private:
  bool all_ = false;
  std::vector<PortRange> ranges_;
};

}  // namespace postern
