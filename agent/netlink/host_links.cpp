// SPDX-License-Identifier: Apache-2.0
#include "agent/netlink/host_links.h"

#include <algorithm>

#include "agent/netlink/links.h"
#include "base/link_local.h"
#include "base/log.h"

namespace postern {
HostLinks::HostLinks(EventLoop& loop, std::function<void()> on_change)
    : loop_(loop), on_change_(std::move(on_change)) {}

HostLinks::~HostLinks() {
  for (auto& [ifindex, reading] : readings_) {
    loop_.cancel(reading.timer);
  }
}

Result<> HostLinks::read_all() {
  auto links = read_links();
  if (!links) {
    return std::move(links).error();
  }
  const BootNs now = clock_.now();
  std::map<std::uint32_t, HostLink> old = std::move(links_);
  links_.clear();
  for (const LinkInfo& link : *links) {
    const auto known = old.find(link.ifindex);
    if (known != old.end()) {
      known->second.info = link;
      links_.insert(old.extract(known));
    } else if (HostLink* added = add(link, now, started_)) {
      read(*added);
      read_later(link.ifindex);
    }
  }
  for (const auto& [ifindex, link] : old) {
    on_removed(ifindex);
  }
  started_ = true;
  on_change_();
  return {};
}

/// Only what has its other end elsewhere; -1 is a namespace that cannot be asked.
HostLink* HostLinks::add(const LinkInfo& link, BootNs seen, bool announced) {
  if (link.kind != "veth" || link.peer_netns.value_or(-1) < 0) {
    return nullptr;
  }
  HostLink& added = links_[link.ifindex];
  added.info = link;
  added.seen = seen;
  added.announced = announced;
  return &added;
}

void HostLinks::on_link(const LinkInfo& info, BootNs seen) {
  const auto found = links_.find(info.ifindex);
  if (found == links_.end()) {
    if (HostLink* link = add(info, seen, true)) {
      read(*link);
      read_later(info.ifindex);
      on_change_();
    }
    return;
  }
  HostLink& link = found->second;
  link.info.name = info.name;
  link.info.mac = info.mac;
  if (readings_.contains(info.ifindex) && read(link)) {
    on_change_();
  }
}

void HostLinks::on_removed(std::uint32_t ifindex) {
  if (const auto reading = readings_.find(ifindex); reading != readings_.end()) {
    loop_.cancel(reading->second.timer);
    readings_.erase(reading);
  }
  links_.erase(ifindex);
}

bool HostLinks::has(const std::string& name) const {
  return std::ranges::any_of(links_, [&name](const auto& each) { return each.second.info.name == name; });
}

/// @return whether there is something new. An address that goes is kept: gVisor takes the
/// addresses off the interface and into its own stack.
bool HostLinks::read(HostLink& link) {
  const auto peer = read_peer(link.info);
  const auto addresses = peer ? read_peer_addresses(link.info) : Result<std::vector<InterfaceAddress>>(peer.error());
  if (!addresses) {
    spdlog::debug("the other end of {}: {}", link.info.name, addresses.error().message());
    return false;
  }
  Reading& reading = readings_[link.info.ifindex];
  const bool theirs = reading.first_address != BootNs() && (clock_.now() - reading.first_address) / kNsPerMs >= kOursMs;
  bool changed = !theirs && link.peer_mac != peer->mac;
  link.peer_mac = theirs ? link.peer_mac : peer->mac;
  for (const InterfaceAddress& each : *addresses) {
    const bool local = is_link_local(each.address);
    std::vector<Address>& list = local ? link.link_local : link.addresses;
    if ((local || !theirs) && std::ranges::find(list, each.address) == list.end() && list.size() < kAddressesMax) {
      list.push_back(each.address);
      changed = true;
    }
  }
  if (!link.addresses.empty() && reading.first_address == BootNs()) {
    reading.first_address = clock_.now();
  }
  return changed;
}

void HostLinks::read_later(std::uint32_t ifindex) {
  const HostLink& link = links_.at(ifindex);
  Reading& reading = readings_[ifindex];
  const BootNs now = clock_.now();
  const std::uint64_t age_ms = (now - link.seen) / kNsPerMs;
  const bool settled = reading.first_address != BootNs() && (now - reading.first_address) / kNsPerMs >= kSettleMs;
  if (settled || age_ms >= kGiveUpMs) {
    readings_.erase(ifindex);
    return;
  }
  reading.timer =
      loop_.after_ms(std::clamp(age_ms / 2, kReadMsMin, kReadMsMax), [this, ifindex] { on_timer(ifindex); });
}

void HostLinks::on_timer(std::uint32_t ifindex) {
  const bool changed = read(links_.at(ifindex));
  read_later(ifindex);
  if (changed) {
    on_change_();
  }
}

}  // namespace postern
