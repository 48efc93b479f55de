// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/feed_reader.h"

#include "api/dns_feed.pb.h"

namespace postern {
namespace {

Error malformed(const char* what) { return {Errc::kInvalid, std::string("malformed feed message: ") + what}; }

Result<Address> read_address(const std::string& bytes) {
  if (bytes.size() != 16) {
    return malformed("an address");
  }
  return Address::from_v6(reinterpret_cast<const std::uint8_t*>(bytes.data()));
}

Result<DnsName> read_name(const std::string& bytes) {
  return DnsName::from_wire({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

Result<NamePattern> read_pattern(const api::DnsRule& rule) {
  const std::string& bytes = rule.pattern();
  return NamePattern::from_wire({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, rule.below());
}

template <typename Message>
bool parse(Message& message, std::string_view body) {
  return message.ParseFromArray(body.data(), static_cast<int>(body.size()));
}

constexpr std::uint32_t kPortMax = 65535;
constexpr std::size_t kOptMin = 11;          // an OPT record without options (RFC 6891 6.1.2)
constexpr std::size_t kDenialTailMax = 240;  // with a question of 271 bytes it still fits into 512

Result<PortSet> read_ports(const api::DnsRule& rule) {
  PortSet ports = rule.all_ports() ? PortSet::all() : PortSet();
  for (const auto& range : rule.ports()) {
    if (range.protocol() > 255 || range.last() > kPortMax || range.first() > range.last()) {
      return malformed("a port range");
    }
    ports.add({static_cast<std::uint8_t>(range.protocol()), static_cast<std::uint16_t>(range.first()),
               static_cast<std::uint16_t>(range.last())});
  }
  return ports;
}

}  // namespace

Result<WorkerSettings> read_settings(std::string_view body) {
  api::DnsSettings message;
  if (!parse(message, body)) {
    return malformed("settings");
  }
  WorkerSettings settings{{}, message.grant_s_min()};
  for (const auto& upstream : message.upstreams()) {
    auto address = read_address(upstream.address());
    if (!address) {
      return std::move(address).error();
    }
    if (upstream.port() == 0 || upstream.port() > kPortMax) {
      return malformed("a port");
    }
    settings.upstreams.push_back({*address, static_cast<std::uint16_t>(upstream.port())});
  }
  return settings;
}

Result<std::shared_ptr<const WorkerPolicy>> read_policy(std::string_view body) {
  api::DnsPolicy message;
  if (!parse(message, body)) {
    return malformed("a policy");
  }
  if (message.id() == 0) {
    return malformed("a policy without an id");
  }
  if (message.denial_soa().empty() || message.denial_opt().size() < kOptMin ||
      message.denial_soa().size() + message.denial_opt().size() > kDenialTailMax) {
    return malformed("the end of a denial");
  }
  auto policy = std::make_shared<WorkerPolicy>();
  policy->id = message.id();
  policy->name = message.name();
  policy->grace_s = message.grace_s();
  policy->denial = {message.denial_soa(), message.denial_opt()};
  for (const auto& prefix : message.private_allowed()) {
    auto address = read_address(prefix.address());
    if (!address) {
      return std::move(address).error();
    }
    if (prefix.bits() > 128) {
      return malformed("a prefix");
    }
    policy->private_allowed.push_back({*address, static_cast<std::uint8_t>(prefix.bits())});
  }
  for (const auto& rule : message.rules()) {
    auto pattern = read_pattern(rule);
    if (!pattern) {
      return std::move(pattern).error();
    }
    auto ports = read_ports(rule);
    if (!ports) {
      return std::move(ports).error();
    }
    policy->names.add(*pattern, static_cast<std::uint32_t>(policy->rules.size()));
    policy->rules.push_back({rule.id(), rule.port_set(), rule.group(), std::move(*ports)});
  }
  policy->names.freeze();
  return std::shared_ptr<const WorkerPolicy>(std::move(policy));
}

Result<FedSandbox> read_sandbox(std::string_view body) {
  api::DnsSandbox message;
  if (!parse(message, body)) {
    return malformed("a sandbox");
  }
  if (message.id() == 0) {
    return malformed("a sandbox without an id");
  }
  FedSandbox sandbox;
  sandbox.view.id = message.id();
  sandbox.view.generation = message.generation();
  sandbox.view.staged_generation = message.staged_generation();
  sandbox.policy = message.policy();
  sandbox.staged_policy = message.staged_policy();
  for (const auto& suffix : message.search()) {
    auto name = read_name(suffix);
    if (!name) {
      return std::move(name).error();
    }
    sandbox.view.search.push_back(*name);
  }
  return sandbox;
}

}  // namespace postern
