// SPDX-License-Identifier: Apache-2.0
//
// Events as the kernel and the DNS workers write them, and a directory that knows sandbox 7.
#pragma once

#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "agent/observer/directory.h"
#include "agent/observer/event_flow.h"
#include "api/observer_feed.pb.h"
#include "base/ip.h"
#include "bpf/layout.h"
#include "bpf/reasons.h"
#include "policies/dns_name.h"

namespace postern {

inline constexpr std::uint32_t kSandbox = 7;
inline constexpr std::uint32_t kPolicy = 3;
inline constexpr std::uint32_t kAllowRule = 11;
inline constexpr std::uint32_t kDenyRule = 12;
inline constexpr std::int64_t kBootToUnixNs = 1'700'000'000'000'000'000;

inline egress_addr raw_address(std::string_view text) {
  egress_addr raw;
  const Address address = Address::parse(text).value();
  std::memcpy(&raw, address.bytes.data(), sizeof(raw));
  return raw;
}

/// A SYN of the sandbox to 192.0.2.9:443.
inline egress_event syn(std::uint8_t reason, std::string_view to = "192.0.2.9", std::uint16_t port = 443) {
  egress_event event{};
  event.time_boot_ns = 5'000'000'000;
  event.sandbox = kSandbox;
  event.ifindex = 4;
  event.policy = kPolicy;
  event.src = raw_address(Address::parse(to)->is_v4() ? "10.0.0.2" : "2001:db8::2");
  event.dst = raw_address(to);
  event.src_port = htons(40000);
  event.dst_port = htons(port);
  event.ethertype = Address::parse(to)->is_v4() ? 0x0800 : 0x86dd;
  event.reason = reason;
  event.direction = EGRESS_OUT;
  event.protocol = IPPROTO_TCP;
  event.tcp_flags = 0x02;
  return event;
}

/// A question of the sandbox for `wire_or_text`: wire form when it begins with a length byte.
inline egress_dns_event question(std::uint8_t reason, std::string_view name = "evil.example") {
  egress_dns_event event{};
  event.time_boot_ns = 6'000'000'000;
  event.sandbox = kSandbox;
  event.policy = kPolicy;
  event.latency_us = 1500;
  event.client = raw_address("10.0.0.2");
  event.server = raw_address("8.8.8.8");
  event.client_port = htons(50000);
  event.qtype = 1;
  event.reason = reason;
  event.protocol = IPPROTO_UDP;
  const std::string wire = DnsName::from_text(name).value().bytes();
  event.name_length = static_cast<std::uint8_t>(wire.size());
  std::ranges::copy(wire, event.wire);
  return event;
}

inline void set_wire(egress_dns_event& event, std::string_view wire) {
  event.name_length = static_cast<std::uint8_t>(wire.size());
  std::ranges::copy(wire, event.wire);
}

inline api::ObserverUpdate sandbox_update(std::uint32_t id, const std::string& interface, std::string_view address) {
  api::ObserverUpdate update;
  auto& put = *update.mutable_put_sandbox();
  put.set_id(id);
  put.set_interface(interface);
  put.set_ifindex(4);
  const Address parsed = Address::parse(address).value();
  put.add_addresses(std::string(reinterpret_cast<const char*>(parsed.bytes.data()), parsed.bytes.size()));
  return update;
}

inline Directory known_directory() {
  Directory directory;
  directory.apply(sandbox_update(kSandbox, "veth7", "10.0.0.2"));
  api::ObserverUpdate update;
  auto& policy = *update.mutable_put_policy();
  policy.set_id(kPolicy);
  policy.set_name("agent");
  auto& allow = *policy.add_rules();
  allow.set_id(kAllowRule);
  allow.set_text("allow api.example.com 443/tcp");
  allow.set_origin("agent.yaml:12");
  auto& deny = *policy.add_rules();
  deny.set_id(kDenyRule);
  deny.set_text("deny 192.0.2.0/24 all");
  deny.set_origin("agent.yaml:20");
  deny.set_deny(true);
  directory.apply(update);
  return directory;
}

}  // namespace postern
