// SPDX-License-Identifier: Apache-2.0
#include "agent/sandbox/pod_pairing.h"

#include <catch2/catch_test_macros.hpp>

namespace postern {
namespace {

using Kind = PairingStep::Kind;

constexpr std::uint32_t kLink = 7;
constexpr std::uint32_t kOther = 8;

Address address(const char* text) { return Address::parse(text).value(); }

PairingPod pod(const char* name, ScopeAnswer scope, const char* ip = nullptr, const char* policy = "ns/agent") {
  PairingPod made;
  made.ref = {std::string("uid-") + name, "ns", name};
  made.scope = scope;
  made.policy = scope == ScopeAnswer::kIn ? policy : "";
  if (ip != nullptr) {
    made.addresses.push_back(address(ip));
  }
  return made;
}

PairingLink link(std::uint32_t ifindex, const char* ip = nullptr, bool young = true) {
  PairingLink made;
  made.ifindex = ifindex;
  made.young = young;
  if (ip != nullptr) {
    made.addresses.push_back(address(ip));
  }
  return made;
}

/// Held while these pods waited.
PairingSandbox held(std::uint32_t ifindex, std::vector<std::string> suspects = {}) {
  return {1, ifindex, {}, "", true, std::move(suspects)};
}

PairingSandbox of_pod(std::uint32_t ifindex, const char* name, const char* policy = "ns/agent") {
  return {1, ifindex, {std::string("uid-") + name, "ns", name}, policy, false, {}};
}

PairingWorld world(std::vector<PairingPod> pods,
                   std::vector<PairingLink> links,
                   std::vector<PairingSandbox> sandboxes = {}) {
  PairingWorld made;
  made.ready = true;
  made.any_policy = true;
  made.pods = std::move(pods);
  made.links = std::move(links);
  made.sandboxes = std::move(sandboxes);
  return made;
}

/// "hold 7", "attach 7 a", "take 7 a", "assign 7 a", "release 7"; several with a comma; "" for none.
std::string steps(const PairingWorld& of) {
  std::string text;
  for (const PairingStep& step : pair_pods(of).steps) {
    constexpr const char* kWords[] = {"attach", "hold", "take", "assign", "release"};
    text += (text.empty() ? "" : ", ") + std::string(kWords[static_cast<int>(step.kind)]) + " " +
            std::to_string(step.ifindex) + (step.pod ? " " + of.pods[*step.pod].ref.name : "");
  }
  return text;
}

constexpr auto kIn = ScopeAnswer::kIn;
constexpr auto kOut = ScopeAnswer::kOut;
constexpr auto kUnknown = ScopeAnswer::kUnknown;

TEST_CASE("pairing: a pod's address decides", "[agent]") {
  CHECK(steps(world({pod("a", kIn, "10.0.0.2")}, {link(kLink, "10.0.0.2")})) == "attach 7 a");
  CHECK(steps(world({pod("a", kIn, "10.0.0.2")}, {link(kLink, "10.0.0.2", false)})) == "attach 7 a");
  CHECK(steps(world({pod("a", kOut, "10.0.0.2")}, {link(kLink, "10.0.0.2")})).empty());
  CHECK(steps(world({pod("a", kIn, "10.0.0.2"), pod("b", kIn, "10.0.0.3", "ns/b")},
                    {link(kLink, "10.0.0.3"), link(kOther, "10.0.0.2")})) == "attach 7 b, attach 8 a");
}

TEST_CASE("pairing: any one address of a dual-stack pod is enough", "[agent]") {
  PairingPod dual = pod("a", kIn, "10.0.0.2");
  dual.addresses.push_back(address("fd00::2"));
  CHECK(steps(world({dual}, {link(kLink, "fd00::2")})) == "attach 7 a");
}

TEST_CASE("pairing: a pod's sandbox stays as it is while nothing changes", "[agent]") {
  const auto settled = world({pod("a", kIn, "10.0.0.2")}, {link(kLink, "10.0.0.2", false)}, {of_pod(kLink, "a")});
  CHECK(steps(settled).empty());
  const PairingPlan plan = pair_pods(settled);
  CHECK(plan.in_scope == 1);
  CHECK(plan.attached == 1);
  CHECK(plan.waiting.empty());
  CHECK(plan.held == 0);
}

TEST_CASE("pairing: a sandbox on record is its pod's, whatever addresses are seen", "[agent]") {
  // gVisor takes the addresses off the interface.
  CHECK(steps(world({pod("a", kIn, "10.0.0.2")}, {link(kLink)}, {of_pod(kLink, "a")})).empty());
}

TEST_CASE("pairing: other labels are another policy", "[agent]") {
  CHECK(steps(world({pod("a", kIn, "10.0.0.2", "ns/other")}, {link(kLink, "10.0.0.2")}, {of_pod(kLink, "a")})) ==
        "assign 7 a");
}

TEST_CASE("pairing: what no policy selects is let go, or denied where that is strict", "[agent]") {
  auto unselected = world({pod("a", kIn, "10.0.0.2", "")}, {link(kLink, "10.0.0.2")}, {of_pod(kLink, "a")});
  CHECK(steps(unselected) == "release 7");
  CHECK(pair_pods(unselected).unselected == 1);
  CHECK(pair_pods(unselected).open == std::vector<std::uint32_t>{kLink});
  unselected.ready = false;
  CHECK(steps(unselected).empty());
  unselected.strict = true;
  unselected.ready = true;
  CHECK(steps(unselected) == "assign 7 a");
  unselected.sandboxes = {of_pod(kLink, "a", "")};
  CHECK(steps(unselected).empty());
  unselected.sandboxes = {};
  CHECK(steps(unselected) == "attach 7 a");
}

TEST_CASE("pairing: before the first policy new pods are held, and nothing in scope is let go", "[agent]") {
  auto early = world({pod("a", kIn, "10.0.0.2", "")}, {link(kLink, "10.0.0.2", true)});
  early.any_policy = false;
  CHECK(steps(early) == "hold 7 a");
  early.sandboxes = {held(kLink)};
  CHECK(steps(early).empty());
  early.sandboxes = {of_pod(kLink, "a", "")};
  CHECK(steps(early).empty());
  CHECK(pair_pods(early).unselected == 0);
  // One that ran before goes on as it is; strict denies it as ever.
  early.sandboxes = {};
  early.links = {link(kLink, "10.0.0.2", false)};
  CHECK(steps(early).empty());
  early.strict = true;
  CHECK(steps(early) == "attach 7 a");
  // What is out of scope needs no policy to be let go.
  auto left = world({pod("a", kOut, "10.0.0.2")}, {link(kLink, "10.0.0.2")}, {of_pod(kLink, "a")});
  left.any_policy = false;
  CHECK(steps(left) == "release 7");
}

TEST_CASE("pairing: a namespace that is out of scope now lets its pods go, once that is known", "[agent]") {
  auto left = world({pod("a", kOut, "10.0.0.2")}, {link(kLink, "10.0.0.2")}, {of_pod(kLink, "a")});
  CHECK(steps(left) == "release 7");
  left.ready = false;
  CHECK(steps(left).empty());
}

TEST_CASE("pairing: a namespace that is not told yet changes nothing", "[agent]") {
  CHECK(steps(world({pod("a", kUnknown, "10.0.0.2")}, {link(kLink, "10.0.0.2")}, {of_pod(kLink, "a")})).empty());
  CHECK(steps(world({pod("a", kUnknown, "10.0.0.2")}, {link(kLink, "10.0.0.2")}, {held(kLink)})).empty());
  CHECK(steps(world({pod("a", kUnknown, "10.0.0.2")}, {link(kLink, "10.0.0.2")})).empty());
}

TEST_CASE("pairing: a pod that is gone or finished stays shut until its interface goes", "[agent]") {
  CHECK(steps(world({}, {link(kLink, "10.0.0.2")}, {of_pod(kLink, "a")})).empty());
  CHECK(steps(world({pod("b", kIn)}, {link(kLink, "10.0.0.2")}, {of_pod(kLink, "a")})).empty());
}

TEST_CASE("pairing: the sandbox of a pod that is gone becomes nobody else's", "[agent]") {
  for (const ScopeAnswer scope : {kIn, kOut, kUnknown}) {
    // By the address, which may be given again, or told falsely; by the CNI's word; by the name, made again.
    CHECK(steps(world({pod("b", scope, "10.0.0.2", "ns/b")}, {link(kLink, "10.0.0.2")}, {of_pod(kLink, "a")})).empty());
    PairingLink hinted = link(kLink, "10.0.0.2");
    hinted.hint = PairingHint{{"uid-b", "ns", "b"}, scope};
    CHECK(steps(world({pod("b", scope, "10.0.0.2", "ns/b")}, {hinted}, {of_pod(kLink, "a")})).empty());
    CHECK(steps(world({}, {hinted}, {of_pod(kLink, "a")})).empty());
    PairingPod again = pod("a", scope, "10.0.0.2", "ns/again");
    again.ref.uid = "uid-again";
    hinted.hint = PairingHint{{"uid-a", "ns", "a"}, scope};
    CHECK(steps(world({again}, {hinted}, {of_pod(kLink, "a")})).empty());
    CHECK(steps(world({again}, {link(kLink, "10.0.0.2")}, {of_pod(kLink, "a")})).empty());
  }
}

TEST_CASE("pairing: a static pod that is told anew keeps its interface", "[agent]") {
  PairingPod again = pod("a", kIn, "10.0.0.2", "ns/again");
  again.ref.uid = "uid-again";
  again.static_uid = "uid-kubelet";
  CHECK(steps(world({again}, {link(kLink, "10.0.0.2")}, {of_pod(kLink, "a")})) == "take 7 a");
  PairingLink hinted = link(kLink, "10.0.0.2");
  hinted.hint = PairingHint{{"uid-kubelet", "ns", "a"}, kIn};
  CHECK(steps(world({again}, {hinted}, {of_pod(kLink, "a")})) == "take 7 a");
  // Another static pod of that name, or of another, is another.
  hinted.hint->pod.uid = "uid-before";
  CHECK(steps(world({again}, {hinted}, {of_pod(kLink, "a")})).empty());
  CHECK(steps(world({again}, {link(kLink, "10.0.0.3")}, {of_pod(kLink, "a")})).empty());
  again.ref.name = "b";
  CHECK(steps(world({again}, {link(kLink, "10.0.0.2")}, {of_pod(kLink, "a")})).empty());
}

TEST_CASE("pairing: a new interface is held when only a scoped pod waits for one", "[agent]") {
  CHECK(steps(world({pod("a", kIn)}, {link(kLink)})) == "hold 7");
  CHECK(steps(world({pod("a", kIn)}, {link(kLink, "10.0.0.2")})) == "hold 7");
  CHECK(steps(world({pod("a", kIn), pod("b", kIn)}, {link(kLink), link(kOther)})) == "hold 7, hold 8");
  // Made again: its old address is still told.
  CHECK(steps(world({pod("a", kIn, "10.0.0.9")}, {link(kLink, "10.0.0.2")})) == "hold 7");
}

TEST_CASE("pairing: nothing is held when nobody in scope waits, or somebody else may", "[agent]") {
  CHECK(steps(world({}, {link(kLink)})).empty());
  CHECK(steps(world({pod("b", kOut)}, {link(kLink)})).empty());
  CHECK(steps(world({pod("a", kIn), pod("b", kOut)}, {link(kLink)})).empty());
  CHECK(steps(world({pod("a", kIn), pod("b", kUnknown)}, {link(kLink)})).empty());
  CHECK(steps(world({pod("b", kUnknown)}, {link(kLink)})).empty());
  CHECK(steps(world({pod("a", kIn, "10.0.0.2")}, {link(kLink, "10.0.0.2"), link(kOther)})) == "attach 7 a");
}

TEST_CASE("pairing: a pod out of scope whose address is known waits for no other interface", "[agent]") {
  CHECK(steps(world({pod("a", kIn), pod("b", kOut, "10.0.0.3")}, {link(kLink)})) == "hold 7");
}

TEST_CASE("pairing: an interface that was there long before is not held", "[agent]") {
  CHECK(steps(world({pod("a", kIn)}, {link(kLink, nullptr, false)})).empty());
}

TEST_CASE("pairing: what is held becomes its pod's, or is let go", "[agent]") {
  CHECK(steps(world({pod("a", kIn)}, {link(kLink)}, {held(kLink)})).empty());
  CHECK(steps(world({pod("a", kIn, "10.0.0.2")}, {link(kLink, "10.0.0.2")}, {held(kLink)})) == "take 7 a");
  CHECK(steps(world({pod("a", kIn, "10.0.0.2", "")}, {link(kLink, "10.0.0.2")}, {held(kLink)})) == "release 7");
  CHECK(steps(world({pod("b", kOut, "10.0.0.2")}, {link(kLink, "10.0.0.2")}, {held(kLink)})) == "release 7");
}

TEST_CASE("pairing: what is held is let go when everybody it was held for is known to be elsewhere", "[agent]") {
  const PairingLink suspect = link(kLink, "10.0.0.5");
  const auto with = [&](std::vector<PairingPod> pods, std::vector<std::string> suspects) {
    return steps(world(std::move(pods), {link(kOther, "10.0.0.2"), suspect},
                       {of_pod(kOther, "a"), held(kLink, std::move(suspects))}));
  };
  const PairingPod a = pod("a", kIn, "10.0.0.2");
  CHECK(with({a}, {"uid-a"}) == "release 7");
  CHECK(with({a, pod("b", kOut)}, {"uid-a", "uid-b"}) == "release 7");  // b's namespace has left the scope
  // A pod that is gone may run on behind it for a while, and so may one that is told to have ended.
  CHECK(with({a}, {"uid-a", "uid-gone"}).empty());
  CHECK(steps(world({}, {suspect}, {held(kLink, {"uid-gone"})})).empty());
  CHECK(with({a, pod("b", kIn)}, {"uid-a", "uid-b"}).empty());
  // After a restart it is not known for whom it was held.
  CHECK(with({a}, {}).empty());
}

TEST_CASE("pairing: a pod out of scope lets nothing go that cannot be its own", "[agent]") {
  PairingLink came = link(kLink, "10.0.0.2");
  came.seen_unix_s = 1'000;
  PairingPod b = pod("b", kOut, "10.0.0.2");
  b.started_unix_s = 1'000;
  CHECK(steps(world({b}, {came}, {held(kLink, {"uid-a"})})) == "release 7");
  // It began after the interface came: the address was another's before.
  b.started_unix_s = 1'005;
  CHECK(steps(world({b}, {came}, {held(kLink, {"uid-a"})})).empty());
  CHECK(steps(world({pod("a", kIn), b}, {came})) == "hold 7");
  // Nor does one in scope that no policy selects.
  PairingPod unselected = pod("c", kIn, "10.0.0.2", "");
  CHECK(steps(world({unselected}, {came}, {held(kLink, {"uid-a"})})) == "release 7");
  unselected.started_unix_s = 1'005;
  CHECK(steps(world({unselected}, {came}, {held(kLink, {"uid-a"})})).empty());
  // Another interface has that address too, or is known to be its own.
  b.started_unix_s = 1'000;
  CHECK(steps(world({b}, {came, link(kOther, "10.0.0.2", false)}, {held(kLink, {"uid-a"})})).empty());
  PairingLink hinted = link(kOther, "10.0.0.9", false);
  hinted.hint = PairingHint{{"uid-b", "out", "b"}, kOut};
  CHECK(steps(world({b}, {came, hinted}, {held(kLink, {"uid-a"})})).empty());
  // Nor is it let go because nobody in scope waits any more.
  const auto told = world({b, pod("a", kIn, "10.0.0.7")}, {came, link(kOther, "10.0.0.2", false), link(9, "10.0.0.7")},
                          {held(kLink, {"uid-a"}), of_pod(9, "a")});
  CHECK(steps(told).empty());
}

TEST_CASE("pairing: a second pod that comes while one is held opens nothing", "[agent]") {
  CHECK(steps(world({pod("a", kIn), pod("b", kOut)}, {link(kLink)}, {held(kLink)})).empty());
  CHECK(steps(world({pod("a", kUnknown)}, {link(kLink)}, {held(kLink)})).empty());
}

TEST_CASE("pairing: before all is known scoped pods are held, and nothing of theirs is opened", "[agent]") {
  auto early = world({pod("a", kIn, "10.0.0.2", "")}, {link(kLink, "10.0.0.2")});
  early.ready = false;
  CHECK(steps(early) == "hold 7 a");
  early.links[0].young = false;  // it ran before us, perhaps selected by no policy
  CHECK(steps(early).empty());
  early.sandboxes = {held(kLink)};
  CHECK(steps(early).empty());
  auto waiting = world({pod("a", kIn)}, {link(kLink)});
  waiting.ready = false;
  CHECK(steps(waiting) == "hold 7");
  auto nobody = world({}, {link(kLink)}, {held(kLink)});
  nobody.ready = false;
  CHECK(steps(nobody).empty());
}

TEST_CASE("pairing: a pod out of scope that was held is let go even before all is known", "[agent]") {
  auto early = world({pod("b", kOut, "10.0.0.2")}, {link(kLink, "10.0.0.2")}, {held(kLink)});
  early.ready = false;
  CHECK(steps(early) == "release 7");
}

TEST_CASE("pairing: the CNI's word decides before the API server's", "[agent]") {
  PairingLink hinted = link(kLink, "10.0.0.2");
  hinted.hint = PairingHint{{"uid-a", "ns", "a"}, kIn};
  CHECK(steps(world({pod("a", kIn), pod("b", kOut)}, {hinted})) == "attach 7 a");
  CHECK(steps(world({pod("a", kIn), pod("b", kOut)}, {hinted}, {held(kLink)})) == "take 7 a");
  hinted.hint = PairingHint{{"", "ns", "a"}, kIn};  // a runtime that does not tell the uid
  CHECK(steps(world({pod("a", kIn), pod("b", kOut)}, {hinted})) == "attach 7 a");
  hinted.hint = PairingHint{{"uid-static", "ns", "a"}, kIn};  // the API server's copy of a static pod has its own
  PairingPod copy = pod("a", kIn);
  copy.static_uid = "uid-static";
  CHECK(steps(world({copy}, {hinted})) == "attach 7 a");
  // Made again under its name while the old one's interface is still there: not its own.
  CHECK(steps(world({pod("a", kIn)}, {hinted})) == "hold 7");
  hinted.hint = PairingHint{{"uid-b", "out", "b"}, kOut};
  CHECK(steps(world({pod("a", kIn)}, {hinted})).empty());
  CHECK(steps(world({pod("a", kIn)}, {hinted}, {held(kLink)})) == "release 7");
}

TEST_CASE("pairing: the CNI's word of a pod that is not told yet", "[agent]") {
  PairingLink hinted = link(kLink, "10.0.0.2");
  hinted.hint = PairingHint{{"uid-new", "ns", "new"}, kIn};
  CHECK(steps(world({}, {hinted})) == "hold 7");
  CHECK(steps(world({pod("b", kOut)}, {hinted})) == "hold 7");
  CHECK(steps(world({}, {hinted}, {held(kLink)})).empty());
  hinted.hint->scope = kUnknown;
  CHECK(steps(world({pod("a", kIn)}, {hinted})) == "hold 7");
  hinted.young = false;
  CHECK(steps(world({}, {hinted})).empty());
}

TEST_CASE("pairing: several interfaces of one pod are all its own", "[agent]") {
  PairingLink second = link(kOther, "192.168.0.2");
  second.hint = PairingHint{{"uid-a", "ns", "a"}, kIn};
  CHECK(steps(world({pod("a", kIn, "10.0.0.2")}, {link(kLink, "10.0.0.2"), second}, {of_pod(kLink, "a")})) ==
        "attach 8 a");
}

TEST_CASE("pairing: an address that several pods claim", "[agent]") {
  const PairingPod a = pod("a", kIn, "10.0.0.2");
  const PairingPod b = pod("b", kOut, "10.0.0.2");
  // Neither has an interface: nothing is attached as this one's or that one's; a scoped one may be behind it.
  CHECK(steps(world({a, b}, {link(kLink, "10.0.0.2")})) == "hold 7");
  CHECK(steps(world({a, b}, {link(kLink, "10.0.0.2", false)})).empty());
  CHECK(steps(world({a, b}, {link(kLink, "10.0.0.2")}, {held(kLink)})).empty());
  CHECK(steps(world({pod("c", kOut, "10.0.0.2"), b}, {link(kLink, "10.0.0.2")})).empty());
  // One has its interface already: it is the other's.
  CHECK(steps(world({a, b}, {link(kLink), link(kOther, "10.0.0.2")}, {of_pod(kLink, "a")})).empty());
  CHECK(steps(world({pod("c", kIn, "10.0.0.2", "ns/c"), a}, {link(kLink), link(kOther, "10.0.0.2")},
                    {of_pod(kLink, "a")})) == "attach 8 c");
}

TEST_CASE("pairing: a sandbox attached by hand is left alone", "[agent]") {
  const PairingSandbox by_hand{1, kLink, {}, "agent", false, {}};
  for (const ScopeAnswer scope : {kIn, kOut, kUnknown}) {
    CHECK(steps(world({pod("a", scope, "10.0.0.2")}, {link(kLink, "10.0.0.2")}, {by_hand})).empty());
    CHECK(steps(world({pod("a", scope)}, {link(kLink)}, {by_hand})).empty());
  }
  CHECK(pair_pods(world({pod("a", kIn, "10.0.0.2")}, {link(kLink, "10.0.0.2")}, {by_hand})).attached == 1);
}

TEST_CASE("pairing: what is known to be no pod's is never held", "[agent]") {
  PairingLink foreign = link(kLink, "10.0.0.2");
  foreign.foreign = true;
  CHECK(steps(world({pod("a", kIn)}, {foreign})).empty());
  CHECK(steps(world({pod("a", kIn, "10.0.0.2")}, {foreign})).empty());
  CHECK(steps(world({pod("a", kIn)}, {foreign}, {held(kLink)})) == "release 7");
}

TEST_CASE("pairing: an interface with a step on its way is not touched", "[agent]") {
  PairingLink busy = link(kLink, "10.0.0.2");
  busy.busy = true;
  CHECK(steps(world({pod("a", kIn, "10.0.0.2")}, {busy})).empty());
  CHECK(steps(world({pod("b", kOut, "10.0.0.2")}, {busy}, {held(kLink)})).empty());
}

TEST_CASE("pairing: pods without an interface are counted", "[agent]") {
  const PairingPlan plan = pair_pods(world({pod("a", kIn), pod("b", kIn, "10.0.0.3"), pod("c", kOut)}, {}));
  CHECK(plan.in_scope == 2);
  CHECK(plan.attached == 0);
  CHECK(plan.waiting == std::vector<std::size_t>{0, 1});
  CHECK(plan.lost == std::vector<std::size_t>{1});
}

/// Everything that is said above of single cases, held against all worlds of one link and two pods.
TEST_CASE("pairing: in every small world nothing in scope is opened and nothing out of scope is shut", "[agent]") {
  const std::vector<PairingSandbox> kSandboxes[] = {{}, {held(kLink)}, {of_pod(kLink, "a")}, {of_pod(kLink, "b")}};
  int worlds = 0;
  for (const ScopeAnswer scope_a : {kIn, kOut, kUnknown}) {
    for (const ScopeAnswer scope_b : {kIn, kOut, kUnknown}) {
      for (int bits = 0; bits < 256; ++bits) {
        for (const auto& sandboxes : kSandboxes) {
          PairingPod a = pod("a", scope_a, (bits & 1) != 0 ? "10.0.0.2" : nullptr, (bits & 2) != 0 ? "ns/agent" : "");
          PairingPod b = pod("b", scope_b, (bits & 4) != 0 ? "10.0.0.3" : nullptr);
          PairingLink one = link(kLink, (bits & 8) != 0 ? "10.0.0.2" : nullptr, (bits & 16) != 0);
          PairingWorld all = world({a, b}, {one}, sandboxes);
          all.ready = (bits & 32) != 0;
          all.strict = (bits & 64) != 0;
          all.any_policy = (bits & 128) != 0 || !a.policy.empty();
          const PairingPlan plan = pair_pods(all);
          ++worlds;
          REQUIRE(plan.steps.size() <= 1);
          if (plan.steps.empty()) {
            continue;
          }
          const PairingStep& step = plan.steps[0];
          INFO("a " << static_cast<int>(scope_a) << " b " << static_cast<int>(scope_b) << " bits " << bits << " step "
                    << static_cast<int>(step.kind));
          const bool any_in = scope_a == kIn || scope_b == kIn;
          switch (step.kind) {
            case Kind::kHold:
              REQUIRE(any_in);
              REQUIRE(one.young);
              REQUIRE(sandboxes.empty());
              break;
            case Kind::kAttach:
            case Kind::kTake:
            case Kind::kAssign:
              REQUIRE(step.pod);
              REQUIRE(all.pods[*step.pod].scope == kIn);
              REQUIRE(all.ready);
              REQUIRE((all.strict || !all.pods[*step.pod].policy.empty()));
              break;
            case Kind::kRelease: {
              REQUIRE_FALSE(sandboxes.empty());
              const bool of_a = sandboxes[0].pod.uid == "uid-a" || (sandboxes[0].held && (bits & 9) == 9);
              const bool of_b = sandboxes[0].pod.uid == "uid-b";
              const bool a_opens =
                  scope_a == kOut || (scope_a == kIn && a.policy.empty() && !all.strict && all.any_policy);
              if (of_a) {
                REQUIRE(a_opens);
              } else if (of_b) {
                REQUIRE(scope_b == kOut);
              } else {
                FAIL("let go without knowing whose it is");
              }
              REQUIRE((all.ready || (sandboxes[0].held && scope_a == kOut)));
              break;
            }
          }
        }
      }
    }
  }
  CHECK(worlds == 3 * 3 * 256 * 4);
}

}  // namespace
}  // namespace postern
