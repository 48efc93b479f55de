// SPDX-License-Identifier: Apache-2.0
#include "agent/observer/filter_match.h"

#include <re2/re2.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>

#include "agent/observer/flow_filter.h"
#include "agent/observer/hubble_words.h"
#include "base/log.h"
#include "policies/dns_name.h"

namespace postern {
namespace {

Error wrong(const std::string& text, std::string_view what) {
  return {Errc::kInvalid, "\"" + printable(text) + "\" is not " + std::string(what)};
}

Result<std::shared_ptr<const RE2>> compiled(const std::string& expression,
                                            const std::string& text,
                                            std::string_view what) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(FlowFilters::kPatternMemory);
  if (text.size() > FlowFilters::kPatternMax) {
    return Error(Errc::kInvalid, "a pattern has at most " + std::to_string(FlowFilters::kPatternMax) + " bytes");
  }
  auto regex = std::make_shared<const RE2>(expression, options);
  if (!regex->ok()) {
    return wrong(text, std::string(what) + " (" + printable(regex->error()) + ")");
  }
  return regex;
}

}  // namespace

Result<TextMatch> ip_match(const std::string& text) {
  const std::size_t slash = text.find('/');
  const auto address = Address::parse(std::string_view(text).substr(0, slash));
  if (!address) {
    return wrong(text, "an address or a prefix");
  }
  int bits = 128;
  if (slash != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, bits);
    if (error != std::errc() || stop != end || bits < 0 || bits > (address->is_v4() ? 32 : 128)) {
      return wrong(text, "an address or a prefix");
    }
    bits += address->is_v4() ? 96 : 0;
  }
  const Prefix prefix{masked(*address, bits), static_cast<std::uint8_t>(bits)};
  return TextMatch([prefix](const std::string& in) {
    const auto other = Address::parse(in);
    return other && prefix.contains(*other);
  });
}

Result<TextMatch> fqdn_match(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return static_cast<char>(lower(static_cast<std::uint8_t>(c))); });
  if (text.ends_with('.')) {
    text.pop_back();
  }
  std::string expression;
  for (const char c : text) {
    if (c == '*') {
      expression += "[-.0-9a-z]*";
    } else if (is_plain(static_cast<std::uint8_t>(c))) {
      expression += c;
    } else if (c == '.') {
      expression += "\\.";
    } else {
      return wrong(text, "a name: letters, digits, hyphens, dots, and * for any of them");
    }
  }
  if (text.empty()) {
    return wrong(text, "a name");
  }
  auto regex = compiled(expression, text, "a name");
  if (!regex) {
    return std::move(regex).error();
  }
  return TextMatch([regex = *regex](const std::string& in) { return RE2::FullMatch(in, *regex); });
}

Result<TextMatch> regex_match(const std::string& text) {
  auto regex = compiled(text, text, "a regular expression");
  if (!regex) {
    return std::move(regex).error();
  }
  return TextMatch([regex = *regex](const std::string& in) { return RE2::PartialMatch(in, *regex); });
}

Result<TextMatch> node_match(const std::string& text) {
  const std::size_t slash = text.find('/');
  auto cluster = fqdn_match(slash == std::string::npos ? std::string(kDefaultSpace) : text.substr(0, slash));
  auto node = fqdn_match(slash == std::string::npos ? text : text.substr(slash + 1));
  if (!cluster || !node) {
    return wrong(text, "CLUSTER/NODE or NODE");
  }
  return TextMatch([cluster = *cluster, node = *node](const std::string& in) {
    const std::size_t at = in.find('/');
    return at == std::string::npos ? cluster(std::string(kDefaultSpace)) && node(in)
                                   : cluster(in.substr(0, at)) && node(in.substr(at + 1));
  });
}

Result<SpacedPrefix> SpacedPrefix::parse(const std::string& text) {
  if (text.empty()) {
    return wrong(text, "a name: write NAMESPACE/PREFIX, NAMESPACE/ or PREFIX");
  }
  const std::size_t slash = text.find('/');
  return slash == std::string::npos ? SpacedPrefix{std::string(kDefaultSpace), text}
                                    : SpacedPrefix{text.substr(0, slash), text.substr(slash + 1)};
}

bool SpacedPrefix::matches(const std::string& in_space, const std::string& name) const {
  return (!in_space.empty() || !name.empty()) && (space.empty() || space == in_space) && name.starts_with(prefix);
}

Result<std::uint32_t> port_of(const std::string& text) {
  std::uint16_t port = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || stop != text.data() + text.size()) {
    return wrong(text, "a port (0 to 65535)");
  }
  return std::uint32_t{port};
}

Result<std::function<bool(const flow::Flow&)>> protocol_match(const std::string& text) {
  using Match = std::function<bool(const flow::Flow&)>;
  using Layer4 = flow::Layer4;
  static const std::map<std::string, std::vector<Layer4::ProtocolCase>> kLayer4{
      {"icmp", {Layer4::kICMPv4, Layer4::kICMPv6}},
      {"icmpv4", {Layer4::kICMPv4}},
      {"icmpv6", {Layer4::kICMPv6}},
      {"tcp", {Layer4::kTCP}},
      {"udp", {Layer4::kUDP}},
      {"sctp", {Layer4::kSCTP}},
      {"vrrp", {Layer4::kVRRP}},
      {"igmp", {Layer4::kIGMP}}};
  static const std::map<std::string, flow::Layer7::RecordCase> kLayer7{
      {"dns", flow::Layer7::kDns}, {"http", flow::Layer7::kHttp}, {"kafka", flow::Layer7::kKafka}};
  std::string name = text;
  std::ranges::transform(name, name.begin(),
                         [](char c) { return static_cast<char>(lower(static_cast<std::uint8_t>(c))); });
  if (const auto found = kLayer4.find(name); found != kLayer4.end()) {
    return Match([cases = found->second](const flow::Flow& flow) {
      return flow.has_l4() && std::ranges::find(cases, flow.l4().protocol_case()) != cases.end();
    });
  }
  if (const auto found = kLayer7.find(name); found != kLayer7.end()) {
    return Match([wanted = found->second](const flow::Flow& flow) { return flow.l7().record_case() == wanted; });
  }
  return wrong(text, "a protocol: icmp, icmpv4, icmpv6, tcp, udp, sctp, vrrp, igmp, dns, http or kafka");
}

bool has_ports(const flow::Flow& flow) { return flow.l4().has_tcp() || flow.l4().has_udp() || flow.l4().has_sctp(); }

std::uint32_t source_port_of(const flow::Flow& flow) {
  const auto& l4 = flow.l4();
  return l4.has_tcp() ? l4.tcp().source_port() : l4.has_udp() ? l4.udp().source_port() : l4.sctp().source_port();
}

std::uint32_t destination_port_of(const flow::Flow& flow) {
  const auto& l4 = flow.l4();
  return l4.has_tcp()   ? l4.tcp().destination_port()
         : l4.has_udp() ? l4.udp().destination_port()
                        : l4.sctp().destination_port();
}

}  // namespace postern
