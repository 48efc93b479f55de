// SPDX-License-Identifier: Apache-2.0
//
// NamePattern: which names a rule means, whatever dialect it was written in.
//
// Labels from the right, of which each may hold "*" for any run of letters, digits, hyphens and
// underscores (also for none); and "below", which puts one label or more in front of them. That is
// enough for every dialect read here:
//
//   | written as                       | below | labels                |
//   | native      example.com          |       | example com           |
//   | native      *.example.com        | yes   | example com           |
//   | native      *{1}.example.com     |       | * example com         |  exactly one label
//   | native      sts.*.amazonaws.com  |       | sts * amazonaws com   |
//   | Cilium      *.example.com        |       | * example com         |
//   | Cilium      api-*.example.com    |       | api-* example com     |
//   | Cilium      **.example.com       | yes   | example com           |
//   | Cilium      *                    | yes   | (none): every name    |
//   | domainNames *.example.com        | yes   | example com           |  AWS, upstream
//   | GKE         *.example.com        |       | * example com         |
//
// No I/O, no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policies/dns_name.h"

namespace postern {

enum class Dialect {
  kNative,
  kCilium,       ///< matchPattern of toFQDNs and rules.dns.
  kDomainNames,  ///< domainNames of networks.k8s.aws and policy.networking.k8s.io (NPEP-133).
  kGke,          ///< pattern of networking.gke.io FQDNNetworkPolicy.
};

class NamePattern {
 public:
  /// Every name but the root.
  static NamePattern any() { return {true, DnsName()}; }
  /// One name. `name` holds no "*".
  static NamePattern exactly(DnsName name) { return {false, std::move(name)}; }
  /// Reads one dialect. @return invalid, with what to write instead.
  static Result<NamePattern> parse(std::string_view text, Dialect dialect);
  /// From what labels() and below() said, in another process. @return invalid unless it is such a pattern.
  static Result<NamePattern> from_wire(Wire labels, bool below);

  bool below() const { return below_; }
  const DnsName& labels() const { return labels_; }
  bool is_any() const { return below_ && labels_.is_root(); }
  bool is_exact() const { return !below_ && !has_star_; }
  bool has_partial_label() const;  ///< A label that is neither plain nor "*" alone.

  /// Does it mean this name? The plain definition, a label at a time; NameMatcher is the fast one.
  /// @param wire  a whole name, any case. A byte that no host name has matches no "*" and no "below".
  bool matches(Wire wire) const;
  /// Does it mean every name that `other` means? False when that is not certain.
  bool covers(const NamePattern& other) const;

  /// In the native dialect, where "*{1}" stands for a leading label and partial labels are as in Cilium's.
  std::string text() const;

  friend bool operator==(const NamePattern&, const NamePattern&) = default;
  friend auto operator<=>(const NamePattern&, const NamePattern&) = default;

 private:
  NamePattern(bool below, DnsName labels);
  friend struct PatternJoin;

  bool below_ = false;
  bool has_star_ = false;
  DnsName labels_;
};

/// What both of two patterns mean.
struct PatternJoin {
  std::optional<NamePattern> pattern;  ///< None: nothing.
  bool narrowed = false;               ///< No pattern says it exactly; this one means less.

  static PatternJoin of(const NamePattern& a, const NamePattern& b);
};

/// Does a label with "*" in it mean this one? Lower case or not. Linear in practice: "*" is greedy with one retry
/// point.
bool label_matches(Wire glob, Wire label);

}  // namespace postern
