// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/arpa.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "tests/support/resolver_lab.h"

namespace postern::testing {
namespace {

std::string address_of(const std::string& name) {
  const auto address = address_from_arpa(bytes_of(wire_name(name)));
  return address ? address->to_string() : "none";
}

TEST_CASE("arpa: the address that a reverse name stands for", "[dnsproxy]") {
  const std::string v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
  const auto [name, expected] = GENERATE_COPY(table<std::string, std::string>({
      {"4.3.2.1.in-addr.arpa", "1.2.3.4"},
      {"255.0.0.10.IN-ADDR.Arpa", "10.0.0.255"},
      {v6, "2001:db8::1"},
      {"F" + v6.substr(1), "2001:db8::f"},
      {"3.2.1.in-addr.arpa", "none"},
      {"5.4.3.2.1.in-addr.arpa", "none"},
      {"256.3.2.1.in-addr.arpa", "none"},
      {"4.3.2.1x.in-addr.arpa", "none"},
      {"-4.3.2.1.in-addr.arpa", "none"},
      {"4.3.2.1.in-addr.example", "none"},
      {"0004.3.2.1.in-addr.arpa", "1.2.3.4"},
      {"g" + v6.substr(1), "none"},
      {"10" + v6.substr(1), "none"},
      {v6.substr(2), "none"},
      {"in-addr.arpa", "none"},
      {"ip6.arpa", "none"},
      {"api.example.com", "none"},
      {".", "none"},
  }));
  INFO(name);
  CHECK(address_of(name) == expected);
}

TEST_CASE("arpa: any name of any length is safe to ask", "[dnsproxy]") {
  for (std::size_t labels = 0; labels <= 127; ++labels) {
    std::string name;
    for (std::size_t i = 0; i < labels; ++i) {
      name += "\0011";
    }
    const std::string tree = labels <= 120 ? wire_name("in-addr.arpa") : std::string(1, '\0');
    if (name.size() + tree.size() <= 255) {
      CHECK(address_from_arpa(bytes_of(name + tree)).has_value() == (labels == 4));
    }
  }
}

}  // namespace
}  // namespace postern::testing
