// SPDX-License-Identifier: Apache-2.0
#include "cli/flow_text.h"

#include <array>
#include <cstdio>
#include <ctime>

namespace postern {
namespace {

std::string padded(std::string text, std::size_t width) {
  text.append(text.size() < width ? width - text.size() : 0, ' ');
  return text;
}

std::string end_text(const flow::Endpoint& end, const std::string& address) {
  if (end.pod_name().empty()) {
    return terminal_safe(address);
  }
  const bool shown = !end.namespace_().empty() && end.namespace_() != "default";
  return terminal_safe(shown ? end.namespace_() + "/" + end.pod_name() : end.pod_name());
}

std::uint32_t source_port(const flow::Flow& flow) {
  const auto& l4 = flow.l4();
  return l4.has_tcp() ? l4.tcp().source_port() : l4.has_udp() ? l4.udp().source_port() : l4.sctp().source_port();
}

std::string bracketed(const std::string& address) {
  return address.find(':') == std::string::npos ? address : "[" + address + "]";
}

/// "192.0.2.1:443/tcp", "[2001:db8::1]:53/udp", "192.0.2.1 icmp".
std::string with_port(const std::string& host, const flow::Flow& flow, std::uint32_t port) {
  const std::string protocol = protocol_text(flow);
  if (protocol == "icmp" || protocol.empty()) {
    return protocol.empty() ? host : host + " " + protocol;
  }
  return bracketed(host) + ":" + std::to_string(port) + "/" + protocol;
}

std::string packet_peer(const flow::Flow& flow, bool out) {
  const auto& names = out ? flow.destination_names() : flow.source_names();
  const std::string address = out ? flow.ip().destination() : flow.ip().source();
  const std::uint32_t port = out ? destination_port(flow) : source_port(flow);
  if (!names.empty()) {
    return with_port(terminal_safe(names[0]), flow, port) + " (" + terminal_safe(address) + ")";
  }
  const auto& end = out ? flow.destination() : flow.source();
  if (address.empty()) {
    return terminal_safe(out ? flow.ethernet().destination() : flow.ethernet().source());
  }
  return with_port(end_text(end, address), flow, port);
}

std::string dns_peer(const flow::Flow& flow) {
  const auto& dns = flow.l7().dns();
  std::string name = dns.query();
  if (name.size() > 1 && name.ends_with('.')) {
    name.pop_back();
  }
  return terminal_safe(name) + " (DNS" + (dns.qtypes().empty() ? "" : " " + terminal_safe(dns.qtypes(0))) + ")";
}

std::string dns_answer(const flow::Flow& flow) {
  const auto& dns = flow.l7().dns();
  std::string text;
  for (const std::string& ip : dns.ips()) {
    text += (text.empty() ? "" : ", ") + terminal_safe(ip);
  }
  if (text.empty()) {
    text = dns.rcode() == 3 ? "no such name" : dns.rcode() == 0 ? "no data" : "rcode " + std::to_string(dns.rcode());
  } else {
    text += "; TTL " + std::to_string(dns.ttl()) + " s";
  }
  std::array<char, 48> took{};
  std::snprintf(took.data(), took.size(), "; took %.1f ms", static_cast<double>(flow.l7().latency_ns()) / 1e6);
  return text + took.data();
}

std::string cause(const flow::Flow& flow) {
  std::string text = log_value(flow, "reason");
  if (text.empty()) {
    return terminal_safe(flow.summary());
  }
  if (const std::string rule = log_value(flow, "rule"); !rule.empty()) {
    text += "; rule: " + rule + " (" + log_value(flow, "origin") + ")";
  }
  return text;
}

std::string lost_line(const observer::GetFlowsResponse& response) {
  const auto& lost = response.lost_events();
  const char* where = lost.source() == flow::PERF_EVENT_RING_BUFFER ? "packets came faster than they are recorded"
                      : lost.source() == flow::OBSERVER_EVENTS_QUEUE
                          ? "DNS questions came faster than they are recorded"
                          : "this client reads too slowly";
  return time_text(response.time()) + "  " + std::to_string(lost.num_events_lost()) + " events were lost: " + where;
}

}  // namespace

std::string terminal_safe(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte > 0x7e) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out;
}

std::string time_text(const google::protobuf::Timestamp& time) {
  const auto seconds = static_cast<std::time_t>(time.seconds());
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%b %e %H:%M:%S", &parts);
  std::snprintf(text.data() + length, text.size() - length, ".%03d", time.nanos() / 1'000'000 % 1000);
  return text.data();
}

std::string log_value(const flow::Flow& flow, std::string_view key) {
  for (const std::string& entry : flow.policy_log()) {
    if (entry.size() > key.size() && entry.starts_with(key) && entry[key.size()] == '=') {
      return terminal_safe(std::string_view(entry).substr(key.size() + 1));
    }
  }
  return {};
}

std::string protocol_text(const flow::Flow& flow) {
  const auto& l4 = flow.l4();
  return l4.has_tcp()                         ? "tcp"
         : l4.has_udp()                       ? "udp"
         : l4.has_sctp()                      ? "sctp"
         : l4.has_icmpv4() || l4.has_icmpv6() ? "icmp"
                                              : "";
}

std::uint32_t destination_port(const flow::Flow& flow) {
  const auto& l4 = flow.l4();
  return l4.has_tcp()   ? l4.tcp().destination_port()
         : l4.has_udp() ? l4.udp().destination_port()
                        : l4.sctp().destination_port();
}

FlowWords words_of(const flow::Flow& flow) {
  const bool answer = flow.l7().type() == flow::RESPONSE;
  const bool out = flow.l7().has_dns() ? !answer : flow.traffic_direction() != flow::INGRESS;
  FlowWords words;
  words.sandbox =
      end_text(out ? flow.source() : flow.destination(), out ? flow.ip().source() : flow.ip().destination());
  words.arrow = out ? "->" : "<-";
  words.peer = flow.l7().has_dns() ? dns_peer(flow) : packet_peer(flow, out);
  if (!out && !flow.l7().has_dns() && destination_port(flow) != 0) {
    words.peer += " to port " + std::to_string(destination_port(flow));
  }
  words.verdict = terminal_safe(flow::Verdict_Name(flow.verdict()));
  words.detail = answer ? dns_answer(flow) : cause(flow);
  return words;
}

std::string compact_line(const observer::GetFlowsResponse& response) {
  if (response.has_lost_events()) {
    return lost_line(response);
  }
  if (!response.has_flow()) {
    return {};
  }
  const FlowWords words = words_of(response.flow());
  return time_text(response.flow().time()) + "  " + padded(words.sandbox, 10) + " " + words.arrow + " " +
         padded(words.peer, 44) + " " + padded(words.verdict, 10) + " " + words.detail;
}

}  // namespace postern
