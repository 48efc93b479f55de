// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "policies_texts.h"

namespace postern {
namespace {

using Catch::Matchers::ContainsSubstring;

Wire wire_of(std::string_view bytes) { return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}; }

std::string error_of(std::string_view text) {
  const auto name = DnsName::from_text(text);
  return name ? "" : name.error().message();
}

TEST_CASE("names: text becomes lower-case wire labels", "[policies]") {
  CHECK(name("PyPI.org").bytes() == std::string("\4pypi\3org\0", 10));
  CHECK(name("pypi.org.") == name("pypi.org"));
  CHECK(name("pypi.org").text() == "pypi.org");
  CHECK(name("*.Example.com").text() == "*.example.com");
  CHECK(name("_dmarc.xn--nxasmq6b.example").label_count() == 3);
  CHECK(DnsName().is_root());
  CHECK(DnsName().text() == ".");
}

TEST_CASE("names: text that is no host name is refused, with the reason", "[policies]") {
  CHECK_THAT(error_of(""), ContainsSubstring("empty"));
  CHECK_THAT(error_of("."), ContainsSubstring("empty"));
  CHECK_THAT(error_of("a..b"), ContainsSubstring("label between two dots is empty"));
  CHECK_THAT(error_of(".a"), ContainsSubstring("empty"));
  CHECK_THAT(error_of("api example.com"), ContainsSubstring("space"));
  CHECK_THAT(error_of("https://example.com/x"), ContainsSubstring("without scheme, port or path"));
  CHECK_THAT(error_of("example.com:443"), ContainsSubstring("without scheme, port or path"));
  CHECK_THAT(error_of("pre*.example.com"), ContainsSubstring("whole label"));
  CHECK_THAT(error_of("b\xc3\xbc"
                      "cher.example"),
             ContainsSubstring("xn--"));
  CHECK_THAT(error_of("a\\.b.example"), ContainsSubstring("no letter"));
  CHECK_THAT(error_of(std::string_view("a\0b.example", 11)), ContainsSubstring("no letter"));
  CHECK_THAT(error_of("a\nb.example"), ContainsSubstring("\\x0a"));  // escaped: the message stays one line
}

TEST_CASE("names: lengths of RFC 1035 2.3.4", "[policies]") {
  const std::string label63(63, 'a');
  CHECK(error_of(label63 + ".example").empty());
  CHECK_THAT(error_of(label63 + "a.example"), ContainsSubstring("63"));
  const std::string three = label63 + "." + label63 + "." + label63 + ".";
  CHECK(error_of(three + std::string(61, 'b')).empty());  // 253 characters, 255 on the wire
  CHECK(name(three + std::string(61, 'b')).bytes().size() == kNameMax);
  CHECK_THAT(error_of(three + std::string(62, 'b')), ContainsSubstring("253"));
}

TEST_CASE("names: from the wire only a whole uncompressed name", "[policies]") {
  const std::string good("\4PyPI\3org\0", 10);
  REQUIRE(DnsName::from_wire(wire_of(good)));
  CHECK(*DnsName::from_wire(wire_of(good)) == name("pypi.org"));
  CHECK(DnsName::from_wire(wire_of(std::string(1, '\0')))->is_root());
  CHECK_FALSE(DnsName::from_wire({}));
  CHECK_FALSE(DnsName::from_wire(wire_of(good.substr(0, 9))));       // the root label is missing
  CHECK_FALSE(DnsName::from_wire(wire_of(good + "x")));              // bytes behind it
  CHECK_FALSE(DnsName::from_wire(wire_of("\xc0\x0c")));              // a compression pointer
  CHECK_FALSE(DnsName::from_wire(wire_of(std::string("\x40", 1))));  // label type 01
  std::string long_name;
  for (int i = 0; i < 4; ++i) {
    long_name += '\x3f' + std::string(63, 'a');
  }
  CHECK_FALSE(DnsName::from_wire(wire_of(long_name + std::string(1, '\0'))));  // 257 bytes
}

TEST_CASE("names: a dot inside a label is not a dot between labels", "[policies]") {
  const std::string odd(
      "\x08"
      "pypi.org\0",
      10);
  const auto one_label = DnsName::from_wire(wire_of(odd));
  REQUIRE(one_label);
  CHECK(*one_label != name("pypi.org"));
  CHECK(one_label->label_count() == 1);
  CHECK(one_label->text() == "pypi\\.org");
}

TEST_CASE("names: odd bytes print escaped, anything prints safely", "[policies]") {
  const std::string odd(
      "\x04"
      "a\0\x1b"
      "b\0",
      6);
  CHECK(text_of(wire_of(odd)) == "a\\000\\027b");
  CHECK(text_of({}) == "?");
  CHECK(text_of(wire_of("\xc0\x0c")) == "?");
  CHECK(text_of(wire_of(std::string("\3org", 4))) == "?");
}

TEST_CASE("names: ancestry goes by labels, not by text", "[policies]") {
  CHECK(name("a.example.com").is_equal_or_below(name("example.com")));
  CHECK(name("example.com").is_equal_or_below(name("example.com")));
  CHECK(name("example.com").is_equal_or_below(DnsName()));
  CHECK_FALSE(name("notexample.com").is_equal_or_below(name("example.com")));
  CHECK_FALSE(name("com").is_equal_or_below(name("example.com")));
  CHECK_FALSE(name("example.com.evil.net").is_equal_or_below(name("example.com")));
  CHECK(name("a.example.com").parent() == name("example.com"));
  CHECK(DnsName().parent().is_root());
}

}  // namespace
}  // namespace postern
