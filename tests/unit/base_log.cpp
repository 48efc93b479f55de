// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

namespace postern {
namespace {

TEST_CASE("log: printable leaves nothing that a terminal or a JSON string would act on", "[base]") {
  const auto [text, expected] = GENERATE(table<std::string, std::string>({
      {"", ""},
      {"api.example.com 443/tcp ~", "api.example.com 443/tcp ~"},
      {"a\nb", "a\\x0ab"},
      {"\x1b[2J", "\\x1b[2J"},
      {"say \"hi\"", "say \\x22hi\\x22"},
      {"c:\\", "c:\\x5c"},
      {std::string("\0\x7f\xff", 3), "\\x00\\x7f\\xff"},
      {"\xc3\xa9", "\\xc3\\xa9"},
  }));
  CHECK(printable(text) == expected);
}

TEST_CASE("log: every byte becomes printable ASCII", "[base]") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) {
    all += static_cast<char>(byte);
  }
  for (const char c : printable(all)) {
    CHECK((c >= 0x20 && c <= 0x7e && c != '"'));
  }
}

TEST_CASE("log: an unknown level is refused", "[base]") {
  CHECK(start_log("unit", "loud", LogFormat::kText).error().code() == Errc::kInvalid);
  CHECK(start_log("unit", "error", LogFormat::kText));
}

}  // namespace
}  // namespace postern
