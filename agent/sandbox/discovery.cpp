// SPDX-License-Identifier: Apache-2.0
#include "agent/sandbox/discovery.h"

#include <algorithm>

#include "agent/netlink/links.h"
#include "base/log.h"

namespace postern {
namespace {

/// A bridge or a physical interface carries more than one sandbox, or the node itself.
bool is_sandbox_kind(const std::string& kind) {
  return kind == "veth" || kind == "tun" || kind == "macvtap" || kind == "ipvtap";
}

Result<> read_from_peer(const AttachWish& wish, const LinkInfo& link, Sandbox& sandbox) {
  const auto why = [&](Error error) {
    return std::move(error).within("cannot read the other end of " + link.name + "; pass --address and --mac");
  };
  if (wish.mac.empty()) {
    auto peer = read_peer(link);
    if (!peer) {
      return why(std::move(peer).error());
    }
    sandbox.mac = peer->mac;
  }
  if (wish.addresses.empty()) {
    auto addresses = read_peer_addresses(link);
    if (!addresses) {
      return why(std::move(addresses).error());
    }
    for (const InterfaceAddress& address : *addresses) {
      sandbox.addresses.push_back(address.address);
    }
    if (sandbox.addresses.empty()) {
      return Error(Errc::kInvalid,
                   "the other end of " + link.name + " has no address: give it one first, or pass --address");
    }
  }
  return {};
}

Result<> read_wish(const AttachWish& wish, Sandbox& sandbox) {
  for (const std::string& text : wish.addresses) {
    auto address = Address::parse(text);
    if (!address) {
      return std::move(address).error().within("--address " + printable(text));
    }
    sandbox.addresses.push_back(*address);
  }
  if (!wish.mac.empty()) {
    auto mac = parse_mac(wish.mac);
    if (!mac) {
      return std::move(mac).error().within("--mac " + printable(wish.mac));
    }
    sandbox.mac = *mac;
  }
  for (const std::string& text : wish.search) {
    auto suffix = DnsName::from_text(text);
    if (!suffix) {
      return std::move(suffix).error().within("--search " + printable(text));
    }
    sandbox.search.push_back(*suffix);
  }
  return {};
}

}  // namespace

Result<> read_link_prefixes(Sandbox& sandbox) {
  auto addresses = read_addresses();
  if (!addresses) {
    return std::move(addresses).error();
  }
  sandbox.link_prefixes.clear();
  for (const InterfaceAddress& address : *addresses) {
    if (address.ifindex == sandbox.ifindex && sandbox.link_prefixes.size() < EGRESS_LINK_PREFIXES) {
      sandbox.link_prefixes.push_back({masked(address.address, address.bits), address.bits});
    }
  }
  return {};
}

Result<Sandbox> discover_sandbox(const AttachWish& wish, const SearchList& node_search) {
  auto link = find_link(wish.interface);
  if (!link) {
    if (link.error().code() == Errc::kNotFound) {
      return Error(Errc::kNotFound, "there is no interface \"" + printable(wish.interface) +
                                        "\" on this node: `ip -br link` lists them");
    }
    return std::move(link).error();
  }
  if (!is_sandbox_kind(link->kind)) {
    return Error(Errc::kUnsupported, link->name + " is not a sandbox's interface but a " +
                                         (link->kind.empty() ? "network card" : link->kind) +
                                         ": name the host end of the sandbox's veth, or its tap");
  }
  Sandbox sandbox;
  sandbox.interface = link->name;
  sandbox.ifindex = link->ifindex;
  sandbox.policy = wish.policy;
  sandbox.host_mac = link->mac;
  sandbox.search = node_search;
  if (!wish.search.empty()) {
    sandbox.search.clear();
  }
  POSTERN_RETURN_IF_ERROR(read_wish(wish, sandbox));
  if (wish.mac.empty() || wish.addresses.empty()) {
    POSTERN_RETURN_IF_ERROR(read_from_peer(wish, *link, sandbox));
  }
  if (sandbox.addresses.size() > EGRESS_SANDBOX_ADDRS) {
    return Error(Errc::kFull, "a sandbox may have " + std::to_string(EGRESS_SANDBOX_ADDRS) + " addresses at most; " +
                                  link->name + " has " + std::to_string(sandbox.addresses.size()) +
                                  ": name those it uses with --address");
  }
  POSTERN_RETURN_IF_ERROR(read_link_prefixes(sandbox));
  return sandbox;
}

}  // namespace postern
