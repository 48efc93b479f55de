// SPDX-License-Identifier: Apache-2.0
//
// The never-list is in two places, because the kernel's copy must not depend on a daemon: here both
// are asked the same questions.
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <random>

extern "C" {
#include "bpf/address.h"
}
#include "policies/never_list.h"
#include "policies_texts.h"

namespace postern {
namespace {

bool kernel_says(const Address& target) {
  egress_addr raw{};
  egress_addr_copy(&raw, target.bytes.data());
  return egress_never(&raw) != 0;
}

void agree(const Address& target) {
  INFO(target.to_string());
  CHECK(is_never_allowed(target) == kernel_says(target));
}

/// The first and last address of a prefix and their outer neighbours.
std::vector<Address> edges(const Prefix& range) {
  Address last = range.address;
  for (int bit = range.bits; bit < 128; ++bit) {
    last.bytes[static_cast<std::size_t>(bit / 8)] |= static_cast<std::uint8_t>(0x80 >> (bit % 8));
  }
  Address before = range.address;
  for (std::size_t i = 16; i-- > 0 && before.bytes[i]-- == 0;) {
  }
  Address after = last;
  for (std::size_t i = 16; i-- > 0 && ++after.bytes[i] == 0;) {
  }
  return {range.address, last, before, after};
}

TEST_CASE("never-list: the kernel and user space agree at every edge", "[policies]") {
  for (const Prefix& entry : never_list()) {
    CHECK(is_never_allowed(entry.address));
    for (const Address& edge : edges(entry)) {
      agree(edge);
    }
  }
}

TEST_CASE("never-list: and on random addresses near it", "[policies]") {
  std::mt19937 random(5);
  for (int i = 0; i < 20000; ++i) {
    Address target = never_list()[random() % never_list().size()].address;
    for (int change = 0; change < 3; ++change) {
      target.bytes[random() % 16] = static_cast<std::uint8_t>(random());
    }
    agree(target);
  }
}

TEST_CASE("never-list: addresses that must be on it, in every form", "[policies]") {
  for (const char* text : {"127.0.0.1",
                           "169.254.169.254",
                           "169.254.170.2",
                           "169.254.170.23",
                           "0.0.0.0",
                           "224.0.0.1",
                           "255.255.255.255",
                           "100.100.100.200",
                           "168.63.129.16",
                           "::",
                           "::1",
                           "fe80::1",
                           "fec0::1",
                           "ff02::1",
                           "fd00:ec2::254",
                           "fd00:ec2::23",
                           "fd20:ce::254",
                           "::ffff:127.0.0.1",
                           "::127.0.0.1",
                           "64:ff9b::127.0.0.1",
                           "64:ff9b::a9fe:a9fe",
                           "64:ff9b:1::1",
                           "2002:7f00:1::1",
                           "2001:0:7f00::1",
                           "2001:db8::5efe:7f00:1",
                           "fd12::200:5efe:a9fe:a9fe"}) {
    INFO(text);
    CHECK(is_never_allowed(address(text)));
    agree(address(text));
  }
  for (const char* text : {"8.8.8.8", "10.0.0.1", "192.168.1.1", "169.253.255.255", "2001:4860:4860::8888",
                           "64:ff9b::808:808", "fd12::1"}) {
    INFO(text);
    CHECK_FALSE(is_never_allowed(address(text)));
    agree(address(text));
  }
}

TEST_CASE("never-list: which rules may open it", "[policies]") {
  CHECK(opens_never_listed(prefix("169.254.170.23/32")));
  CHECK(opens_never_listed(prefix("169.254.170.0/24")));
  CHECK(opens_never_listed(prefix("169.254.0.0/16")));
  CHECK(opens_never_listed(prefix("fd00:ec2::23/128")));
  CHECK_FALSE(opens_never_listed(prefix("169.0.0.0/8")));
  CHECK_FALSE(opens_never_listed(prefix("0.0.0.0/0")));
  CHECK_FALSE(opens_never_listed(prefix("::/0")));
  CHECK_FALSE(opens_never_listed(prefix("64:ff9b::/96")));
}

TEST_CASE("never-list: private space", "[policies]") {
  for (const char* text : {"10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "198.18.0.1",
                           "fd12::1", "64:ff9b::a00:1"}) {
    CHECK(is_private(address(text)));
  }
  for (const char* text : {"172.32.0.1", "8.8.8.8", "100.128.0.1", "2001:db8::1", "64:ff9b::808:808"}) {
    CHECK_FALSE(is_private(address(text)));
  }
}

}  // namespace
}  // namespace postern
