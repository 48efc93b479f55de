// SPDX-License-Identifier: Apache-2.0
#include "tests/bpf/world.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "agent/datapath/capabilities.h"

namespace postern::test {
namespace {

// Of before the capabilities were dropped.
Fd packet_socket;
Fd virtual_card;  // the same, with the header of a virtual network card before each frame

/// struct virtio_net_hdr, whose header C++ cannot read (it has a field named class). Native byte order.
struct VirtualCardHeader {
  std::uint8_t flags = 1;  // VIRTIO_NET_HDR_F_NEEDS_CSUM
  std::uint8_t gso_type = 0;
  std::uint16_t hdr_len = 0;
  std::uint16_t gso_size = 0;
  std::uint16_t csum_start = 0;
  std::uint16_t csum_offset = 0;
};
static_assert(sizeof(VirtualCardHeader) == 10);

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "the tests' own topology: %s\n", what.c_str());
  std::exit(2);
}

Result<> step(bool done, const char* what) { return done ? Result<>() : Result<>(Error::from_errno(what, errno)); }

void put_on_wire(const Fd& socket, const std::string& interface, const Bytes& bytes) {
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(index_of(interface));
  // ENOBUFS: a program at this interface's egress dropped it, which is for the test to judge.
  if (::sendto(socket.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) < 0 &&
      errno != ENOBUFS) {
    give_up("sending a frame at " + interface + ": " + std::strerror(errno));
  }
}

/// No router solicitations of the kernel's own between the tests' frames.
void silence_ipv6() {
  for (const char* which : {"all", "default"}) {
    const std::string path = std::string("/proc/sys/net/ipv6/conf/") + which + "/disable_ipv6";
    if (Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC)); !file || ::write(file.get(), "1", 1) != 1) {
      give_up("writing " + path);
    }
  }
}

}  // namespace

Result<> enter_world() {
  POSTERN_RETURN_IF_ERROR(step(::unshare(CLONE_NEWNET | CLONE_NEWNS) == 0, "making namespaces"));
  POSTERN_RETURN_IF_ERROR(
      step(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "making mounts private"));
  POSTERN_RETURN_IF_ERROR(step(::mount("bpf", kBpffs, "bpf", 0, "mode=0700") == 0, "mounting a BPF file system"));
  packet_socket = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  POSTERN_RETURN_IF_ERROR(step(static_cast<bool>(packet_socket), "making a packet socket"));
  virtual_card = Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  const int on = 1;
  POSTERN_RETURN_IF_ERROR(step(::setsockopt(virtual_card.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) == 0,
                               "making a packet socket of a virtual card"));
  silence_ipv6();
  return keep_only_gate_capabilities();
}

void stay_on_one_cpu() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &one);
  ::sched_setaffinity(0, sizeof(one), &one);
}

bool kernel_is_at_least(unsigned major, unsigned minor) {
  utsname system{};
  unsigned has_major = 0;
  unsigned has_minor = 0;
  if (::uname(&system) != 0 || std::sscanf(system.release, "%u.%u", &has_major, &has_minor) != 2) {
    give_up("asking for the kernel's version");
  }
  return has_major > major || (has_major == major && has_minor >= minor);
}

void run_tool(std::vector<std::string> command) {
  const std::string path = "/sbin/" + command.front();
  std::string line;
  std::vector<char*> argv;
  for (std::string& word : command) {
    line += word + " ";
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  std::array<char*, 1> environment = {nullptr};
  pid_t child = 0;
  int status = 0;
  if (::posix_spawn(&child, path.c_str(), nullptr, nullptr, argv.data(), environment.data()) != 0 ||
      ::waitpid(child, &status, 0) != child || status != 0) {
    give_up(line);
  }
}

std::uint32_t make_veth(const std::string& name, const std::string& peer, std::uint32_t ifindex) {
  std::vector<std::string> add = {"ip", "link", "add", "name", name};
  if (ifindex != 0) {
    add.insert(add.end(), {"index", std::to_string(ifindex)});
  }
  add.insert(add.end(), {"type", "veth", "peer", "name", peer});
  run_tool(add);
  run_tool({"ip", "link", "set", name, "up"});
  run_tool({"ip", "link", "set", peer, "up"});
  return index_of(name);
}

std::uint32_t index_of(const std::string& interface) {
  const std::uint32_t index = ::if_nametoindex(interface.c_str());
  if (index == 0) {
    give_up("no interface " + interface);
  }
  return index;
}

void send(const std::string& interface, const Frame& frame) { put_on_wire(packet_socket, interface, frame.bytes()); }

void send_with_open_checksum(const std::string& interface,
                             const Frame& frame,
                             std::uint16_t start,
                             std::uint16_t offset) {
  VirtualCardHeader header;
  header.csum_start = start;
  header.csum_offset = offset;
  const auto* begin = reinterpret_cast<const std::uint8_t*>(&header);
  Bytes bytes(begin, begin + sizeof(header));
  const Bytes sent = frame.bytes();
  bytes.insert(bytes.end(), sent.begin(), sent.end());
  put_on_wire(virtual_card, interface, bytes);
}

}  // namespace postern::test
