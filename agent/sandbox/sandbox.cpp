// SPDX-License-Identifier: Apache-2.0
#include "agent/sandbox/sandbox.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/log.h"

namespace postern {

Result<Mac> parse_mac(std::string_view text) {
  Mac mac{};
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  bool good = text.size() == 17;
  for (std::size_t i = 0; good && i < mac.size(); ++i) {
    const int high = digit(text[3 * i]);
    const int low = digit(text[3 * i + 1]);
    good = high >= 0 && low >= 0 && (i == 5 || text[3 * i + 2] == ':');
    mac[i] = static_cast<std::uint8_t>(good ? high * 16 + low : 0);
  }
  if (!good) {
    return Error(Errc::kInvalid, "a MAC address is six pairs of hexadecimal digits, as in 02:00:00:00:00:01");
  }
  return mac;
}

std::string to_string(const Mac& mac) {
  char text[18];
  std::snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
  return text;
}

std::string_view name_of(SandboxMode mode) { return mode == SandboxMode::kLockdown ? "lockdown" : "enforce"; }

Result<SandboxMode> parse_mode(std::string_view name) {
  for (const SandboxMode mode : {SandboxMode::kEnforce, SandboxMode::kLockdown}) {
    if (name == name_of(mode)) {
      return mode;
    }
  }
  return Error(Errc::kInvalid, "\"" + printable(name) + "\" is no mode of a sandbox: write enforce or lockdown");
}

egress_addr to_kernel(const Address& address) {
  egress_addr out{};
  std::memcpy(&out, address.bytes.data(), sizeof(out));
  return out;
}

Address from_kernel(const egress_addr& address) {
  Address out;
  std::memcpy(out.bytes.data(), &address, sizeof(address));
  return out;
}

egress_sandbox to_kernel(const Sandbox& sandbox, const PolicyImage* image) {
  egress_sandbox out{};
  out.id = sandbox.id;
  out.slot = sandbox.slot;
  out.policy = sandbox.policy_id;
  out.min_generation = sandbox.generation;
  out.mode = sandbox.mode == SandboxMode::kLockdown ? EGRESS_MODE_LOCKDOWN : EGRESS_MODE_ENFORCE;
  out.inbound = image != nullptr && image->inbound_link ? EGRESS_INBOUND_LINK : 0;
  out.flow_age_s_max = kFlowAgeSMax;
  std::ranges::copy(sandbox.mac, out.mac);
  std::ranges::copy(sandbox.host_mac, out.host_mac);
  for (const Address& address : sandbox.addresses) {
    if (out.addr_count < EGRESS_SANDBOX_ADDRS) {
      out.addrs[out.addr_count++] = to_kernel(address);
    }
  }
  for (const Prefix& prefix : sandbox.link_prefixes) {
    if (out.link_prefix_count < EGRESS_LINK_PREFIXES) {
      out.link_prefixes[out.link_prefix_count++] = {to_kernel(prefix.address), prefix.bits};
    }
  }
  return out;
}

std::string to_json(const std::vector<const Sandbox*>& sandboxes) {
  auto list = nlohmann::json::array();
  for (const Sandbox* sandbox : sandboxes) {
    nlohmann::json item{{"id", sandbox->id},           {"slot", sandbox->slot},     {"ifindex", sandbox->ifindex},
                        {"interface", sandbox->interface}, {"policy", sandbox->policy}, {"mac", to_string(sandbox->mac)},
                        {"addresses", nlohmann::json::array()}, {"search", nlohmann::json::array()}};
    if (sandbox->held) {
      item["held"] = true;
    }
    if (sandbox->mode != SandboxMode::kEnforce) {
      item["mode"] = name_of(sandbox->mode);
    }
    for (const Address& address : sandbox->addresses) {
      item["addresses"].push_back(address.to_string());
    }
    for (const DnsName& suffix : sandbox->search) {
      item["search"].push_back(suffix.text());
    }
    if (sandbox->pod) {
      item["pod"] = {{"uid", sandbox->pod.uid}, {"namespace", sandbox->pod.space}, {"name", sandbox->pod.name}};
    }
    list.push_back(std::move(item));
  }
  return list.dump(1);
}

Result<std::vector<Sandbox>> sandboxes_from_json(std::string_view text) {
  std::vector<Sandbox> sandboxes;
  try {
    for (const auto& item : nlohmann::json::parse(text)) {
      Sandbox sandbox;
      sandbox.id = item.at("id").get<std::uint32_t>();
      sandbox.slot = item.at("slot").get<std::uint32_t>();
      sandbox.ifindex = item.at("ifindex").get<std::uint32_t>();
      sandbox.interface = item.at("interface").get<std::string>();
      sandbox.policy = item.at("policy").get<std::string>();
      sandbox.held = item.value("held", false);
      auto mode = parse_mode(item.value("mode", "enforce"));
      if (!mode) {
        return std::move(mode).error();
      }
      sandbox.mode = *mode;
      auto mac = parse_mac(item.at("mac").get<std::string>());
      if (!mac) {
        return std::move(mac).error();
      }
      sandbox.mac = *mac;
      for (const auto& address : item.at("addresses")) {
        auto parsed = Address::parse(address.get<std::string>());
        if (!parsed) {
          return std::move(parsed).error();
        }
        sandbox.addresses.push_back(*parsed);
      }
      if (const auto pod = item.find("pod"); pod != item.end()) {
        sandbox.pod = {pod->at("uid").get<std::string>(), pod->at("namespace").get<std::string>(),
                       pod->at("name").get<std::string>()};
      }
      for (const auto& suffix : item.at("search")) {
        auto parsed = DnsName::from_text(suffix.get<std::string>());
        if (!parsed) {
          return std::move(parsed).error();
        }
        sandbox.search.push_back(*parsed);
      }
      sandboxes.push_back(std::move(sandbox));
    }
  } catch (const nlohmann::json::exception& problem) {
    return Error(Errc::kInvalid, problem.what());
  }
  return sandboxes;
}

}  // namespace postern
