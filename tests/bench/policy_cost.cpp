// SPDX-License-Identifier: Apache-2.0
//
// policy_cost: what policies cost before a packet is seen, as JSON. No root, no network.
//
// compile_ms:  kPolicies policies of kNames names and kCidrs prefixes each, from what the readers made of them to
//   images, on one thread. None shares a rule with another.
// read_ms:     the same policies from their YAML text, which a start and an edit pay before.
// match_ns:    a name against a matcher of kMatched patterns, a tenth of them wildcards, as the DNS path asks it.
//   The names asked lie one behind the other, so that the figure is the matcher's cache misses and not the test's.
// match_allocations: of all matches together; more than 0 is an error.
// shared_kib:  kPolicies policies that take the same kNames names of a template: heap of each, read and compiled, by
//   malloc's own count. alone_kib: the same, with the names written out in each. shared_ms: reading and compiling all.
// Each value is the median of the runs asked for (policy_cost [RUNS]).
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "policies/image.h"
#include "policies/policy_reader.h"
#include "policies/policy_set.h"
#include "policies/template_links.h"
#include "policies/template_reader.h"

namespace {

std::size_t allocations = 0;

}  // namespace

// Counts what a match must not do.
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) {
    return memory;
  }
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }

namespace postern::test {
namespace {

constexpr std::size_t kPolicies = 250;
constexpr std::size_t kNames = 1'000;
constexpr std::size_t kCidrs = 1'000;
constexpr std::size_t kMatched = 100'000;
constexpr std::size_t kAsked = 20'000;
constexpr std::size_t kRounds = 10;

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "policy_cost: %s\n", why.c_str());
  std::exit(1);
}

std::string policy_text(std::size_t policy) {
  std::string text = "apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: agent-" +
                     std::to_string(policy) + "}\nspec:\n  allow:\n  - names:\n";
  for (std::size_t i = 0; i < kNames; ++i) {
    const std::string wild = i % 10 == 0 ? "\"*." : "";
    text += "    - " + wild + "host-" + std::to_string(i) + ".zone-" + std::to_string(policy) + ".example.com" +
            (wild.empty() ? "\n" : "\"\n");
  }
  text += "  - cidrs:\n";
  for (std::size_t i = 0; i < kCidrs; ++i) {
    text +=
        "    - 10." + std::to_string(policy) + "." + std::to_string(i / 4) + "." + std::to_string(i % 4 * 64) + "/26\n";
  }
  return text;
}

std::vector<Policy> read(const std::string& text, std::size_t number) {
  Diagnostics diagnostics;
  auto policies =
      read_policies(text, "/etc/postern/policies/agent-" + std::to_string(number) + ".yaml", {}, diagnostics);
  if (diagnostics.failed()) {
    fail(diagnostics.to_error().message());
  }
  return policies;
}

double compile_all(const std::vector<Policy>& policies) {
  std::vector<std::shared_ptr<const PolicyImage>> images;
  images.reserve(policies.size());
  const auto begin = Clock::now();
  for (const Policy& policy : policies) {
    Diagnostics diagnostics;
    images.push_back(compile(policy, Inventory(), diagnostics));
  }
  const double took = ms_since(begin);
  for (const auto& image : images) {
    if (image == nullptr || image->rules.size() < kNames + kCidrs) {
      fail("a policy did not compile whole");
    }
  }
  return took;
}

/// Patterns that share zones as real lists do: many hosts of some zones.
std::string zone_of(std::size_t i) {
  return "host-" + std::to_string(i) + ".zone-" + std::to_string(i % 997) + ".example.com";
}

struct Questions {
  std::vector<DnsName> names;
  std::string bytes;  // wire names, one behind the other
  std::vector<std::size_t> starts;

  Wire at(std::size_t i) const {
    const std::size_t end = i + 1 == starts.size() ? bytes.size() : starts[i + 1];
    return {reinterpret_cast<const std::uint8_t*>(bytes.data()) + starts[i], end - starts[i]};
  }
};

/// Half of them match, half are near misses.
Questions questions() {
  std::mt19937 random(42);
  Questions asked;
  for (std::size_t i = 0; i < kAsked; ++i) {
    const std::size_t which = random() % kMatched;
    const std::string name = (i % 2 == 0 ? (which % 10 == 0 ? "a." : "") : "x") + zone_of(which);
    asked.starts.push_back(asked.bytes.size());
    asked.bytes += DnsName::from_text(name).value().bytes();
  }
  return asked;
}

struct MatchCost {
  double ns = 0;
  std::size_t allocations = 0;
};

