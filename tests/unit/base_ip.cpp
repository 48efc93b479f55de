// SPDX-License-Identifier: Apache-2.0
#include "base/ip.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

namespace postern {
namespace {

TEST_CASE("ip: addresses of both families, there and back", "[base]") {
  const auto [text, printed] = GENERATE(table<std::string, std::string>({
      {"192.0.2.1", "192.0.2.1"},
      {"0.0.0.0", "0.0.0.0"},
      {"2001:db8::1", "2001:db8::1"},
      {"2001:DB8:0:0::1", "2001:db8::1"},
      {"::ffff:192.0.2.1", "192.0.2.1"},
      {"::1", "::1"},
      {"::192.0.2.1", "::192.0.2.1"},
  }));
  const auto address = Address::parse(text);
  REQUIRE(address);
  CHECK(address->to_string() == printed);
}

TEST_CASE("ip: what is no address", "[base]") {
  for (const std::string& text :
       {std::string(), std::string("1.2.3"), std::string("1.2.3.4.5"), std::string("256.1.1.1"),
        std::string("01.2.3.4"), std::string("::g"), std::string("fe80::1%eth0"), std::string("1.2.3.4 "),
        std::string("1.2.3.4\0x", 9), std::string("example.com")}) {
    INFO(text);
    CHECK_FALSE(Address::parse(text));
  }
}

TEST_CASE("ip: prefixes", "[base]") {
  const auto [text, bits, printed] = GENERATE(table<std::string, int, std::string>({
      {"10.0.0.0/8", 104, "10.0.0.0/8"},
      {"0.0.0.0/0", 96, "0.0.0.0/0"},
      {"192.0.2.7", 128, "192.0.2.7/32"},
      {"::/0", 0, "::/0"},
      {"2001:db8::/32", 32, "2001:db8::/32"},
      {"2001:db8::1", 128, "2001:db8::1/128"},
  }));
  const auto prefix = Prefix::parse(text);
  REQUIRE(prefix);
  CHECK(int{prefix->bits} == bits);
  CHECK(prefix->to_string() == printed);
}

TEST_CASE("ip: what is no prefix is refused with what to write", "[base]") {
  CHECK(Prefix::parse("10.1.0.0/8").error().message().find("10.0.0.0/8") != std::string::npos);
  for (const char* text :
       {"10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8/8", "2001:db8::/129", "::1/64", "/8"}) {
    INFO(text);
    CHECK(Prefix::parse(text).error().code() == Errc::kInvalid);
  }
}

TEST_CASE("ip: what a prefix contains", "[base]") {
  const auto [prefix, address, inside] = GENERATE(table<std::string, std::string, bool>({
      {"10.0.0.0/8", "10.255.255.255", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"10.20.9.128/25", "10.20.9.127", false},
      {"10.20.9.128/25", "10.20.9.128", true},
      {"0.0.0.0/0", "8.8.8.8", true},
      {"0.0.0.0/0", "2001:db8::1", false},
      {"::/0", "2001:db8::1", true},
      {"::/0", "8.8.8.8", false},  // its bits are the mapped ones, but it is no IPv6 address
      {"2001:db8::/33", "2001:db8:8000::", false},
      {"2001:db8::/33", "2001:db8:7fff::", true},
  }));
  INFO(prefix << " " << address);
  CHECK(Prefix::parse(prefix)->contains(*Address::parse(address)) == inside);
}

TEST_CASE("ip: a prefix inside a prefix", "[base]") {
  CHECK(Prefix::parse("10.0.0.0/8")->contains(*Prefix::parse("10.1.0.0/16")));
  CHECK_FALSE(Prefix::parse("10.1.0.0/16")->contains(*Prefix::parse("10.0.0.0/8")));
  CHECK_FALSE(Prefix::parse("::/0")->contains(*Prefix::parse("10.0.0.0/8")));
}

TEST_CASE("ip: endpoints", "[base]") {
  const auto [text, printed] = GENERATE(table<std::string, std::string>({
      {"192.0.2.1", "192.0.2.1:53"},
      {"192.0.2.1:5353", "192.0.2.1:5353"},
      {"2001:db8::1", "[2001:db8::1]:53"},
      {"[2001:db8::1]", "[2001:db8::1]:53"},
      {"[2001:db8::1]:5353", "[2001:db8::1]:5353"},
  }));
  const auto endpoint = Endpoint::parse(text, 53);
  REQUIRE(endpoint);
  CHECK(endpoint->to_string() == printed);
}

TEST_CASE("ip: what is no endpoint", "[base]") {
  for (const char* text : {"", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:x", "[2001:db8::1",
                           "[2001:db8::1]x", "[2001:db8::1]:0", "dns.example.com:53"}) {
    INFO(text);
    CHECK_FALSE(Endpoint::parse(text, 53));
  }
}

}  // namespace
}  // namespace postern
