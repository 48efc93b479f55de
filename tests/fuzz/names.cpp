// SPDX-License-Identifier: Apache-2.0
//
// Names from text and from wire, their text, the reverse trees, and patterns against names.
#include "dnsproxy/arpa.h"
#include "dnsproxy/wire.h"
#include "policies/denial.h"
#include "policies/name_matcher.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace postern;

void use(const DnsName& name) {
  FUZZ_REQUIRE(name.wire().size() <= kNameMax && name.label_count() <= 127);
  FUZZ_REQUIRE(name.is_equal_or_below(name.parent()) && name.is_equal_or_below(DnsName()));
  FUZZ_REQUIRE(is_ancestor(name.parent().wire(), name.wire()));
  FUZZ_REQUIRE(DnsName::from_wire(name.wire()).value() == name);
  static_cast<void>(address_from_arpa(name.wire()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  testing::Input input(data, size);
  const auto first = input.bytes(input.u8());
  const auto second = input.rest();
  const auto pattern = DnsName::from_text({reinterpret_cast<const char*>(first.data()), first.size()});
  if (pattern) {
    use(*pattern);
    FUZZ_REQUIRE(DnsName::from_text(pattern->text()).value() == *pattern);
  }
  // Any bytes are safe to print, and what is printed is safe anywhere.
  for (const char c : text_of(second)) {
    FUZZ_REQUIRE(c >= 0x20 && c <= 0x7e);
  }
  const auto asked = DnsName::from_wire(second);
  if (asked) {
    use(*asked);
  }
  const auto dialect = static_cast<Dialect>(size % 4);
  const auto rule = NamePattern::parse({reinterpret_cast<const char*>(first.data()), first.size()}, dialect);
  if (rule) {
    FUZZ_REQUIRE(NamePattern::from_wire(rule->labels().wire(), rule->below()).value() == *rule);
    FUZZ_REQUIRE(rule->covers(*rule));
  }
  if (rule && asked) {
    NameMatcher matcher;
    matcher.add(*rule, 5);
    matcher.freeze();
    const NameMatch match = matcher.match(asked->wire());
    FUZZ_REQUIRE(match.count <= 1 && (match.count == 0 || match.rules[0] == 5));
    FUZZ_REQUIRE(match.matched() == rule->matches(asked->wire()));
    FUZZ_REQUIRE(!rule->is_exact() || match.matched() == (rule->labels() == *asked));
    FUZZ_REQUIRE(!match.matched() || answer_for(asked->wire(), match, {}) == NameAnswer::kAllow);
  }
  return 0;
}