MatchCost match_cost(const NameMatcher& matcher, const Questions& asked) {
  const std::size_t before = allocations;
  std::size_t matched = 0;
  const auto begin = Clock::now();
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < kAsked; ++i) {
      matched += matcher.match(asked.at(i)).matched() ? 1 : 0;
    }
  }
  const double ns = ms_since(begin) * 1e6 / static_cast<double>(kRounds * kAsked);
  const std::size_t made = allocations - before;
  if (matched != kRounds * kAsked / 2) {
    fail("half of the names should match, and " + std::to_string(matched) + " did");
  }
  if (made != 0) {
    fail(std::to_string(made) + " allocations while matching");
  }
  return {ns, made};
}

NameMatcher matcher_of_many() {
  NameMatcher matcher;
  for (std::size_t i = 0; i < kMatched; ++i) {
    const std::string text = (i % 10 == 0 ? "*." : "") + zone_of(i);
    matcher.add(NamePattern::parse(text, Dialect::kNative).value(), static_cast<std::uint32_t>(i));
  }
  matcher.freeze();
  return matcher;
}

struct SharedCost {
  double ms = 0;
  double kib = 0;  // of one policy
};

/// All of them, kept as posternd keeps them. @param allow  An allow rule of each.
SharedCost cost_of_all(const std::string& allow, const TemplateSet& templates) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < kPolicies; ++i) {
    texts.push_back("apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: agent-" + std::to_string(i) +
                    "}\nspec:\n  allow:\n" + allow);
  }
  const std::size_t before = ::mallinfo2().uordblks;
  const auto begin = Clock::now();
  PolicySet set;
  Diagnostics diagnostics;
  for (std::size_t i = 0; i < kPolicies; ++i) {
    add_policies(texts[i], "/etc/postern/policies/agent-" + std::to_string(i) + ".yaml", templates, set, diagnostics);
  }
  const double ms = ms_since(begin);
  if (diagnostics.failed()) {
    fail(diagnostics.to_error().message());
  }
  return {ms, static_cast<double>(::mallinfo2().uordblks - before) / 1024 / kPolicies};
}

std::string many_names(const std::string& indent) {
  std::string text;
  for (std::size_t i = 0; i < kNames; ++i) {
    text += indent + "- " + zone_of(i) + "\n";
  }
  return text;
}

void measure_sharing(SharedCost& shared, SharedCost& alone) {
  Diagnostics diagnostics;
  const TemplateSet templates = link_templates(
      read_templates("apiVersion: postern.dev/v1alpha1\nkind: AllowlistTemplate\nmetadata: {name: many}\nspec:\n"
                     "  version: 2026-11-28\n  purpose: p\n  groups:\n  - name: all\n    purpose: p\n    names:\n" +
                         many_names("    "),
                     "many.yaml", diagnostics),
      diagnostics);
  if (diagnostics.failed()) {
    fail(diagnostics.to_error().message());
  }
  shared = cost_of_all("  - templates: [many]\n", templates);
  alone = cost_of_all("  - names:\n" + many_names("    "), templates);
}

void measure(std::size_t runs) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < kPolicies; ++i) {
    texts.push_back(policy_text(i));
  }
  const NameMatcher matcher = matcher_of_many();
  const Questions asked = questions();
  std::vector<double> reads;
  std::vector<double> compiles;
  std::vector<double> matches;
  std::size_t made = 0;
  for (std::size_t run = 0; run < runs; ++run) {
    std::vector<Policy> policies;
    const auto begin = Clock::now();
    for (std::size_t i = 0; i < kPolicies; ++i) {
      std::ranges::move(read(texts[i], i), std::back_inserter(policies));
    }
    reads.push_back(ms_since(begin));
    compiles.push_back(compile_all(policies));
    const MatchCost cost = match_cost(matcher, asked);
    matches.push_back(cost.ns);
    made += cost.allocations;
  }
  SharedCost shared;
  SharedCost alone;
  measure_sharing(shared, alone);
  std::printf(
      "{\"read_ms\": %.0f, \"compile_ms\": %.0f, \"match_ns\": %.1f, \"match_allocations\": %zu, \"shared_ms\": %.0f, "
      "\"shared_kib\": %.0f, \"alone_kib\": %.0f, \"runs\": %zu}\n",
      median(reads), median(compiles), median(matches), made, shared.ms, shared.kib, alone.kib, runs);
}

}  // namespace
}  // namespace postern::test

int main(int argc, char** argv) {
  const long runs = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 11;
  if (runs < 1 || runs > 1000) {
    std::fprintf(stderr, "usage: policy_cost [RUNS], 1 to 1000\n");
    return 2;
  }
  postern::test::measure(static_cast<std::size_t>(runs));
  return 0;
}
