// SPDX-License-Identifier: Apache-2.0
#include "dnsproxy/wire.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "tests/support/resolver_lab.h"

namespace postern::testing {
namespace {

/// A name at the end of some bytes, as WireReader::name reads it; "error" when it refuses.
std::string read_name(const std::string& message, std::size_t at) {
  WireReader reader(bytes_of(message), at);
  NameBuffer name;
  return reader.name(name) ? std::string(name.wire().begin(), name.wire().end()) : "error";
}

TEST_CASE("wire: names with and without compression", "[dnsproxy]") {
  const std::string header(12, '\0');
  const std::string first = wire_name("a.example");
  CHECK(read_name(header + first, 12) == first);
  CHECK(read_name(header + first + "\xc0\x0c", 23) == first);
  CHECK(read_name(header + first + "\1b\xc0\x0e", 23) == wire_name("b.example"));
  CHECK(read_name(header + first + "\1b\xc0\x0e" + "\xc0\x17", 27) == wire_name("b.example"));  // pointer to a pointer
  const std::string message = header + first + "\xc0\x0c" + "x";
  WireReader reader(bytes_of(message), 23);
  NameBuffer name;
  REQUIRE(reader.name(name));
  CHECK(reader.position() == 25);  // behind the pointer, not behind what it leads to
}

TEST_CASE("wire: names that are refused", "[dnsproxy]") {
  const std::string header(12, '\0');
  const auto [tail, why] = GENERATE(table<std::string, std::string>({
      {"", "nothing"},
      {"\3ab", "a label longer than the message"},
      {"\3abc", "no end"},
      {std::string("\x40") + std::string(64, 'x') + std::string(1, '\0'), "a label of 64 bytes"},
      {std::string("\x80\0", 2), "an unknown label type"},
      {"\xc0", "half a pointer"},
      {"\xc0\x0c", "a pointer to itself"},
      {"\xc0\x20", "a pointer forwards"},
      {std::string("\xc0\0", 2), "a pointer to the header"},
      {"\xc0\x0b", "a pointer to the header's last byte"},
      {"\1a\xc0\x0c", "a loop through a label"},
  }));
  INFO(why);
  CHECK(read_name(header + tail, 12) == "error");
}

TEST_CASE("wire: a loop of two pointers ends", "[dnsproxy]") {
  const std::string message = std::string(12, '\0') + "\1a\xc0\x10" + "\1b\xc0\x0c" + "\xc0\x10";
  CHECK(read_name(message, 20) == "error");
}

std::string name_of_labels(std::size_t labels) {
  std::string name;
  for (std::size_t i = 0; i < labels; ++i) {
    name += "\1x";
  }
  return name + '\0';
}

TEST_CASE("wire: the longest name", "[dnsproxy]") {
  CHECK(read_name(std::string(12, '\0') + name_of_labels(127), 12).size() == 255);
  CHECK(read_name(std::string(12, '\0') + name_of_labels(128), 12) == "error");
  const std::string label63 = "\x3f" + std::string(63, 'a');
  CHECK(read_name(std::string(12, '\0') + label63 + label63 + label63 + "\x3d" + std::string(61, 'a') + '\0', 12)
            .size() == 255);
  CHECK(read_name(std::string(12, '\0') + label63 + label63 + label63 + "\x3e" + std::string(62, 'a') + '\0', 12) ==
        "error");
  // Compression may not stretch it either.
  const std::string base = std::string(12, '\0') + name_of_labels(126);  // 253 bytes at 12
  CHECK(read_name(base + "\1y\xc0\x0c", base.size()).size() == 255);
  CHECK(read_name(base + "\2yy\xc0\x0c", base.size()) == "error");
}

TEST_CASE("wire: a plain name takes no pointers", "[dnsproxy]") {
  const auto reads = [](const std::string& bytes) {
    NameBuffer name;
    return WireReader(bytes_of(bytes)).plain_name(name);
  };
  CHECK(reads(wire_name("a.example")));
  CHECK(reads(name_of_labels(127)));
  CHECK_FALSE(reads(name_of_labels(128)));
  CHECK_FALSE(reads("\1a\xc0\x0c"));
  CHECK_FALSE(reads("\1a"));
  CHECK_FALSE(reads(""));
  CHECK_FALSE(reads("\x40" + std::string(64, 'x') + '\0'));
}

TEST_CASE("wire: numbers and runs of bytes stop at the end", "[dnsproxy]") {
  const std::string five("\x01\x02\x03\x04\x05", 5);
  std::uint32_t word = 0;
  std::uint16_t half = 0;
  std::uint8_t byte = 0;
  Bytes rest;
  WireReader reader(bytes_of(five));
  REQUIRE(reader.u32(word));
  CHECK(word == 0x01020304);
  CHECK_FALSE(reader.u16(half));
  CHECK_FALSE(reader.bytes(2, rest));
  REQUIRE(reader.u8(byte));
  CHECK(byte == 5);
  CHECK(reader.at_end());
  CHECK_FALSE(reader.u8(byte));
  CHECK(reader.bytes(0, rest));
}

TEST_CASE("wire: names are equal and below each other by labels, not by bytes", "[dnsproxy]") {
  const auto [parent, child, below] = GENERATE(table<std::string, std::string, bool>({
      {"example.com", "example.com", true},
      {"EXAMPLE.com", "a.Example.COM", true},
      {"example.com", "notexample.com", false},
      {"example.com", "example.com.evil.net", false},
      {"example.com", "com", false},
      {".", "anything.at.all", true},
      {".", ".", true},
  }));
  INFO(parent << " " << child);
  CHECK(is_ancestor(bytes_of(wire_name(parent)), bytes_of(wire_name(child))) == below);
  // "\7example\3com" hidden inside one label
  const std::string sly = std::string("\x0d") + "x\7example\3com" + '\0';
  CHECK_FALSE(is_ancestor(bytes_of(wire_name("example.com")), bytes_of(sly)));
}

TEST_CASE("wire: the writer keeps what fits and says so", "[dnsproxy]") {
  std::array<std::uint8_t, 6> buffer{};
  WireWriter writer(buffer);
  writer.u32(0x01020304);
  CHECK(writer.ok());
  writer.u32(5);
  CHECK_FALSE(writer.ok());
  writer.u8(7);  // not even what would fit: the message is broken off
  CHECK(writer.size() == 4);
  writer.rewind(2);
  CHECK(writer.ok());
  writer.u16(0x0908);
  writer.set_u16(0, 0xffff);
  CHECK(std::string(buffer.begin(), buffer.end()) == std::string("\xff\xff\x09\x08\0\0", 6));
}

}  // namespace
}  // namespace postern::testing
