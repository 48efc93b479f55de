// SPDX-License-Identifier: Apache-2.0
#include "tests/bpf/lab.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_cls.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/clock.h"
#include "bpf/flow.h"
#include "bpf/parse.h"
#include "gate.skel.h"
#include "tests/bpf/world.h"

namespace postern::test {
namespace {

constexpr std::uint64_t kGrantNs = 3600 * kNsPerS;
std::unique_ptr<Lab> the_lab;

egress_sandbox ordinary_sandbox() {
  egress_sandbox out{};
  out.id = kSandbox;
  out.slot = kSlot;
  out.policy = kPolicy;
  out.min_generation = kGeneration;
  std::ranges::copy(kOwnMac, out.mac);
  std::ranges::copy(kHostMac, out.host_mac);
  for (const Address& own : {kOwn.v4, kOwn.v6, kOwnLinkLocal}) {
    out.addrs[out.addr_count++] = to_kernel(own);
  }
  for (const char* text : {"10.7.0.0/24", "2001:db8:7::/64"}) {
    const Prefix prefix = must(Prefix::parse(text));
    out.link_prefixes[out.link_prefix_count++] = {to_kernel(prefix.address), prefix.bits};
  }
  return out;
}

egress_flow_key key_of(const Packet& packet) {
  // Two bytes before the frame, so that its IP header is aligned, as drivers do.
  constexpr std::size_t kAlign = 2;
  Bytes bytes(kAlign);
  const Bytes frame = packet.frame.bytes();
  bytes.insert(bytes.end(), frame.begin(), frame.end());
  const int out = packet.program == Program::kFromSandbox ? 1 : 0;
  egress_packet parsed{};
  if (egress_parse(bytes.data() + kAlign, bytes.data() + bytes.size(), static_cast<std::uint32_t>(frame.size()), 0, out,
                   &parsed) != EGRESS_REASON_NONE) {
    must(Error(Errc::kInvalid, "a test asks for the flow of a frame that has none"));
  }
  egress_flow_key key{};
  egress_flow_key_of(&parsed, out, &key);
  return key;
}

std::uint8_t direction_of(const Packet& packet) {
  return packet.program == Program::kFromSandbox ? std::uint8_t{EGRESS_OUT} : std::uint8_t{EGRESS_IN};
}

Verdict verdict_of(std::uint32_t returned) {
  switch (static_cast<int>(returned)) {
    case TC_ACT_UNSPEC:
      return Verdict::kNext;
    case TC_ACT_SHOT:
      return Verdict::kShot;
    case TC_ACT_REDIRECT:
      return Verdict::kRedirect;
    default:
      return Verdict::kElse;
  }
}

/// Emptied rather than made anew: the kernel waits for every CPU when a map in a map changes.
template <typename K, typename V>
void clear(const Map<K, V>& map) {
  must(map.for_each([&](const K& key, const V&) { return map.erase(key); }));
}

}  // namespace

void must(const Result<>& result) {
  if (!result) {
    std::fprintf(stderr, "the lab: %s\n", result.error().message().c_str());
    std::exit(2);
  }
}

egress_addr to_kernel(const Address& address) {
  egress_addr out{};
  std::memcpy(&out, address.bytes.data(), sizeof(out));
  return out;
}

std::uint64_t mono_ns() { return clock_ns(CLOCK_MONOTONIC_COARSE); }

std::uint64_t packets_counted(Gate& gate, unsigned reason, std::uint8_t direction) {
  const int fd = bpf_map__fd(gate.skeleton().maps.counters);
  std::vector<egress_counter> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  std::uint64_t packets = 0;
  for (const std::uint32_t sandbox : {0u, kSandbox, kOtherSandbox}) {
    const egress_counter_key key = {sandbox, static_cast<std::uint8_t>(reason), direction, {}};
    if (::bpf_map_lookup_elem(fd, &key, cpus.data()) == 0) {
      for (const egress_counter& cpu : cpus) {
        packets += cpu.packets;
      }
    }
  }
  return packets;
}

Lab::Lab(std::unique_ptr<Gate> gate) : gate_(std::move(gate)) {
  ifindex_ = make_veth("lab", "lab-peer");
  other_ifindex_ = index_of("lab-peer");
  steer_ifindex_ = make_veth("lab-steer", "lab-steer-p");
}

Result<std::unique_ptr<Lab>> Lab::make(const std::string& pin_dir) {
  auto gate = Gate::load(pin_dir);
  if (!gate) {
    return std::move(gate).error();
  }
  std::unique_ptr<Lab> lab(new Lab(std::move(*gate)));
  POSTERN_RETURN_IF_ERROR(lab->make_port_sets());
  for (const Address& node : {kNode.v4, kNode.v6}) {
    POSTERN_RETURN_IF_ERROR(lab->gate_->node_addrs().update(to_kernel(node), lab->ifindex_));
  }
  lab->forget_cidrs();
  lab->reset();
  return lab;
}

Lab& Lab::get() {
  if (!the_lab) {
    the_lab = must(make(std::string(kBpffs) + "/lab"));
  }
  return *the_lab;
}

Result<> Lab::make_port_sets() {
  const auto set = [this](std::uint32_t id, const std::vector<egress_port_range>& ranges) {
    egress_port_set out{};
    for (const egress_port_range& range : ranges) {
      out.ranges[out.count++] = range;
    }
    return gate_->port_sets().update(id, out);
  };
  POSTERN_RETURN_IF_ERROR(set(kHttpsPorts, {{443, 443, IPPROTO_TCP, 0}}));
  POSTERN_RETURN_IF_ERROR(set(kRangePorts, {{8000, 8010, IPPROTO_TCP, 0}, {443, 443, IPPROTO_UDP, 0}}));
  POSTERN_RETURN_IF_ERROR(set(kEchoPorts, {{0, 0, IPPROTO_ICMP, 0}}));
  return set(kPostgresPorts, {{5432, 5432, IPPROTO_TCP, 0}});
}

// ---- the ordinary state ----

void Lab::reset() {
  reset_maps();
  must(gate_->sandboxes().update(ifindex_, ordinary_sandbox()));
  egress_sandbox other = ordinary_sandbox();
  other.id = kOtherSandbox;
  other.slot = kOtherSlot;
  other.addr_count = 0;
  must(gate_->sandboxes().update(other_ifindex_, other));
  for (const Address& own : {kOwn.v4, kOwn.v6, kOwnLinkLocal}) {
    must(gate_->sandbox_addrs().update(to_kernel(own), ifindex_));
  }
  must(gate_->set_steering(steer_ifindex_, kSteerMac));
}

void Lab::reset_maps() {
  for (const std::uint32_t slot : {kSlot, kOtherSlot}) {
    auto flows = gate_->flows_of(slot);
    if (!flows || (slot == kSlot && flows_limited_)) {
      must(gate_->make_flows(slot));
      flows = gate_->flows_of(slot);
    }
    auto grants = gate_->grants_of(slot);
    if (!grants) {
      must(gate_->make_grants(slot));
      grants = gate_->grants_of(slot);
    }
    clear(must(std::move(flows)));
    clear(must(std::move(grants)));
  }
  flows_limited_ = false;
  if (!cidrs_.empty()) {
    forget_cidrs();
  }
  clear(gate_->name_ok());
  write_states(std::vector<egress_sandbox_state>(states().size()));
}

void Lab::forget_cidrs() {
  cidrs_.clear();
  must(gate_->make_cidrs(kPolicy, cidrs_));
}

void Lab::forget_grants() { clear(must(gate_->grants_of(kSlot))); }
void Lab::forget_sandbox() { must(gate_->sandboxes().erase(ifindex_)); }
void Lab::forget_steering() { must(gate_->set_steering(0, {})); }

// ---- what is special ----

void Lab::grant(const Address& address, const Grant& grant, std::uint32_t slot) {
  const auto grants = must(gate_->grants_of(slot));
  egress_grant value = must(grants.lookup(to_kernel(address))).value_or(egress_grant{});
  auto* const free = std::ranges::find(value.slots, 0u, &egress_grant_slot::deadline_boot_ns);
  if (free == std::end(value.slots)) {
    must(Error(Errc::kFull, "a test grants one address to more names than it has slots"));
  }
  *free = {grant.expired ? 1 : clock_ns(CLOCK_BOOTTIME) + kGrantNs, grant.generation, grant.ports, grant.rule,
           grant.name};
  must(grants.update(to_kernel(address), value));
}

void Lab::cidr(std::string_view prefix, const egress_cidr_rule& rule) {
  const Prefix parsed = must(Prefix::parse(prefix));
  cidrs_.push_back({{parsed.bits, to_kernel(parsed.address)}, rule});
  must(gate_->make_cidrs(kPolicy, cidrs_));
}

void Lab::name_ok(std::uint32_t name, std::uint32_t rule, std::uint32_t ports, std::uint32_t rule_now) {
  must(gate_->name_ok().update({kPolicy, name, rule}, {ports, rule_now}));
}

void Lab::change_sandbox(const std::function<void(egress_sandbox&)>& change) {
  auto sandbox = must(gate_->sandboxes().lookup(ifindex_)).value();
  change(sandbox);
  must(gate_->sandboxes().update(ifindex_, sandbox));
}

void Lab::raise_generation() {
  change_sandbox([](egress_sandbox& sandbox) { ++sandbox.min_generation; });
}

void Lab::limit_flows(std::uint32_t entries) {
  flows_limited_ = true;
  must(gate_->make_flows(kSlot, entries));
}

// ---- flows ----

std::optional<egress_flow> Lab::flow_of(const Packet& packet) const {
  return must(must(gate_->flows_of(kSlot)).lookup(key_of(packet)));
}

void Lab::put_flow(const Packet& packet, const egress_flow& flow) {
  must(must(gate_->flows_of(kSlot)).update(key_of(packet), flow));
}

void Lab::change_flow(const Packet& packet, const std::function<void(egress_flow&)>& change) {
  auto flow = flow_of(packet);
  must(flow ? Result<>() : Result<>(Error(Errc::kNotFound, "a test changes a flow that is not there")));
  change(*flow);
  put_flow(packet, *flow);
}

std::size_t Lab::count_flows(bool over) const {
  std::size_t count = 0;
  must(must(gate_->flows_of(kSlot)).for_each([&](const egress_flow_key&, const egress_flow& flow) -> Result<> {
    count += (egress_flow_over(flow.state) != 0) == over ? 1 : 0;
    return {};
  }));
  return count;
}

// ---- packets ----

egress_sandbox_state Lab::state() const {
  egress_sandbox_state sum{};
  for (const egress_sandbox_state& cpu : states()) {
    for (const int direction : {EGRESS_OUT, EGRESS_IN}) {
      sum.flow_packets[direction] += cpu.flow_packets[direction];
      sum.flow_bytes[direction] += cpu.flow_bytes[direction];
    }
    sum.events_lost += cpu.events_lost;
  }
  return sum;
}

std::vector<egress_sandbox_state> Lab::states() const {
  std::vector<egress_sandbox_state> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  if (::bpf_map_lookup_elem(bpf_map__fd(gate_->skeleton().maps.sandbox_state), &kSlot, cpus.data()) != 0) {
    must(Error::from_errno("reading a sandbox's sums", errno));
  }
  return cpus;
}

void Lab::begin_next_second() {
  auto cpus = states();
  for (egress_sandbox_state& cpu : cpus) {
    cpu.event_window_mono_ns -= kNsPerS;
    cpu.icmp_window_mono_ns -= kNsPerS;
  }
  write_states(cpus);
}

void Lab::write_states(const std::vector<egress_sandbox_state>& cpus) {
  if (::bpf_map_update_elem(bpf_map__fd(gate_->skeleton().maps.sandbox_state), &kSlot, cpus.data(), BPF_ANY) != 0) {
    must(Error::from_errno("writing a sandbox's sums", errno));
  }
}

void Lab::clear_counters() const {
  const int fd = bpf_map__fd(gate_->skeleton().maps.counters);
  egress_counter_key key{};
  while (::bpf_map_get_next_key(fd, nullptr, &key) == 0) {
    ::bpf_map_delete_elem(fd, &key);
  }
}

std::uint64_t Lab::counted(unsigned reason, std::uint8_t direction) const {
  return packets_counted(*gate_, reason, direction);
}

void Lab::read_counters(const Packet& packet, std::uint64_t flow_packets_before, Outcome& outcome) const {
  const int fd = bpf_map__fd(gate_->skeleton().maps.counters);
  std::vector<egress_counter> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  egress_counter_key key{};
  egress_counter_key last{};
  for (const egress_counter_key* after = nullptr; ::bpf_map_get_next_key(fd, after, &key) == 0; after = &last) {
    last = key;
    if (::bpf_map_lookup_elem(fd, &key, cpus.data()) != 0) {
      must(Error::from_errno("reading the counters", errno));
    }
    for (const egress_counter& cpu : cpus) {
      outcome.counted += cpu.packets;
    }
    if (key.reason >= outcome.reason) {
      outcome.reason = key.reason;
      outcome.sandbox = key.sandbox;
      outcome.direction = key.direction;
    }
  }
  // A known flow's packets are in the sandbox's sums alone.
  outcome.direction = outcome.counted != 0 ? outcome.direction : direction_of(packet);
  const std::uint64_t in_flows = state().flow_packets[outcome.direction] - flow_packets_before;
  if (in_flows != 0) {
    const auto flow = flow_of(packet);
    const bool reply = flow && egress_flow_basis(&*flow) == EGRESS_BASIS_INBOUND && packet.program == Program::kFromSandbox;
    outcome.reason = reply ? EGRESS_REASON_INBOUND_REPLY : EGRESS_REASON_KNOWN_FLOW;
    outcome.sandbox = kSandbox;
    outcome.counted += in_flows;
  }
}

Outcome Lab::run(const Packet& packet, std::uint32_t repeat) {
  const auto& programs = gate_->skeleton().progs;
  const bpf_program* program = packet.program == Program::kFromSandbox ? programs.from_sandbox
                               : packet.program == Program::kToSandbox ? programs.to_sandbox
                                                                       : programs.from_steering;
  const Bytes sent = packet.frame.bytes();
  Bytes left(sent.size() + 64);
  __sk_buff context{};
  context.ifindex = packet.program == Program::kFromSteering ? steer_ifindex_ : ifindex_;
  context.ingress_ifindex = packet.from_steering ? steer_ifindex_ : context.ifindex;
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  options.data_in = sent.data();
  options.data_size_in = static_cast<std::uint32_t>(sent.size());
  options.data_out = left.data();
  options.data_size_out = static_cast<std::uint32_t>(left.size());
  options.ctx_in = &context;
  options.ctx_size_in = sizeof(context);
  options.repeat = static_cast<int>(repeat);
  clear_counters();
  const auto direction = direction_of(packet);
  const std::uint64_t flow_packets_before = state().flow_packets[direction];
  if (const int ran = ::bpf_prog_test_run_opts(bpf_program__fd(program), &options); ran != 0) {
    must(Error::from_errno("running a program on a frame of " + std::to_string(sent.size()) + " bytes", -ran));
  }
  left.resize(options.data_size_out);
  Outcome outcome;
  outcome.verdict = verdict_of(options.retval);
  outcome.frame = std::move(left);
  outcome.duration_ns = options.duration;
  read_counters(packet, flow_packets_before, outcome);
  return outcome;
}

}  // namespace postern::test
