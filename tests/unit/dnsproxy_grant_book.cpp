// SPDX-License-Identifier: Apache-2.0
//
// Grants: slots and who shares them, times that only grow, room, and taking over after a restart.
#include "dnsproxy/grant_book.h"

#include <catch2/catch_test_macros.hpp>

#include "tests/support/resolver_lab.h"

namespace postern::testing {
namespace {

constexpr BootNs kNow{1000 * kNsPerS};
constexpr std::uint32_t kSandbox = 5;

BootNs in_s(std::uint64_t seconds) { return kNow + seconds * kNsPerS; }

/// A claim of a rule with the port set `ports`; all rules of one port set are one group.
struct Claim {
  std::string name = "a.example";
  std::uint32_t rule = 1;
  std::uint32_t ports = 10;
  std::uint64_t until_s = 100;
  std::uint32_t generation = 1;
};

struct Book {
  FakeStore store;
  GrantBook book{store, 3, 0x123456};
  Address address = Address::parse("192.0.2.1").value();

  Book() { book.add_sandbox(kSandbox); }
  Result<> allow(const Claim& claim, BootNs now = kNow) {
    const std::string wire = wire_name(claim.name);
    return book.allow(
        kSandbox, address,
        {bytes_of(wire), claim.rule, 0x80000000 | claim.ports, claim.ports, claim.generation, in_s(claim.until_s)},
        now);
  }
  const egress_grant& grant() const { return store.grants.at({kSandbox, address}); }
  /// "a.example 1 10", or "* 1 10" for a slot of the rule, by slot.
  std::vector<std::string> slots() const {
    std::vector<std::string> all;
    for (const egress_grant_slot& slot : grant().slots) {
      if (slot.deadline_boot_ns != 0) {
        const auto name = store.names.find(slot.name);
        const std::string text = slot.name == 0 ? "*" : text_of({name->second.wire, name->second.length});
        const std::string rule =
            (slot.rule & 0x80000000) != 0 ? "g" + std::to_string(slot.rule & 0xffff) : std::to_string(slot.rule);
        all.push_back(text + " " + rule + " " + std::to_string(slot.port_set));
      }
    }
    return all;
  }
  std::uint64_t until_s(int slot) const { return (grant().slots[slot].deadline_boot_ns - kNow.ns) / kNsPerS; }
};

using Texts = std::vector<std::string>;

TEST_CASE("grants: a slot for each name and rule", "[dnsproxy]") {
  Book book;
  REQUIRE(book.allow({}));
  REQUIRE(book.allow({.rule = 2, .ports = 20}));
  REQUIRE(book.allow({.name = "b.example"}));
  CHECK(book.slots() == Texts{"a.example 1 10", "a.example 2 20", "b.example 1 10"});
  CHECK(book.grant().slots[0].name >> 24 == 3);  // the worker's number
  CHECK(book.grant().slots[0].name == book.grant().slots[1].name);
}

TEST_CASE("grants: time is only ever extended", "[dnsproxy]") {
  Book book;
  REQUIRE(book.allow({.until_s = 100}));
  REQUIRE(book.allow({.until_s = 50}));
  CHECK(book.until_s(0) == 100);
  REQUIRE(book.allow({.until_s = 200}));
  CHECK(book.until_s(0) == 200);
  REQUIRE(book.allow({.name = "b.example", .until_s = 10}));
  CHECK(book.until_s(0) == 200);
  CHECK(book.until_s(1) == 10);
}

TEST_CASE("grants: what the kernel has already is not written again", "[dnsproxy]") {
  Book book;
  REQUIRE(book.allow({.until_s = 100}));
  REQUIRE(book.allow({.until_s = 100}));
  REQUIRE(book.allow({.until_s = 20}));
  CHECK(book.store.writes == 1);
  REQUIRE(book.allow({.until_s = 20, .generation = 2}));
  CHECK(book.store.writes == 2);
  CHECK(book.grant().slots[0].generation == 2);
}

TEST_CASE("grants: an expired slot is used again, and its name freed", "[dnsproxy]") {
  Book book;
  for (const char* name : {"a.example", "b.example", "c.example", "d.example"}) {
    REQUIRE(book.allow({.name = name, .until_s = 100}));
  }
  REQUIRE(book.allow({.name = "e.example", .until_s = 300}, in_s(100)));
  CHECK(book.slots() == Texts{"e.example 1 10", "b.example 1 10", "c.example 1 10", "d.example 1 10"});
  CHECK(book.book.stats().merged == 0);
}

TEST_CASE("grants: with every slot taken, a rule's names share one", "[dnsproxy]") {
  Book book;
  for (int i = 0; i < 4; ++i) {
    REQUIRE(book.allow({.name = "n" + std::to_string(i) + ".example", .until_s = 100 + static_cast<std::uint64_t>(i)}));
  }
  REQUIRE(book.allow({.name = "n4.example", .until_s = 50}));
  CHECK(book.slots() == Texts{"* 1 10", "n1.example 1 10", "n2.example 1 10", "n3.example 1 10"});
  CHECK(book.until_s(0) == 100);  // the name that had it keeps its time
  CHECK(book.book.stats().merged == 1);
  REQUIRE(book.allow({.name = "n5.example", .until_s = 400}));
  CHECK(book.slots() == Texts{"* 1 10", "n1.example 1 10", "n2.example 1 10", "n3.example 1 10"});
  CHECK(book.until_s(0) == 400);
}

TEST_CASE("grants: else all rules with the same ports share one", "[dnsproxy]") {
  Book book;
  for (std::uint32_t rule = 1; rule <= 4; ++rule) {
    REQUIRE(book.allow({.rule = rule}));
  }
  REQUIRE(book.allow({.name = "b.example", .rule = 5}));
  CHECK(book.slots() == Texts{"* g10 10", "a.example 2 10", "a.example 3 10", "a.example 4 10"});
  REQUIRE(book.allow({.name = "c.example", .rule = 6}));
  CHECK(book.slots()[0] == "* g10 10");
}

TEST_CASE("grants: and else the claim is refused, so that the lookup fails instead of its connection", "[dnsproxy]") {
  Book book;
  for (std::uint32_t rule = 1; rule <= 4; ++rule) {
    REQUIRE(book.allow({.rule = rule, .ports = rule * 10}));
  }
  CHECK(book.allow({.rule = 5, .ports = 50}).error().code() == Errc::kFull);
  CHECK(book.slots() == Texts{"a.example 1 10", "a.example 2 20", "a.example 3 30", "a.example 4 40"});
  CHECK(book.book.stats().refused == 1);
  REQUIRE(book.allow({.rule = 5, .ports = 50, .until_s = 300}, in_s(100)));  // once they have expired
}

TEST_CASE("grants: a merged slot does not carry a removed rule's time into a new image", "[dnsproxy]") {
  Book book;
  for (std::uint32_t rule = 1; rule <= 4; ++rule) {
    REQUIRE(book.allow({.rule = rule, .until_s = 3000}));
  }
  REQUIRE(book.allow({.name = "b.example", .rule = 5, .until_s = 60, .generation = 2}));
  CHECK(book.slots()[0] == "* g10 10");
  CHECK(book.until_s(0) == 60);
  CHECK(book.grant().slots[0].generation == 2);
}

TEST_CASE("grants: names whose slots are gone are forgotten, others stay", "[dnsproxy]") {
  Book book;
  REQUIRE(book.allow({}));
  CHECK(book.book.names_of(kSandbox, book.address, kNow) == Texts{wire_name("a.example")});
  REQUIRE(book.allow({.name = "b.example", .until_s = 500}));
  CHECK(book.book.names_of(kSandbox, book.address, in_s(100)) == Texts{wire_name("b.example")});
  CHECK(book.book.names_of(kSandbox + 1, book.address, kNow).empty());
  CHECK(book.book.names_of(kSandbox, Address::parse("192.0.2.2").value(), kNow).empty());
}

TEST_CASE("grants: name ids that are taken are stepped over", "[dnsproxy]") {
  Book book;
  for (std::uint32_t i = 1; i <= 20; ++i) {
    book.store.names[3u << 24 | (0x123456 + i)] = {};
  }
  REQUIRE(book.allow({}));
  CHECK(book.grant().slots[0].name == (3u << 24 | (0x123456 + 21)));
  for (std::uint32_t i = 22; i <= 22 + 70; ++i) {
    book.store.names[3u << 24 | (0x123456 + i)] = {};
  }
  CHECK(book.allow({.name = "b.example"}).error().code() == Errc::kFull);
}

TEST_CASE("grants: ids go round and are never 0", "[dnsproxy]") {
  FakeStore store;
  GrantBook book(store, 1, 0xfffffe);
  book.add_sandbox(kSandbox);
  for (int i = 0; i < 4; ++i) {
    const std::string name = wire_name("n" + std::to_string(i));
    REQUIRE(book.allow(kSandbox, Address{}, {bytes_of(name), 1, 2, 3, 1, in_s(100)}, kNow));
  }
  CHECK(store.names.contains(0x1ffffff));
  CHECK(store.names.contains(0x1000001));
  CHECK_FALSE(store.names.contains(0x1000000));
}

TEST_CASE("grants: a sandbox that is not known, or gone", "[dnsproxy]") {
  Book book;
  book.book.remove_sandbox(kSandbox);
  CHECK(book.allow({}).error().code() == Errc::kNotFound);
  book.book.add_sandbox(kSandbox);
  CHECK(book.allow({}));
}

TEST_CASE("grants: a write that fails leaves nothing that the kernel does not have", "[dnsproxy]") {
  Book book;
  REQUIRE(book.allow({}));
  book.store.writes_until_full = 0;
  CHECK_FALSE(book.allow({.name = "b.example"}));
  book.store.writes_until_full = -1;
  REQUIRE(book.allow({.name = "c.example"}));
  CHECK(book.slots() == Texts{"a.example 1 10", "c.example 1 10"});
  CHECK(book.book.names_of(kSandbox, book.address, kNow) ==
        Texts{wire_name("c.example")});  // the other is a predecessor's now
  book.store.refuse_names = true;
  book.address = Address::parse("192.0.2.9").value();
  CHECK_FALSE(book.allow({.name = "d.example"}));
  book.store.refuse_names = false;
  CHECK(book.allow({.name = "d.example"}));
}

/// The i-th of many addresses.
Address nth_address(std::uint32_t i) {
  const std::array<std::uint8_t, 4> v4{198, static_cast<std::uint8_t>(51 + (i >> 16)),
                                       static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
  return Address::from_v4(v4.data());
}

TEST_CASE("grants: a quota of addresses; expired ones make room", "[dnsproxy]") {
  Book book;
  for (std::uint32_t i = 0; i < EGRESS_GRANTS_MAX; ++i) {
    book.address = nth_address(i);
    REQUIRE(book.allow({.until_s = i == 17 ? 50u : i == 18 ? 55u : 100u}));
  }
  book.address = Address::parse("192.0.2.1").value();
  CHECK(book.allow({}).error().code() == Errc::kFull);
  CHECK(book.allow({.until_s = 300}, in_s(60)));
  CHECK(book.store.grants.size() == EGRESS_GRANTS_MAX);
  CHECK_FALSE(book.store.grants.contains({kSandbox, nth_address(17)}));  // the one that ended first
  CHECK(book.store.grants.contains({kSandbox, nth_address(18)}));        // stays for the flow log
}

TEST_CASE("grants: a book held full of live grants costs no lookup a walk through it", "[dnsproxy]") {
  Book book;
  for (std::uint32_t i = 0; i < EGRESS_GRANTS_MAX; ++i) {
    book.address = nth_address(i);
    REQUIRE(book.allow({.until_s = 100}));
  }
  const auto ask_for_room = [&](std::uint32_t times, std::uint64_t at_s) {
    const std::uint64_t before = book.book.stats().looks;
    for (std::uint32_t i = 0; i < times; ++i) {
      book.address = nth_address(EGRESS_GRANTS_MAX + i);
      CHECK(book.allow({.until_s = 1000}, in_s(at_s)).error().code() == Errc::kFull);
    }
    return book.book.stats().looks - before;
  };
  CHECK(ask_for_room(1000, 0) == 0);
  for (std::uint32_t i = 0; i < EGRESS_GRANTS_MAX; ++i) {
    book.address = nth_address(i);
    REQUIRE(book.allow({.until_s = 500}, in_s(50)));
  }
  CHECK(ask_for_room(1000, 99) == 0);
  CHECK(ask_for_room(1000, 100) == EGRESS_GRANTS_MAX);  // once for each that was extended
  CHECK(ask_for_room(1000, 499) == 0);
}

TEST_CASE("grants: each that ends makes room for one, at the cost of one look", "[dnsproxy]") {
  Book book;
  for (std::uint32_t i = 0; i < EGRESS_GRANTS_MAX; ++i) {
    book.address = nth_address(i);
    REQUIRE(book.allow({.until_s = 100 + i}));
  }
  for (std::uint32_t i = 0; i < 1000; ++i) {
    book.address = nth_address(EGRESS_GRANTS_MAX + i);
    REQUIRE(book.allow({.until_s = 100000}, in_s(100 + i)));
    REQUIRE_FALSE(book.store.grants.contains({kSandbox, nth_address(i)}));
  }
  CHECK(book.book.stats().looks == 1000);
  CHECK(book.store.grants.size() == EGRESS_GRANTS_MAX);
}

TEST_CASE("grants: one whose end came nearer makes room at its new end", "[dnsproxy]") {
  Book book;
  for (std::uint32_t i = 1; i < EGRESS_GRANTS_MAX; ++i) {
    book.address = nth_address(i);
    REQUIRE(book.allow({.until_s = 5000}));
  }
  book.address = nth_address(0);
  REQUIRE(book.allow({.rule = 1, .until_s = 3000}));
  for (std::uint32_t rule = 2; rule <= 4; ++rule) {
    REQUIRE(book.allow({.rule = rule, .until_s = 40}));
  }
  // The slot of rule 1 goes over to the group, without the time of a rule that the new image may lack.
  REQUIRE(book.allow({.name = "b.example", .rule = 5, .until_s = 60, .generation = 2}));
  REQUIRE(book.until_s(0) == 60);
  book.address = nth_address(EGRESS_GRANTS_MAX);
  CHECK(book.allow({.until_s = 5000}, in_s(59)).error().code() == Errc::kFull);
  CHECK(book.allow({.until_s = 5000}, in_s(60)));
  CHECK_FALSE(book.store.grants.contains({kSandbox, nth_address(0)}));
}

TEST_CASE("grants: a restarted worker takes over what the kernel holds", "[dnsproxy]") {
  Book old;
  REQUIRE(old.allow({.until_s = 100}));
  REQUIRE(old.allow({.name = "b.example", .rule = 2, .ports = 20, .until_s = 500}));
  Book fresh;
  fresh.store.grants = old.store.grants;
  fresh.store.names = old.store.names;
  REQUIRE(fresh.allow({.name = "c.example", .until_s = 80}));  // before it has been adopted
  CHECK(fresh.slots() == Texts{"a.example 1 10", "b.example 2 20", "c.example 1 10"});
  CHECK(fresh.until_s(1) == 500);
  while (fresh.book.adopt_some()) {
  }
  CHECK(fresh.slots().size() == 3);
}

TEST_CASE("grants: adoption goes in steps, and what was adopted is purged in time", "[dnsproxy]") {
  Book old;
  for (int i = 0; i < 600; ++i) {
    old.address = nth_address(static_cast<std::uint32_t>(i));
    REQUIRE(old.allow({}));
  }
  Book fresh;
  fresh.store.grants = old.store.grants;
  int steps = 1;
  while (fresh.book.adopt_some()) {
    ++steps;
  }
  CHECK(steps == 3);
  fresh.book.purge(in_s(100 + GrantBook::kExpiredKeptS - 1));
  CHECK(fresh.store.grants.size() == 600);
  fresh.book.purge(in_s(100 + GrantBook::kExpiredKeptS));
  CHECK(fresh.store.grants.empty());
}

TEST_CASE("grants: a map that was replaced by an empty one is not taken for the old one", "[dnsproxy]") {
  Book book;
  REQUIRE(book.allow({}));
  book.book.add_sandbox(kSandbox);  // told again, as at every policy change: nothing is forgotten
  CHECK(book.book.names_of(kSandbox, book.address, kNow).size() == 1);
  book.store.grants.clear();
  book.book.add_sandbox(kSandbox);
  CHECK(book.book.names_of(kSandbox, book.address, kNow).empty());
  REQUIRE(book.allow({}));
  CHECK(book.store.grants.size() == 1);
}

TEST_CASE("grants: each purge takes the next sandbox", "[dnsproxy]") {
  Book book;
  const std::string name = wire_name("a.example");
  for (std::uint32_t sandbox = 1; sandbox <= 3; ++sandbox) {
    book.book.add_sandbox(sandbox);
    REQUIRE(book.book.allow(sandbox, book.address, {bytes_of(name), 1, 2, 3, 1, in_s(10)}, kNow));
  }
  for (std::size_t left = 3; left-- > 0;) {
    book.book.purge(in_s(1000));
    CHECK(book.store.grants.size() == left);
  }
}

TEST_CASE("grants: a purge is bounded; what it leaves, later ones take", "[dnsproxy]") {
  Book book;
  for (std::uint32_t i = 0; i < 3000; ++i) {
    book.address = nth_address(i);
    REQUIRE(book.allow({}));
  }
  book.book.purge(in_s(1000));
  CHECK(book.store.grants.size() == 3000 - 1024);
  book.book.purge(in_s(1000));
  book.book.purge(in_s(1000));
  CHECK(book.store.grants.empty());
}

TEST_CASE("grants: purging spares what one name still holds, and tries again what cannot be erased", "[dnsproxy]") {
  Book book;
  REQUIRE(book.allow({.until_s = 10}));
  REQUIRE(book.allow({.name = "b.example", .until_s = 5000}));
  book.book.purge(in_s(1000));
  CHECK(book.store.grants.size() == 1);
  book.store.refuse_erase = true;
  book.book.purge(in_s(9000));
  CHECK(book.store.grants.size() == 1);
  book.store.refuse_erase = false;
  book.book.purge(in_s(9000));
  CHECK(book.store.grants.empty());
  CHECK(book.book.names_of(kSandbox, book.address, kNow).empty());
}

}  // namespace
}  // namespace postern::testing
