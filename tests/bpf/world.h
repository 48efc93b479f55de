// SPDX-License-Identifier: Apache-2.0
//
// What these tests run in: namespaces and a BPF file system of their own, and the gate's three capabilities.
//
// Nothing leaves them and nothing is left behind: interfaces, pins and links go with the process,
// however it ends. What takes more (namespaces, the mount, a packet socket) is done first.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "tests/bpf/frame.h"

namespace postern::test {

/// The BPF file system of this process alone.
inline constexpr const char* kBpffs = "/sys/fs/bpf";

/// Once, at start, with one thread. @return denied: what is missing; the tests cannot run then.
Result<> enter_world();

/// The programs' rates are per CPU: what runs one packet after the other stays on one.
void stay_on_one_cpu();

bool kernel_is_at_least(unsigned major, unsigned minor);

/// Runs a tool of iproute2: {"ip", "link", ...}. Ends the process when it fails: the tests' own topology is wrong.
void run_tool(std::vector<std::string> command);

/// A pair of interfaces, both up. @param ifindex of the first; 0: the kernel's choice.
/// @return the first one's index.
std::uint32_t make_veth(const std::string& name, const std::string& peer, std::uint32_t ifindex = 0);
std::uint32_t index_of(const std::string& interface);

/// Puts a frame on the wire at `interface`; it comes in at the other end.
void send(const std::string& interface, const Frame& frame);
/// The same, leaving it to others to compute a checksum from byte `start` on and to write it `offset` bytes behind it.
void send_with_open_checksum(const std::string& interface,
                             const Frame& frame,
                             std::uint16_t start,
                             std::uint16_t offset);

}  // namespace postern::test
