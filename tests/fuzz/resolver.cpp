// SPDX-License-Identifier: Apache-2.0
//
// The whole resolver, played by a script: sandboxes ask, the upstream answers or fails, policies change,
// time passes. At every reply each address in it must be open for that sandbox, and no name goes
// upstream that no policy allows.
#include "tests/support/resolver_lab.h"

#include "policies/never_list.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace postern;
using namespace postern::testing;

std::shared_ptr<const WorkerPolicy> policy(std::size_t number) {
  static const std::array all{make_policy({.id = 1, .rules = {{"a.example"}, {"*.b.example", "443 8443"}}}),
                              make_policy({.id = 2,
                                           .rules = {{"*.b.example"}, {"c.*.example", "80"}, {"lookup.example", ""}},
                                           .private_allowed = {"10.0.0.0/8"}}),
                              make_policy({.id = 3, .rules = {}})};
  return all[number % all.size()];
}

/// Every address of the answer section of a reply.
std::vector<Address> addresses_in(Bytes message) {
  WireReader reader(message);
  Bytes head;
  NameBuffer name;
  std::uint16_t type = 0, rclass = 0, length = 0;
  FUZZ_REQUIRE(reader.bytes(kHeaderSize, head));
  std::vector<Address> addresses;
  if (head[5] == 0) {
    FUZZ_REQUIRE(reader.at_end());
    return addresses;
  }
  FUZZ_REQUIRE(reader.plain_name(name) && reader.u16(type) && reader.u16(rclass));
  for (int i = 0; i < (head[6] << 8 | head[7]); ++i) {
    std::uint32_t ttl_s = 0;
    Bytes data;
    FUZZ_REQUIRE(reader.name(name) && reader.u16(type) && reader.u16(rclass) && reader.u32(ttl_s) &&
                 reader.u16(length) && reader.bytes(length, data));
    FUZZ_REQUIRE(ttl_s <= kClientTtlMax);
    if (type == kTypeA || type == kTypeAaaa) {
      addresses.push_back(type == kTypeA ? Address::from_v4(data.data()) : Address::from_v6(data.data()));
    }
  }
  return addresses;
}

bool is_open(const ResolverLab& lab, std::uint32_t sandbox, const Address& address) {
  const auto found = lab.store.grants.find({sandbox, address});
  return found != lab.store.grants.end() &&
         std::ranges::any_of(found->second.slots, [&](const egress_grant_slot& slot) {
           return slot.deadline_boot_ns >= lab.now.ns + 30 * kNsPerS && slot.port_set != 0;
         });
}

void check(ResolverLab& lab) {
  for (; !lab.replies.empty(); lab.replies.pop_front()) {
    const auto& reply = lab.replies.front();
    FUZZ_REQUIRE(reply.client.connection != 0 || reply.message.size() <= kUdpPayload);
    const auto addresses = addresses_in(bytes_of(reply.message));
    FUZZ_REQUIRE(addresses.size() <= Resolver::kAddressesMax);
    std::string lowered = reply.message;
    std::ranges::transform(lowered, lowered.begin(),
                           [](char c) { return static_cast<char>(lower(static_cast<std::uint8_t>(c))); });
    const bool only_lookup = lowered.find("\6lookup\7example") == kHeaderSize;  // its rule opens no port
    for (const Address& address : addresses) {
      FUZZ_REQUIRE(!is_never_allowed(address));
      FUZZ_REQUIRE(only_lookup || is_open(lab, reply.client.sandbox, address));
    }
  }
  for (const auto& asked : lab.asked) {
    const std::string name = text_of(asked.question.wire());
    FUZZ_REQUIRE(name == "a.example" || name == "lookup.example" || name.ends_with(".b.example") ||
                 (name.starts_with("c.") && name.ends_with(".example")));
  }
}

void step(ResolverLab& lab, Input& input) {
  const std::uint8_t what = input.u8();
  const std::uint32_t sandbox = 1 + (what >> 4) % 3;
  const auto any_policy = [&] { return policy(input.u8()); };
  switch (what % 8) {
    case 0:
    case 1: {
      const auto bytes = input.bytes(input.u8());
      lab.resolver.on_query(lab.client_of(sandbox, (what & 8) != 0), bytes, lab.now);
      return;
    }
    case 2:
    case 3: {
      const auto bytes = input.bytes(input.u16() % 2048);
      if (lab.answered < lab.asked.size()) {
        const auto open = lab.asked[lab.answered++];
        const std::string message = u16(1) + u16(0x8180) + u16(1) + u16(input.u8()) + u16(0) + u16(0) +
                                    open.question.name + u16(open.question.type) + u16(1) +
                                    std::string(bytes.begin(), bytes.end());
        Answer answer;
        const auto verdict =
            parse_answer(bytes_of(message), {1, open.question.wire(), true, &open.question}, lab.now, answer);
        if (verdict == AnswerVerdict::kUsable) {
          lab.resolver.on_answer(open.ticket, std::move(answer), lab.now);
        } else {
          lab.resolver.on_failure(open.ticket, UpstreamFailure::kFailed, lab.now);
        }
      }
      return;
    }
    case 4:
      lab.resolver.set_sandbox(
          {.id = sandbox, .policy = any_policy(), .generation = 1, .staged = {}, .staged_generation = 0, .search = {}},
          lab.now);
      return;
    case 5:
      lab.resolver.set_sandbox({.id = sandbox,
                                .policy = any_policy(),
                                .generation = 1,
                                .staged = any_policy(),
                                .staged_generation = 2,
                                .search = {}},
                               lab.now);
      return;
    case 6:
      lab.pass_s(input.u8());
      lab.resolver.expire_held(lab.now);
      lab.grants.purge(lab.now);
      return;
    default:
      lab.store.writes_until_full = (what & 8) != 0 ? 2 : -1;
      if ((what & 0xc0) == 0xc0) {
        lab.resolver.remove_sandbox(sandbox);
      }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ResolverLab lab;
  for (std::uint32_t sandbox = 1; sandbox <= 2; ++sandbox) {
    lab.resolver.set_sandbox({.id = sandbox,
                              .policy = policy(sandbox - 1),
                              .generation = 1,
                              .staged = {},
                              .staged_generation = 0,
                              .search = {}},
                             lab.now);
  }
  for (Input input(data, size); !input.empty();) {
    step(lab, input);
    check(lab);
  }
  return 0;
}
