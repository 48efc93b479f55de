// SPDX-License-Identifier: Apache-2.0
//
// The half of event_flow.h about packets.
#include <linux/if_ether.h>
#include <netinet/in.h>

#include <array>
#include <cstdio>

#include "agent/observer/flow_parts.h"
#include "bpf/reasons.h"

namespace postern {
namespace {

struct Flag {
  std::uint8_t bit;
  const char* name;
  void (flow::TCPFlags::*set)(bool);
};

constexpr std::array<Flag, 8> kFlags{{{0x01, "FIN", &flow::TCPFlags::set_fin},
                                      {0x02, "SYN", &flow::TCPFlags::set_syn},
                                      {0x04, "RST", &flow::TCPFlags::set_rst},
                                      {0x08, "PSH", &flow::TCPFlags::set_psh},
                                      {0x10, "ACK", &flow::TCPFlags::set_ack},
                                      {0x20, "URG", &flow::TCPFlags::set_urg},
                                      {0x40, "ECE", &flow::TCPFlags::set_ece},
                                      {0x80, "CWR", &flow::TCPFlags::set_cwr}}};

std::string mac_text(const __u8 (&mac)[6]) {
  std::array<char, 18> text{};
  std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                mac[5]);
  return text.data();
}

std::string set_tcp(flow::TCP& tcp, const egress_event& event) {
  tcp.set_source_port(host_order(event.src_port));
  tcp.set_destination_port(host_order(event.dst_port));
  std::string names;
  for (const Flag& flag : kFlags) {
    if ((event.tcp_flags & flag.bit) != 0) {
      (tcp.mutable_flags()->*flag.set)(true);
      names += (names.empty() ? "" : ", ") + std::string(flag.name);
    }
  }
  return "TCP Flags: " + (names.empty() ? "none" : names);
}

std::string icmp_words(const char* family, unsigned type, unsigned code, unsigned echo, unsigned reply) {
  const std::string head = std::string(family) + " ";
  return type == echo    ? head + "EchoRequest"
         : type == reply ? head + "EchoReply"
                         : head + "type " + std::to_string(type) + " code " + std::to_string(code);
}

/// Fills the fourth layer. @return how Hubble's Summary begins.
std::string set_l4(flow::Layer4& l4, const egress_event& event) {
  switch (event.protocol) {
    case IPPROTO_TCP:
      return set_tcp(*l4.mutable_tcp(), event);
    case IPPROTO_UDP:
      l4.mutable_udp()->set_source_port(host_order(event.src_port));
      l4.mutable_udp()->set_destination_port(host_order(event.dst_port));
      return "UDP";
    case IPPROTO_SCTP:
      l4.mutable_sctp()->set_source_port(host_order(event.src_port));
      l4.mutable_sctp()->set_destination_port(host_order(event.dst_port));
      return "SCTP";
    case IPPROTO_ICMP:
      l4.mutable_icmpv4()->set_type(event.icmp_type);
      l4.mutable_icmpv4()->set_code(event.icmp_code);
      return icmp_words("ICMPv4", event.icmp_type, event.icmp_code, 8, 0);
    case IPPROTO_ICMPV6:
      l4.mutable_icmpv6()->set_type(event.icmp_type);
      l4.mutable_icmpv6()->set_code(event.icmp_code);
      return icmp_words("ICMPv6", event.icmp_type, event.icmp_code, 128, 129);
    default:
      return "IP protocol " + std::to_string(event.protocol);
  }
}

std::string set_layers(flow::Flow& flow, const egress_event& event) {
  flow.mutable_ethernet()->set_source(mac_text(event.src_mac));
  flow.mutable_ethernet()->set_destination(mac_text(event.dst_mac));
  if (event.ethertype == ETH_P_IP || event.ethertype == ETH_P_IPV6) {
    set_ip(flow, address_of(event.src), address_of(event.dst));
    return set_l4(*flow.mutable_l4(), event);
  }
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "EtherType 0x%04x", event.ethertype);
  return event.ethertype == ETH_P_ARP ? "ARP" : text.data();
}

}  // namespace

flow::Flow packet_flow(const egress_event& event, std::string_view name, const FlowContext& context) {
  flow::Flow flow;
  const bool out = event.direction == EGRESS_OUT;
  set_time(flow, event.time_boot_ns, context);
  flow.set_type(flow::L3_L4);
  flow.set_traffic_direction(out ? flow::EGRESS : flow::INGRESS);
  set_outcome(flow, event.reason);
  std::string summary = set_layers(flow, event);

  auto& own = out ? *flow.mutable_source() : *flow.mutable_destination();
  auto& peer = out ? *flow.mutable_destination() : *flow.mutable_source();
  set_sandbox_end(own, event.sandbox, context);
  if (event.reason == EGRESS_REASON_NODE_ADDRESS) {
    peer.set_identity(kIdentityHost);
    peer.add_labels(std::string(kLabelHost));
  } else {
    set_peer_end(peer, address_of(out ? event.dst : event.src), context);
  }
  if (!name.empty()) {
    (out ? flow.add_destination_names() : flow.add_source_names())->assign(name);
  }
  if (event.ifindex != 0) {
    flow.mutable_interface()->set_index(event.ifindex);
    if (const SandboxInfo* sandbox = context.directory.sandbox(event.sandbox)) {
      flow.mutable_interface()->set_name(sandbox->interface);
    }
  }
  set_cause(flow, event.reason, event.policy, event.rule, context);
  summary += std::string("; ") + egress_reason_label(event.reason) + rule_words(event.policy, event.rule, context);
  if (!name.empty()) {
    summary += "; " + std::string(name);
  }
  flow.set_summary(summary);
  return flow;
}

}  // namespace postern
