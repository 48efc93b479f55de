// SPDX-License-Identifier: Apache-2.0
#include "agent/sandbox/pod_addresses.h"

#include <catch2/catch_test_macros.hpp>
#include <sstream>
#include <string>

namespace postern {
namespace {

/// "10.0.0.2 fd00::2" as addresses, and back.
std::vector<Address> addresses(const std::string& words) {
  std::vector<Address> list;
  std::istringstream text(words);
  for (std::string word; text >> word;) {
    list.push_back(Address::parse(word).value());
  }
  return list;
}

std::string chosen(const AddressSources& sources) {
  std::string text;
  for (const Address& address : choose_addresses(sources)) {
    text += (text.empty() ? "" : " ") + address.to_string();
  }
  return text;
}

TEST_CASE("pod addresses: the runtime's word, then what was there before a container, then the API server's",
          "[agent]") {
  AddressSources told;
  CHECK(chosen(told).empty());
  told.link = addresses("10.0.0.3");
  CHECK(chosen(told) == "10.0.0.3");
  told.claimed = addresses("10.0.0.4");
  CHECK(chosen(told) == "10.0.0.4");  // the other end is in the sandbox's hands
  told.link_is_ours = true;
  CHECK(chosen(told) == "10.0.0.3");
  told.cni = addresses("10.0.0.2 10.0.0.12");
  CHECK(chosen(told) == "10.0.0.2 10.0.0.12");
}

TEST_CASE("pod addresses: what is on record does not move", "[agent]") {
  AddressSources told;
  told.record = addresses("10.0.0.2 fe80::2");
  told.link = addresses("10.0.0.3");
  told.cni = addresses("10.0.0.4");
  told.claimed = addresses("10.0.0.5");
  told.link_local = addresses("fe80::66");
  CHECK(chosen(told) == "10.0.0.2 fe80::2");
}

TEST_CASE("pod addresses: the API server's add a family that is missing", "[agent]") {
  AddressSources told;
  told.record = addresses("10.0.0.2 fe80::2");
  told.claimed = addresses("10.0.0.5 fd00::5");
  CHECK(chosen(told) == "10.0.0.2 fe80::2 fd00::5");
  told.record = addresses("10.0.0.2 fd00::2");
  CHECK(chosen(told) == "10.0.0.2 fd00::2");
  told.record = addresses("fe80::2");  // attached before it had any
  CHECK(chosen(told) == "10.0.0.5 fd00::5 fe80::2");
}

TEST_CASE("pod addresses: link-local ones come with the others, as many as the gate holds", "[agent]") {
  AddressSources told;
  told.link = addresses("10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7");
  told.link_local = addresses("fe80::1 fe80::2");
  CHECK(chosen(told) == "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7 fe80::1");
}

}  // namespace
}  // namespace postern
