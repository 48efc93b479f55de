// SPDX-License-Identifier: Apache-2.0
//
// Why a policy allows or denies a target, in words, with the rule and the line that wrote it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policies/denial.h"
#include "policies/image.h"

namespace postern {

/// A name or an address, with or without a port.
struct Target {
  std::optional<Address> address;
  DnsName name;
  std::uint16_t port = 0;  ///< 0: any.
  std::uint8_t protocol = kProtocolTcp;

  /// "pypi.org", "pypi.org:443", "8.8.8.8:53/udp", "[2001:db8::1]:443", "2001:db8::1".
  static Result<Target> parse(std::string_view text);
  std::string to_string() const;
};

struct Explanation {
  bool allowed = false;
  std::string verdict;             ///< One sentence.
  std::vector<const Rule*> rules;  ///< That decide it, most specific first. They live in the image.
  std::vector<std::string> notes;  ///< What else a reader wants to know; whole sentences.
};

/// What the policy alone says. Grants that lookups earned are the kernel's to know, not this function's.
Explanation explain(const PolicyImage& image, const SearchList& search, const Target& target);

/// Every rule of an image, family by family, in the order in which they are asked: by tier, denials
/// first. They live in the image.
std::vector<const Rule*> rules_in_order(const PolicyImage& image);

/// "native, Admin tier": rules of one layer stand together in rules_in_order().
std::string layer_of(const Rule& rule);

}  // namespace postern
