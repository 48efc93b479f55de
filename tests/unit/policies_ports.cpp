// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <random>

#include "bpf/layout.h"
#include "policies/ports.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;

PortSet ports(std::initializer_list<const char*> texts) {
  PortSet set;
  for (const char* text : texts) {
    REQUIRE(set.add(text));
  }
  return set;
}

std::string error_of(std::string_view text) {
  PortSet set;
  const auto added = set.add(text);
  CHECK((added || set.empty()));  // what is refused leaves nothing behind
  return added ? "" : added.error().message();
}

TEST_CASE("ports: every text form", "[policies]") {
  CHECK(ports({"443"}).to_string() == "443/tcp");
  CHECK(ports({"443/tcp"}) == ports({"443"}));
  CHECK(ports({"53/udp"}).contains(kProtocolUdp, 53));
  CHECK_FALSE(ports({"53/udp"}).contains(kProtocolTcp, 53));
  CHECK(ports({"8000-8010"}).to_string() == "8000-8010/tcp");
  CHECK(ports({"1-65535/udp"}).contains(kProtocolUdp, 65535));
  CHECK(ports({"echo"}).contains(kProtocolIcmp, 0));
  CHECK_FALSE(ports({"echo"}).contains(kProtocolTcp, 0));
  CHECK(ports({"*"}).is_all());
  CHECK(ports({"*", "443"}).to_string() == "all");
  CHECK(PortSet().to_string() == "none");
  CHECK(PortSet::https() == ports({"443"}));
}

TEST_CASE("ports: what is impossible is refused and says what to write", "[policies]") {
  for (const char* text : {"0", "65536", "70000", "-1", "443-", "-443", "443.5", "http", "", " 443", "443/", "443/sctp",
                           "443/TCP", "1-2-3", "99999999999999999999", "echo/udp", "0x50"}) {
    INFO(text);
    CHECK_THAT(error_of(text), ContainsSubstring("write a port (443)"));
  }
  CHECK_THAT(error_of("8010-8000"), ContainsSubstring("write 8000-8010"));
}

TEST_CASE("ports: one canonical form, whatever the order", "[policies]") {
  CHECK(ports({"443", "80"}) == ports({"80", "443"}));
  CHECK(ports({"80", "81", "82"}).ranges().size() == 1);
  CHECK(ports({"80-90", "85-100"}).to_string() == "80-100/tcp");
  CHECK(ports({"80", "80/udp"}).ranges().size() == 2);
  CHECK(ports({"65535", "65534"}).to_string() == "65534-65535/tcp");
  CHECK(ports({"echo", "443", "443/udp"}).to_string() == "echo, 443/tcp, 443/udp");
}

TEST_CASE("ports: covers", "[policies]") {
  CHECK(PortSet::all().covers(ports({"443"})));
  CHECK_FALSE(ports({"1-65535", "1-65535/udp"}).covers(PortSet::all()));  // all is more than TCP and UDP
  CHECK(ports({"80-90"}).covers(ports({"80", "90"})));
  CHECK_FALSE(ports({"80-90"}).covers(ports({"91"})));
  CHECK_FALSE(ports({"443"}).covers(ports({"443/udp"})));
  CHECK(PortSet().covers(PortSet()));
  CHECK_FALSE(PortSet().covers(ports({"1"})));
}

TEST_CASE("ports: adding in random order agrees with a plain set", "[policies]") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    PortSet set;
    std::vector<bool> plain(64);
    for (int i = 0; i < 8; ++i) {
      const unsigned first = 1 + static_cast<unsigned>(random() % 62);
      const unsigned last = std::min(63u, first + static_cast<unsigned>(random() % 4));
      set.add(PortRange{kProtocolTcp, static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)});
      std::fill(plain.begin() + first, plain.begin() + last + 1, true);
    }
    for (std::uint16_t port = 0; port < 64; ++port) {
      CHECK(set.contains(kProtocolTcp, port) == plain[port]);
    }
    for (std::size_t i = 1; i < set.ranges().size(); ++i) {
      CHECK(set.ranges()[i - 1].last + 1 < set.ranges()[i].first);  // neither overlapping nor touching
    }
  }
}

TEST_CASE("ports: a set fits the kernel's", "[policies]") { CHECK(PortSet::kRangesMax == EGRESS_PORT_RANGES_MAX); }

}  // namespace
}  // namespace postern
