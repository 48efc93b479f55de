// SPDX-License-Identifier: Apache-2.0
#include "policies/policy_test.h"

#include <algorithm>

#include "base/log.h"
#include "policies/pattern_overlap.h"

namespace postern {
namespace {

using Kind = Assertion::Kind;

constexpr std::size_t kRulesShown = 4;  // in a failure's text

bool is_lookup(const Assertion& assertion) {
  return assertion.kind == Kind::kResolves || assertion.kind == Kind::kRefuses;
}

/// Does the rule let a name of its pattern do what is asserted or denied?
bool speaks_of(const Rule& rule, const Assertion& assertion) {
  if (is_lookup(assertion)) {
    return rule.is_name();
  }
  return rule.kind == RuleKind::kAllowName &&
         (assertion.port == 0 || rule.ports.contains(assertion.protocol, assertion.port));
}

/// dns.allow lets a name resolve and opens nothing; explain() calls that allowed when no port is asked for.
bool opens(const Explanation& explanation) {
  return explanation.allowed &&
         (explanation.rules.empty() ||
          std::ranges::any_of(explanation.rules, [](const Rule* rule) { return rule->kind != RuleKind::kLookupOnly; }));
}

AssertionResult judge_target(const Assertion& assertion, const PolicyImage& image, const Target& target) {
  const Explanation said = explain(image, {}, target);
  const bool positive = assertion.kind == Kind::kAllows || assertion.kind == Kind::kResolves;
  bool is_so = opens(said);
  if (is_lookup(assertion)) {
    is_so = image.names.match(target.name.wire()).matched();
  }
  return {is_so == positive, said.verdict, said.rules};
}

/// Every name of a pattern: one rule must mean them all. Rules that do so only together are not seen.
AssertionResult judge_all_names(const Assertion& assertion, const PolicyImage& image) {
  AssertionResult result;
  for (const Rule& rule : image.rules) {
    if (speaks_of(rule, assertion) && rule.pattern->covers(*assertion.names)) {
      return {true, "every such name is meant by a rule", {&rule}};
    }
    if (rule.is_name() && common_name(*rule.pattern, *assertion.names)) {
      result.rules.push_back(&rule);
    }
  }
  result.verdict = "no one rule " +
                   std::string(is_lookup(assertion) ? "lets every such name resolve" : "opens every such name") +
                   (assertion.port == 0 ? "" : " on that port");
  return result;
}

/// No name of a pattern: the first rule with one in common is the proof to the contrary, with that name.
AssertionResult judge_no_name(const Assertion& assertion, const PolicyImage& image) {
  for (const Rule& rule : image.rules) {
    if (!speaks_of(rule, assertion)) {
      continue;
    }
    if (const auto name = common_name(*rule.pattern, *assertion.names)) {
      Target target;
      target.name = *name;
      target.port = assertion.port;
      target.protocol = assertion.protocol;
      return {false, explain(image, {}, target).verdict, {&rule}};
    }
  }
  return {true, "no rule means any such name", {}};
}

/// Where a whole address family is open, so is whatever any name leads to.
std::optional<AssertionResult> find_open_family(const Assertion& assertion, const PolicyImage& image) {
  for (const CidrEntry& entry : image.cidrs) {
    if (entry.prefix.family_bits() != 0) {
      continue;
    }
    const PortSet open = entry.verdict.allow.without(entry.verdict.deny);
    if (assertion.port == 0 ? open.empty() : !open.contains(assertion.protocol, assertion.port)) {
      continue;
    }
    AssertionResult result{false,
                           std::string(entry.prefix.is_v4() ? "IPv4" : "IPv6") + " as a whole is open on " +
                               open.to_string() + ", whatever name leads there",
                           {}};
    if (const Rule* rule = image.find_rule(entry.verdict.allow_rule)) {
      result.rules.push_back(rule);
    }
    return result;
  }
  return std::nullopt;
}

/// Where no address is left that CIDR rules do not deny, names open nothing: denials go before grants.
std::optional<AssertionResult> find_closed_world(const Assertion& assertion,
                                                 const AssertionResult& allowed,
                                                 const PolicyImage& image) {
  const auto denies = [&](const CidrEntry& entry) {
    const PortSet& deny = entry.verdict.deny;
    return assertion.port != 0
               ? deny.contains(assertion.protocol, assertion.port)
               : std::ranges::all_of(allowed.rules, [&](const Rule* rule) { return deny.covers(rule->ports); });
  };
  AssertionResult result{false, "every address is denied there, and a denial goes before names", {}};
  std::size_t whole = 0;
  for (const CidrEntry& entry : image.cidrs) {
    if (!denies(entry)) {
      return std::nullopt;
    }
    if (entry.prefix.family_bits() != 0) {
      continue;
    }
    ++whole;
    const Rule* rule = image.find_rule(entry.verdict.deny_rule);
    if (rule != nullptr && std::ranges::find(result.rules, rule) == result.rules.end()) {
      result.rules.push_back(rule);
    }
  }
  return whole == 2 ? std::optional(result) : std::nullopt;
}

std::string words_of(const Rule& rule) {
  return rule.to_string() + " (" + rule.owner->title + ", " + rule.origin.to_string() + ")";
}

void find_policies(const PolicyTestCase& test, const PolicySet& set, CaseResult& result) {
  if (test.sandbox) {
    result.policies = set.select(*test.sandbox);
    for (const auto& [key, policy] : set.policies) {
      if (policy.model->selects(*test.sandbox)) {
        result.places.push_back(policy.place);
      }
    }
    if (result.policies.empty()) {
      result.problem = "no policy of this test selects this sandbox (namespace " + printable(test.sandbox->space) +
                       ", labels " + printable(LabelSelector{test.sandbox->labels, {}}.to_string()) +
                       "): what it may do is not theirs to say";
    }
    return;
  }
  const auto key = set.key_of(test.policy);
  if (key) {
    result.policies = *key;
    result.places.push_back(set.policies.at(*key).place);
    return;
  }
  std::string known;
  for (const auto& [each, policy] : set.policies) {
    known += (known.empty() ? "" : ", ") + each;
  }
  result.problem = key.error().code() == Errc::kInvalid ? key.error().message()
                                                        : "there is no policy \"" + printable(test.policy) +
                                                              "\" in the files of this test: use one of " + known;
}

}  // namespace

AssertionResult judge(const Assertion& assertion, const PolicyImage& image) {
  AssertionResult result;
  if (assertion.names && !assertion.names->is_exact()) {
    const bool all = assertion.kind == Kind::kAllows || assertion.kind == Kind::kResolves;
    result = all ? judge_all_names(assertion, image) : judge_no_name(assertion, image);
  } else {
    result = judge_target(assertion, image,
                          {assertion.address, assertion.names ? assertion.names->labels() : DnsName(), assertion.port,
                           assertion.protocol});
  }
  if (result.holds && assertion.names && assertion.kind == Kind::kDenies) {
    return find_open_family(assertion, image).value_or(result);
  }
  if (result.holds && assertion.names && assertion.kind == Kind::kAllows) {
    return find_closed_world(assertion, result, image).value_or(result);
  }
  return result;
}

CaseResult judge_case(const PolicyTestCase& test, const PolicySet& set) {
  CaseResult result;
  find_policies(test, set, result);
  if (result.problem.empty()) {
    auto image = set.image_of(result.policies);
    if (!image || *image == nullptr) {
      result.problem = image ? "policy " + result.policies + " has errors" : image.error().message();
    } else {
      result.image = std::move(*image);
    }
  }
  for (const Assertion& assertion : test.assertions) {
    result.results.push_back(result.image == nullptr ? AssertionResult{false, result.problem, {}}
                                                     : judge(assertion, *result.image));
  }
  return result;
}

Diagnostic failure_of(const Assertion& assertion, const AssertionResult& result, const CaseResult& of_case) {
  std::string text =
      "asserted: " + std::string(verb_of(assertion.kind)) + " " + printable(assertion.text) + "; but " + result.verdict;
  std::string says;
  for (std::size_t i = 0; i < std::min(result.rules.size(), kRulesShown); ++i) {
    says += (i == 0 ? ", by " : ", ") + words_of(*result.rules[i]);
  }
  if (result.rules.size() > kRulesShown) {
    says += " and " + std::to_string(result.rules.size() - kRulesShown) + " more";
  }
  for (const Place& place : says.empty() ? of_case.places : std::vector<Place>()) {
    says += (says.empty() ? " (" : ", ") + place.to_string();
  }
  return {assertion.place, assertion.field, text + says + (result.rules.empty() && !says.empty() ? ")" : "")};
}

}  // namespace postern
